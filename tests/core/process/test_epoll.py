"""The loop: readiness, timers, soon, worker threads."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tierce import READABLE, WRITABLE, Timer
from tierce.process.epoll import WORKER_COUNT_MAX, EpollReactor
from tierce.process.rounds import ROUND_NS


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


def test_what_is_dealt_with_has_been_there_since_the_loop_woke_up(reactor: EpollReactor) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    seen: list[tuple[int, int]] = []

    def ready(_events: int) -> None:
        seen.append((reactor.woke_ns, time.monotonic_ns()))
        reactor.call_soon(reactor.stop)

    for ours, theirs in pairs:
        theirs.send(b"x")
        reactor.watch(ours.fileno(), READABLE, ready)
    before_ns = time.monotonic_ns()
    reactor.run()
    (first_ns, at_first_ns), (second_ns, _at_second_ns) = seen
    assert before_ns <= first_ns <= at_first_ns
    assert second_ns == first_ns, "the second has waited for the first"
    for ours, theirs in pairs:
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


def test_watching_again_replaces_events_and_callback(reactor: EpollReactor) -> None:
    ours, theirs = socket.socketpair()
    seen: list[int] = []

    def writable(events: int) -> None:
        seen.append(events)
        reactor.stop()

    theirs.send(b"x")
    reactor.watch(ours.fileno(), READABLE, lambda _events: pytest.fail("was replaced"))
    reactor.watch(ours.fileno(), WRITABLE, writable)
    reactor.run()
    assert seen == [WRITABLE]
    ours.close()
    theirs.close()


def test_a_timer_cancelled_by_one_that_is_due_with_it_does_not_run(reactor: EpollReactor) -> None:
    victims: list[Timer] = []

    def cancel() -> None:
        victims[0].cancel()

    reactor.call_later(0, cancel)
    victims.append(reactor.call_later(0, lambda: pytest.fail("was cancelled")))
    reactor.call_later(0.001, reactor.stop)
    reactor.run()


def test_cancelled_timers_do_not_pile_up(reactor: EpollReactor) -> None:
    due: list[int] = []
    for number in range(10):
        reactor.call_later(0.001, partial(due.append, number))
    for _ in range(5000):
        reactor.call_later(3600, lambda: None).cancel()
    assert len(reactor._timers) < 200
    reactor.call_later(0.002, reactor.stop)
    reactor.run()
    assert due == list(range(10))


def test_an_idle_worker_is_used_before_another_is_started(reactor: EpollReactor) -> None:
    for _ in range(3):
        reactor.offload(lambda: None, lambda _result, _error: reactor.stop())
        reactor.run()
    assert len(reactor._threads) == 1


def test_a_signal_handler_may_stop_a_loop_that_sleeps_for_ever(reactor: EpollReactor) -> None:
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: reactor.stop())
    kill = partial(os.kill, os.getpid(), signal.SIGUSR1)
    reactor.call_soon(lambda: reactor.offload(kill, lambda _result, _error: None))
    try:
        reactor.run()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_loop_built_after_a_fork_serves_the_child() -> None:
    child = os.fork()
    if child == 0:
        loop = EpollReactor()
        loop.call_later(0, loop.stop)
        loop.run()
        loop.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_lane_runs_one_after_another_on_one_thread_and_answers_on_the_data_thread() -> None:
    loop, seen = EpollReactor(), list[tuple[int, int]]()
    lane = loop.lane()
    first = lane.run(threading.get_ident)

    def done(thread: int | None, error: BaseException | None) -> None:
        assert error is None
        assert thread is not None
        seen.append((thread, threading.get_ident()))
        if len(seen) == 3:
            loop.stop()

    for _ in range(3):
        lane.offload(threading.get_ident, done)
    loop.run()
    lane.close()
    loop.close()
    assert seen == [(first, threading.get_ident())] * 3
    assert first != threading.get_ident()


def test_what_comes_back_when_the_loop_is_gone_touches_nobody_elses_descriptor() -> None:
    loop, gate = EpollReactor(), threading.Event()
    lane, after = loop.lane(), threading.Event()
    lane.offload(gate.wait, lambda _result, _error: None)
    lane.offload(after.set, lambda _result, _error: None)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    loop.close()
    os.dup2(writer, loop._wake)
    gate.set()
    assert after.wait(10)
    with pytest.raises(BlockingIOError):
        os.read(reader, 8)
    for descriptor in {reader, writer, loop._wake}:
        os.close(descriptor)
    lane.close()


def slow(reactor: EpollReactor) -> list[tuple[int, str]]:
    """What is told of rounds that took too long. How long one takes is given by the clock."""
    told: list[tuple[int, str]] = []
    reactor.tell_slow(lambda elapsed_ns, what: told.append((elapsed_ns, what)))
    return told


def stand_still() -> None:
    """Keep the loop for longer than a round may take."""
    end_ns = time.monotonic_ns() + ROUND_NS + 1
    while time.monotonic_ns() < end_ns:
        pass


def test_a_call_that_keeps_the_loop_is_told_by_name(reactor: EpollReactor) -> None:
    told, (ours, theirs) = slow(reactor), socket.socketpair()

    class Front:
        def ready(self, _events: int) -> None:
            if told:
                reactor.stop()
            else:
                stand_still()

    reactor.watch(ours.fileno(), READABLE, Front().ready)
    theirs.send(b"x")
    reactor.run()
    ((elapsed_ns, what),) = told
    assert elapsed_ns > ROUND_NS
    assert "Front.ready" in what
    reactor.unwatch(ours.fileno())
    ours.close()
    theirs.close()


@pytest.mark.parametrize("how", ["timer", "soon", "offload"])
def test_whatever_keeps_the_loop_is_told_by_name(reactor: EpollReactor, how: str) -> None:
    told = slow(reactor)

    def keeps(*_result: object) -> None:
        stand_still()
        reactor.call_soon(lambda: reactor.call_soon(reactor.stop))

    if how == "timer":
        reactor.call_later(0, keeps)
    elif how == "soon":
        reactor.call_soon(keeps)
    else:
        reactor.offload(lambda: None, keeps)
    reactor.run()
    ((elapsed_ns, what),) = told
    assert elapsed_ns > ROUND_NS
    assert "keeps" in what


def test_who_has_timed_itself_is_told_in_place_of_the_call(reactor: EpollReactor) -> None:
    told = slow(reactor)

    def keeps() -> None:
        stand_still()
        reactor.held("filter gate", ROUND_NS)
        reactor.call_soon(lambda: reactor.call_soon(reactor.stop))

    reactor.call_soon(keeps)
    reactor.run()
    assert [what for _elapsed_ns, what in told] == ["filter gate 250 ms"]


def test_a_loop_that_sleeps_is_not_kept_by_anybody(reactor: EpollReactor) -> None:
    told = slow(reactor)
    reactor.call_later(1.5 * ROUND_NS / 1e9, reactor.stop)
    reactor.run()
    assert told == []
