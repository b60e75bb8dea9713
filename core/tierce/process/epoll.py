"""The one loop of a data process: bare epoll, timers, and a few threads for what waits.

No asyncio: it costs 7 us an operation at depth 1. Idle, the loop sleeps without a timeout.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import queue
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from tierce.process.rounds import ROUND_NS, Rounds

T = TypeVar("T")

#: Worker threads for what waits in the kernel; started one by one, when there is work for them.
WORKER_COUNT_MAX = 8
_EVENT_COUNT_MAX = 64
#: A timer that costs nothing and is always there.
_FAR_S = 3600.0
_ROUND_S = ROUND_NS / 1e9
#: Below this many timers, cancelled ones are not worth looking for.
_SWEEP_COUNT_MIN = 64


class EpollTimer:
    """A call that is due at `when` (CLOCK_MONOTONIC, seconds)."""

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Forget it; harmless if it has run already."""
        self.call = None


def attempt(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """Return what `work()` returns, and what it raises: it is for the data thread to judge."""
    try:
        return work(), None
    except BaseException as caught:  # noqa: BLE001 - it is handed to the data thread
        return None, caught


class EpollLane:
    """Implements `tierce.reactor.Lane`: a thread that begins with the first work.

    Args:
        hand_back: Lets the data thread call `done(result, error)`.
    """

    def __init__(
        self, hand_back: Callable[[Callable[..., None], Any, BaseException | None], None]
    ) -> None:
        self._hand_back = hand_back
        self._work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def offload(
        self, work: Callable[[], T], done: Callable[[T | None, BaseException | None], None]
    ) -> None:
        """Run `work()` on the thread, then `done(result, error)` on the data thread."""
        self._put(work, lambda result, error: self._hand_back(done, result, error))

    def run(self, work: Callable[[], T]) -> T:
        """Run `work()` on the thread, and wait."""
        answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._put(work, lambda result, error: answers.put((result, error)))
        result, error = answers.get()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def tell(self, call: Callable[[], None]) -> None:
        """Have it called on the data thread; may come from any thread."""
        self._hand_back(lambda _result, _error: call(), None, None)

    def close(self) -> None:
        """Let the thread end."""
        self._work.put(None)

    def _put(self, work: Callable[[], Any], answer: Callable[..., None]) -> None:
        if self._thread is None:
            # A daemon: one that hangs in an engine's call must not keep its process alive.
            self._thread = threading.Thread(target=self._serve, name="lane", daemon=True)
            self._thread.start()
        self._work.put((work, answer))

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            work, answer = item
            answer(*attempt(work))


class EpollReactor:
    """Implements `tierce.Reactor`. Build it in the process that runs it, after any fork."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        #: Descriptors watched since the last poll: what that poll said of them was meant for
        #: whoever had the number before.
        self._fresh: set[int] = set()
        self._sweep_at = _SWEEP_COUNT_MIN
        self._timers: list[tuple[float, int, EpollTimer]] = []
        self._numbers = itertools.count()
        self._soon: deque[Callable[[], None]] = deque()
        self._work: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._done: deque[tuple[Callable[..., None], Any, BaseException | None]] = deque()
        self._threads: list[threading.Thread] = []
        self._idle_threads = threading.Semaphore(0)
        self._running = False
        self._waking = threading.Lock()
        self._is_closed = False
        #: What held the loop up, and who is told.
        self._rounds = Rounds()
        #: What heard last of what a worker thread has done.
        self._heard: Callable[..., None] = self._collect
        #: See `tierce.Reactor`.
        self.woke_ns = time.monotonic_ns()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._wake, select.EPOLLIN, self._collect)

    #: Returns CLOCK_MONOTONIC in seconds; asked at every request, and so without a frame of ours.
    now = staticmethod(time.monotonic)

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        """Call `ready(events)` whenever the descriptor is; replaces an earlier watch."""
        if descriptor in self._callbacks:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = ready
        self._fresh.add(descriptor)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> EpollTimer:
        """Call once, `delay_s` seconds from now."""
        if len(self._timers) >= self._sweep_at:
            self._sweep()
        timer = EpollTimer(time.monotonic() + delay_s, call)
        heapq.heappush(self._timers, (timer.when, next(self._numbers), timer))
        return timer

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call once, from the loop, after what runs now has returned."""
        self._soon.append(call)

    def offload(
        self, work: Callable[[], T], done: Callable[[T | None, BaseException | None], None]
    ) -> None:
        """Run `work()` on a worker thread, then `done(result, error)` on the data thread."""
        if not self._idle_threads.acquire(blocking=False) and len(self._threads) < WORKER_COUNT_MAX:
            thread = threading.Thread(target=self._serve, name="worker", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._work.put((work, done))

    def run(self, failed: Callable[[Exception], None] | None = None) -> None:
        """Run until `stop`. What a callback raises is a bug: it ends the loop, from here.

        Args:
            failed: Takes what a callback raises instead, and the loop goes on with the next.
        """
        self._running = True
        while self._running:
            try:
                self._run()
            except Exception as error:
                if failed is None:
                    raise
                failed(error)

    def _run(self) -> None:
        callbacks, fresh, soon = self._callbacks, self._fresh, self._soon
        poll, clock, clock_ns = self._epoll.poll, time.monotonic, time.monotonic_ns
        ready: list[tuple[int, int]] = []
        call: Callable[[], None] | None = None
        self.woke_ns = clock_ns()
        before = clock()
        while self._running:
            timeout = -1.0
            if self._timers:
                now = clock()
                # It slept or was held up: which of both is looked at where it is one of both.
                if now - before > _ROUND_S:
                    self._look_whether_slow(ready, call)
                before = now
                timeout = self._timers[0][0] - now
                if timeout <= 0:
                    self._run_timers()
                    timeout = 0.0
            call = None
            if soon:
                timeout = 0.0
            if fresh:
                fresh.clear()
            ready = poll(timeout, _EVENT_COUNT_MAX)
            self.woke_ns = clock_ns()
            for descriptor, events in ready:
                callback = callbacks.get(descriptor)
                # A fresh watch loses nothing: the descriptor is level-triggered.
                if callback is not None and descriptor not in fresh:
                    callback(events)
            if soon:
                for _ in range(len(soon)):
                    call = soon.popleft()
                    call()

    def stop(self) -> None:
        """Let `run` return after what runs now. A signal handler may call it too."""
        if not self._running:
            return
        self._running = False
        # A poll that a signal interrupts goes on afterwards: it must see something.
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """End the worker threads and close the descriptors."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
        with self._waking:
            self._is_closed = True
            self._epoll.close()
            os.close(self._wake)

    def _sweep(self) -> None:
        """Drop cancelled timers, so that they don't pile up until they are due."""
        self._timers = [entry for entry in self._timers if entry[2].call is not None]
        heapq.heapify(self._timers)
        self._sweep_at = max(_SWEEP_COUNT_MIN, 2 * len(self._timers))

    def _run_timers(self) -> None:
        """Run what is due: a round of its own, which no descriptor wakes up."""
        began_ns = time.monotonic_ns()
        now = began_ns * 1e-9
        called: list[Callable[[], None]] = []
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                called.append(timer.call)
                timer.call()
        elapsed_ns = time.monotonic_ns() - began_ns
        if elapsed_ns > ROUND_NS:
            self._rounds.tell(self.woke_ns, elapsed_ns, called)

    def _look_whether_slow(
        self, ready: list[tuple[int, int]], soon: Callable[[], None] | None
    ) -> None:
        """Tell the round if it was slow, in which these descriptors were ready, and this was called
        last."""
        elapsed_ns = time.monotonic_ns() - self.woke_ns
        if elapsed_ns <= ROUND_NS:
            return
        watching = (self._callbacks.get(descriptor) for descriptor, _events in ready)
        heard = [self._heard if one == self._collect else one for one in watching]
        self._rounds.tell(
            self.woke_ns, elapsed_ns, [one for one in (*heard, soon) if one is not None]
        )

    def tell_slow(self, told: Callable[[int, str], None]) -> None:
        """Tell of rounds that take too long from now on; see `Rounds.use`."""
        self._rounds.use(told)
        self._look_again()

    def _look_again(self) -> None:
        """Keep a timer that is far off: a loop with one reads the clock in every round."""
        self.call_later(_FAR_S, self._look_again)

    def held(self, what: str, elapsed_ns: int) -> None:
        """Note what has taken long in this round."""
        self._rounds.held(self.woke_ns, what, elapsed_ns)

    def lane(self) -> EpollLane:
        """Return a worker thread of one's own."""
        return EpollLane(self._return)

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            work, done = item
            result, error = attempt(work)
            self._idle_threads.release()
            self._return(done, result, error)

    def _return(self, done: Callable[..., None], result: Any, error: BaseException | None) -> None:
        """Let the data thread hear of what a worker thread has done."""
        with self._waking:
            # A lane that hung may come back when the loop is gone, and the descriptor's number is
            # another file's by then.
            if not self._is_closed:
                self._done.append((done, result, error))
                os.eventfd_write(self._wake, 1)

    def _collect(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._done:
            done, result, error = self._done.popleft()
            self._heard = done
            done(result, error)
