"""A store that opens later is handed over once, whoever comes first; one that nobody waits for any
more is closed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.fake_reactor import FakeReactor
from tierce import FormatError, Opening, StoreOpenContext


def noted() -> tuple[list[Any], Any]:
    told: list[Any] = []
    return told, lambda store, error: told.append((store, error))


def test_it_is_handed_over_when_it_is_settled() -> None:
    opening = Opening[str]("the pool is imported")
    told, settled = noted()
    opening.wait(settled)
    assert (told, opening.reason) == ([], "the pool is imported")
    opening.settle("the store")
    assert told == [("the store", None)]


def test_what_is_settled_before_anybody_waits_is_handed_over_at_once() -> None:
    opening = Opening[str]("")
    failure = OSError("no such pool")
    opening.settle(None, failure)
    told, settled = noted()
    opening.wait(settled)
    assert told == [(None, failure)]


def test_it_is_settled_once() -> None:
    opening = Opening[str]("")
    opening.settle("the store")
    with pytest.raises(ValueError, match="settled once"):
        opening.settle("another")


def test_who_waits_no_more_gives_it_up_and_has_closed_what_opens_all_the_same() -> None:
    given_up: list[str] = []
    opening = Opening[str]("", lambda: given_up.append("given up"))
    told, settled = noted()
    opening.wait(settled)
    ended: list[str | None] = []
    opening.end(ended.append)
    assert (given_up, ended) == (["given up"], [])
    opening.settle("the store")
    assert (told, ended) == ([], ["the store"])
    failed = Opening[str]("")
    failed.end(ended.append)
    failed.settle(None, OSError("no such pool"))
    assert ended == ["the store", None]


def test_what_is_settled_is_given_up_by_nobody_and_closed_by_whom_it_was_handed_to() -> None:
    given_up: list[str] = []
    opening = Opening[str]("", lambda: given_up.append("given up"))
    opening.settle("the store")
    ended: list[str | None] = []
    opening.end(ended.append)
    assert ended == ["the store"]
    told, settled = noted()
    opening.wait(settled)
    assert told == [("the store", None)]
    opening.end(ended.append)
    assert (ended, given_up) == (["the store", None], [])


def context(reactor: FakeReactor) -> StoreOpenContext:
    return cast("StoreOpenContext", SimpleNamespace(reactor=reactor))


def test_what_waits_opens_on_a_thread_of_its_own() -> None:
    reactor = FakeReactor(by_hand=True)
    opening = Opening.aside(context(reactor), "it is far away", lambda: "the store")
    told, settled = noted()
    opening.wait(settled)
    assert told == []
    reactor.work_off()
    assert told == [("the store", None)]


def test_what_it_raises_there_is_why_there_is_no_store() -> None:
    reactor = FakeReactor(by_hand=True)
    failure = FormatError("is damaged", path=cast("Any", "/pool"))

    def fail() -> str:
        raise failure

    opening = Opening.aside(context(reactor), "it is far away", fail)
    reactor.work_off()
    told, settled = noted()
    opening.wait(settled)
    assert told == [(None, failure)]
