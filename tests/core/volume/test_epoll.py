"""The loop: readiness, timers, soon, worker threads."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial

import pytest

from tierce import READABLE
from tierce.volume.epoll import WORKER_COUNT_MAX, EpollReactor


@pytest.fixture
def reactor() -> Iterator[EpollReactor]:
    loop = EpollReactor()
    yield loop
    loop.close()


def test_a_readable_descriptor_is_reported(reactor: EpollReactor) -> None:
    ours, theirs = socket.socketpair()
    seen: list[int] = []

    def ready(events: int) -> None:
        seen.append(events)
        reactor.stop()

    reactor.watch(ours.fileno(), READABLE, ready)
    theirs.send(b"x")
    reactor.run()
    assert seen
    assert seen[0] & READABLE
    reactor.unwatch(ours.fileno())
    reactor.unwatch(ours.fileno())
    ours.close()
    theirs.close()


def test_a_descriptor_unwatched_in_the_same_round_is_not_reported(reactor: EpollReactor) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    seen: list[int] = []

    def ready(index: int, _events: int) -> None:
        seen.append(index)
        reactor.unwatch(pairs[1 - index][0].fileno())
        reactor.call_soon(reactor.stop)

    for index, (ours, theirs) in enumerate(pairs):
        theirs.send(b"x")
        reactor.watch(ours.fileno(), READABLE, partial(ready, index))
    reactor.run()
    assert len(seen) == 1
    for ours, theirs in pairs:
        reactor.unwatch(ours.fileno())
        ours.close()
        theirs.close()


def test_a_new_owner_of_a_descriptor_does_not_get_the_old_ones_event(
    reactor: EpollReactor,
) -> None:
    pairs = [socket.socketpair(), socket.socketpair()]
    fresh: list[socket.socket] = []
    seen: list[str] = []

    def replace(index: int, _events: int) -> None:
        """Close the other one; whoever comes next gets its number."""
        seen.append("first")
        number = pairs[1 - index][0].fileno()
        reactor.unwatch(number)
        pairs[1 - index][0].close()
        fresh.extend(socket.socketpair())
        assert number in {each.fileno() for each in fresh}
        reactor.watch(number, READABLE, lambda _events: seen.append("stranger"))
        reactor.unwatch(pairs[index][0].fileno())
        reactor.call_soon(reactor.stop)

    for index, (ours, theirs) in enumerate(pairs):
        reactor.watch(ours.fileno(), READABLE, partial(replace, index))
        theirs.send(b"x")
    reactor.run()
    assert seen == ["first"]
    for each in (*pairs[0], *pairs[1], *fresh):
        each.close()


def test_timers_run_in_the_order_in_which_they_are_due(reactor: EpollReactor) -> None:
    seen: list[str] = []
    reactor.call_later(0.002, partial(seen.append, "late"))
    reactor.call_later(0.003, reactor.stop)
    reactor.call_later(0.0, lambda: seen.append("early"))
    reactor.call_later(0.0, lambda: seen.append("never")).cancel()
    reactor.run()
    assert seen == ["early", "late"]


def test_what_is_called_soon_runs_after_what_runs_now(reactor: EpollReactor) -> None:
    seen: list[str] = []

    def first() -> None:
        reactor.call_soon(partial(seen.append, "second"))
        reactor.call_soon(reactor.stop)
        seen.append("first")

    reactor.call_soon(first)
    reactor.run()
    assert seen == ["first", "second"]


def test_offloaded_work_comes_back_with_its_result_or_its_error(reactor: EpollReactor) -> None:
    seen: list[object] = []

    def done(result: object, error: BaseException | None) -> None:
        seen.append(error if error is not None else result)
        if len(seen) == 2:
            reactor.stop()

    def fail() -> None:
        raise OSError(5, "boom")

    reactor.offload(lambda: 42, done)
    reactor.offload(fail, done)
    reactor.run()
    assert 42 in seen
    assert any(isinstance(item, OSError) for item in seen)


def test_no_more_threads_are_started_than_allowed(reactor: EpollReactor) -> None:
    count = 10 * WORKER_COUNT_MAX
    seen: list[int | None] = []

    def done(result: int | None, _error: BaseException | None) -> None:
        seen.append(result)
        if len(seen) == count:
            reactor.stop()

    for number in range(count):
        reactor.offload(partial(int, number), done)
    reactor.run()
    assert sorted(number for number in seen if number is not None) == list(range(count))


def test_an_error_in_a_callback_ends_run(reactor: EpollReactor) -> None:
    def fail() -> None:
        raise KeyError("ours")

    reactor.call_soon(fail)
    with pytest.raises(KeyError):
        reactor.run()
