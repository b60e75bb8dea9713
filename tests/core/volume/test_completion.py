"""Waiting for what was pending at one moment."""

from __future__ import annotations

from tierce import Op, Request
from tierce.volume.completion import Completion


class Pending:
    """What is under way, and what was taken of it."""

    def __init__(self, count: int) -> None:
        self.requests = [Request(Op.FLUSH) for _ in range(count)]
        self.pending = dict.fromkeys(self.requests, 1)
        self.completion = Completion(self.take, self.pending)
        self.heard: list[str] = []

    def take(self, requests: list[Request]) -> list[Request]:
        return [one for one in requests if self.pending.pop(one, 0)]


def test_whoever_waits_hears_when_all_of_that_moment_is_taken_and_not_of_later_ones() -> None:
    scene = Pending(2)
    first, second = scene.requests
    scene.completion.when_completed(lambda: scene.heard.append("both"))
    later = Request(Op.FLUSH)
    scene.pending[later] = 1
    scene.completion.take([first])
    scene.completion.when_completed(lambda: scene.heard.append("rest"))
    assert scene.completion.take([second, first]) == [second]
    assert scene.heard == ["both"]
    scene.completion.take([later])
    assert scene.heard == ["both", "rest"]


def test_nobody_waits_where_nothing_is_under_way_and_then_taking_is_what_it_was() -> None:
    scene = Pending(1)
    scene.completion.when_completed(lambda: scene.heard.append("one"))
    scene.completion.take(scene.requests)
    scene.completion.when_completed(lambda: scene.heard.append("none"))
    assert scene.heard == ["one", "none"]
    assert scene.completion.take == scene.take
