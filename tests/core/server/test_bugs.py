"""A bug in a callback of the supervisor's loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierce import Event
from tierce.process.epoll import EpollReactor
from tierce.server.bugs import BUG_COUNT_MAX, BUG_WINDOW_S, Bugs


def test_the_loop_goes_on_and_the_bug_is_told_with_its_story() -> None:
    reactor, events, after = EpollReactor(), list[Event](), list[str]()
    bugs = Bugs(reactor.now, events.append, Path("serve.log"))

    def fail() -> None:
        raise ZeroDivisionError("by zero")

    reactor.call_soon(fail)
    reactor.call_soon(lambda: after.append("the next one has its turn"))
    reactor.call_later(0.0, fail)
    reactor.call_later(0.01, reactor.stop)
    reactor.run(bugs.survive)
    reactor.close()
    assert after == ["the next one has its turn"]
    # The same again is not told again at once.
    assert [event.severity for event in events] == ["error"]
    assert "ZeroDivisionError: by zero (its story: serve.log)" in events[0].message
    assert "in fail" in events[0].fields["traceback"]


def test_too_many_in_a_row_are_the_end() -> None:
    now = [0.0]
    bugs = Bugs(lambda: now[0], lambda _event: None, Path("serve.log"))
    for number in range(3 * BUG_COUNT_MAX):
        now[0] = number * 1.1 * BUG_WINDOW_S / BUG_COUNT_MAX
        bugs.survive(ValueError())
    bugs = Bugs(lambda: 0.0, lambda _event: None, Path("serve.log"))
    for _number in range(BUG_COUNT_MAX):
        bugs.survive(ValueError())
    with pytest.raises(ValueError, match="the last"):
        bugs.survive(ValueError("the last"))
