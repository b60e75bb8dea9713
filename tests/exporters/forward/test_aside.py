"""Calls on a thread aside."""

from __future__ import annotations

import threading

import pytest

from tierce_exporters.forward.aside import Aside, Outcome

WAIT_S = 60.0


def test_what_a_call_returns_or_raises_is_there_once_and_then_it_is_free() -> None:
    ended = threading.Semaphore(0)
    aside: Aside[int] = Aside("test", ended.release)
    error = ValueError("no number")

    def fail() -> int:
        raise error

    assert aside.outcome() is None
    for call, expected in ((lambda: 7, Outcome(7)), (fail, Outcome(error=error))):
        aside.start(call)
        assert ended.acquire(timeout=WAIT_S)
        assert aside.is_busy
        assert aside.outcome() == expected
        assert not aside.is_busy
        assert aside.outcome() is None


def test_one_call_is_made_at_a_time_and_hangs_for_itself_alone() -> None:
    go_on, ended = threading.Event(), threading.Semaphore(0)
    aside: Aside[bool] = Aside("test", ended.release)
    aside.start(lambda: go_on.wait(WAIT_S))
    assert aside.outcome() is None
    with pytest.raises(AssertionError):
        aside.start(lambda: True)
    go_on.set()
    assert ended.acquire(timeout=WAIT_S)
    assert aside.outcome() == Outcome(True)
