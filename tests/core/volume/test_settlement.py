"""Waiting for what was parked at one moment."""

from __future__ import annotations

from tierce import Op, Request
from tierce.volume.settlement import Settlement


class Parked:
    """What is under way, and what was taken of it."""

    def __init__(self, count: int) -> None:
        self.requests = [Request(Op.FLUSH) for _ in range(count)]
        self.parked = dict.fromkeys(self.requests, 1)
        self.settlement = Settlement(self.take, self.parked)
        self.heard: list[str] = []

    def take(self, requests: list[Request]) -> list[Request]:
        return [one for one in requests if self.parked.pop(one, 0)]


def test_whoever_waits_hears_when_all_of_that_moment_is_taken_and_not_of_later_ones() -> None:
    scene = Parked(2)
    first, second = scene.requests
    scene.settlement.when_settled(lambda: scene.heard.append("both"))
    later = Request(Op.FLUSH)
    scene.parked[later] = 1
    scene.settlement.take([first])
    scene.settlement.when_settled(lambda: scene.heard.append("rest"))
    assert scene.settlement.take([second, first]) == [second]
    assert scene.heard == ["both"]
    scene.settlement.take([later])
    assert scene.heard == ["both", "rest"]


def test_nobody_waits_where_nothing_is_under_way_and_then_taking_is_what_it_was() -> None:
    scene = Parked(1)
    scene.settlement.when_settled(lambda: scene.heard.append("one"))
    scene.settlement.take(scene.requests)
    scene.settlement.when_settled(lambda: scene.heard.append("none"))
    assert scene.heard == ["one", "none"]
    assert scene.settlement.take == scene.take
