"""What goes on is told once, then once a minute with how much more of it there was."""

from __future__ import annotations

from core.fake_reactor import FakeReactor
from tierce.volume.recurring import TELL_AGAIN_S, Recurring


class Scene:
    """What is told, each with its number of more."""

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.told: list[tuple[str, str, int]] = []
        self.recurring = Recurring[str](self.reactor, lambda *what: self.told.append(what))

    def take(self, kind: str, *messages: str) -> list[bool]:
        return [self.recurring.take(kind, message) for message in messages]

    def passes(self) -> list[tuple[str, str, int]]:
        """Let a minute pass; return what is told then."""
        self.told.clear()
        self.reactor.advance(TELL_AGAIN_S)
        return self.told


def test_the_first_of_a_kind_is_told_at_once_and_others_are_counted() -> None:
    scene = Scene()
    assert scene.take("a", "one", "two") == [True, False]
    assert scene.take("b", "other") == [True]
    assert scene.told == [("a", "one", 0), ("b", "other", 0)]


def test_what_goes_on_is_told_each_minute_as_it_was_last() -> None:
    scene = Scene()
    scene.take("a", "one", "two", "three")
    assert scene.passes() == [("a", "three", 2)]
    scene.take("a", "four")
    assert scene.passes() == [("a", "four", 1)]


def test_what_has_not_gone_on_for_a_minute_is_told_at_once_when_it_comes_again() -> None:
    scene = Scene()
    scene.take("a", "one")
    assert scene.passes() == []
    assert scene.take("a", "again") == [True]


def test_nothing_is_looked_at_while_nothing_goes_on() -> None:
    scene = Scene()
    scene.take("a", "one")
    scene.passes()
    assert not scene.reactor.timers


def test_the_end_tells_what_was_only_counted() -> None:
    scene = Scene()
    scene.take("a", "one", "two")
    scene.take("b", "other")
    scene.told.clear()
    scene.recurring.close()
    assert scene.told == [("a", "two", 1)]
    assert scene.passes() == []
