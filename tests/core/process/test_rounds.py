"""Rounds of a loop that took too long are told with what ran in them, once a minute."""

from __future__ import annotations

from functools import partial

from core.fake_reactor import FakeReactor
from tierce import Event
from tierce.process.rounds import ROUND_NS, Rounds, SlowRounds, name_of
from tierce.reactor import HELD_NS
from tierce.volume.recurring import TELL_AGAIN_S

MS = 1_000_000


class Part:
    def ready(self) -> None: ...


def noted() -> tuple[Rounds, list[tuple[int, str]]]:
    told: list[tuple[int, str]] = []
    rounds = Rounds()
    rounds.use(lambda elapsed_ns, what: told.append((elapsed_ns, what)))
    return rounds, told


def test_what_has_timed_itself_is_named_with_how_long() -> None:
    rounds, told = noted()
    rounds.held(1, "engine slow", 80 * MS)
    rounds.held(1, "filter gate", 300 * MS)
    rounds.tell(1, 400 * MS, [Part().ready])
    assert told == [(400 * MS, "filter gate 300 ms, engine slow 80 ms")]


def test_what_only_contains_the_slow_one_is_not_named() -> None:
    rounds, told = noted()
    rounds.held(1, "engine slow", 300 * MS)
    rounds.held(1, "filter gate", 301 * MS)
    rounds.tell(1, 302 * MS, [])
    assert told == [(302 * MS, "engine slow 300 ms")]


def test_what_was_slow_in_another_round_is_not_named() -> None:
    rounds, told = noted()
    rounds.held(1, "engine slow", 200 * MS)
    rounds.tell(2, 300 * MS, [Part().ready])
    assert told == [(300 * MS, f"Part.ready of {__name__}")]


def test_what_nobody_has_timed_is_named_by_what_the_loop_called() -> None:
    rounds, told = noted()
    rounds.tell(1, 300 * MS, [partial(Part().ready), Part().ready])
    rounds.tell(2, 300 * MS, [])
    assert [what for _elapsed_ns, what in told] == [
        f"Part.ready of {__name__}",
        "nothing that is known",
    ]


def test_a_call_is_named_without_what_python_makes_of_it() -> None:
    def inner() -> None: ...

    name = "test_a_call_is_named_without_what_python_makes_of_it.inner"
    assert name_of(inner) == f"{name} of {__name__}"


def test_the_first_is_told_at_once_and_then_once_a_minute_with_how_many() -> None:
    reactor, events = FakeReactor(), list[Event]()
    rounds = SlowRounds("target.demo", "volume/demo", reactor, events.append)
    for took_ms in (300, 400, 500):
        rounds.take(took_ms * MS, "filter gate 299 ms")
    (event,) = events
    assert (event.code, event.subject) == ("node.process.held-up", "volume/demo")
    assert event.message == (
        "target.demo: its loop was held up for 300 ms, in filter gate 299 ms; all that it serves "
        "waited so long"
    )
    reactor.advance(TELL_AGAIN_S)
    assert events[1].message.endswith("(2 more times since this was told)")
    assert dict(events[1].fields) == {"took_ms": 500, "in": "filter gate 299 ms", "more": 2}
    reactor.advance(10 * TELL_AGAIN_S)
    assert len(events) == 2


def test_what_is_worth_a_name_is_well_below_what_is_told() -> None:
    assert 2 * HELD_NS < ROUND_NS
