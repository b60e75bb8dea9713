"""The one loop of a data process, as the things that live on it see it.

A data process has one data thread. Everything that is called from it must return at once; what
waits (fsync, a cold read) goes through `offload`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Event bits of `Reactor.watch`, equal to select.EPOLLIN and select.EPOLLOUT.
READABLE = 0x1
WRITABLE = 0x4

#: A call that took longer is worth a name, should the loop's round have taken too long.
HELD_NS = 50_000_000


class Timer(Protocol):
    """A call that is due later.

    Thread: data thread.
    Blocking: no.
    Failure: it raises nothing.
    Since: contract 2.
    """

    def cancel(self) -> None:
        """Forget it; harmless if it has run already."""
        ...


class Lane(Protocol):
    """A worker thread of one owner: what is offloaded to it runs one after another, in order.

    Thread: data thread.
    Blocking: no.
    Failure: what `work` raises goes to `done`.
    Since: contract 2.
    """

    def offload(
        self, work: Callable[[], T], done: Callable[[T | None, BaseException | None], None]
    ) -> None:
        """As `Reactor.offload`, always on the same thread."""
        ...

    def run(self, work: Callable[[], T]) -> T:
        """Run `work()` there and wait for it. Only while a process starts: nothing else waits.

        Blocking: yes.
        Failure: what `work` raises is raised.
        """
        ...

    def tell(self, call: Callable[[], None]) -> None:
        """Have `call()` called on the data thread, soon.

        Thread: any thread.
        Failure: what `call` raises ends the process.
        """
        ...

    def close(self) -> None:
        """Let the thread end once it has done all of it.

        Failure: it raises nothing.
        """
        ...


class Reactor(Protocol):
    """What a data process offers to front ends, devices and members.

    Attributes:
        woke_ns: When the loop woke up last (CLOCK_MONOTONIC, ns): what it deals with now has been
            there since then, or longer. To ask for it costs nothing.

    Thread: data thread.
    Blocking: no.
    Failure: what `ready` or `call` raises ends the process; it is told by the name of its plugin.
    Since: contract 2.
    """

    woke_ns: int

    def now(self) -> float:
        """Return CLOCK_MONOTONIC in seconds.

        Failure: it raises nothing.
        """
        ...

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        """Call `ready(event_bits)` whenever the descriptor is (level-triggered).

        Watching a descriptor again replaces its events and callback.
        """
        ...

    def unwatch(self, descriptor: int) -> None:
        """Stop watching, before the descriptor is closed; harmless if it is not watched.

        Failure: it raises nothing.
        """
        ...

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Timer:
        """Call once, `delay_s` seconds from now. A loop without timers sleeps for ever."""
        ...

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call once, from the loop, after what runs now has returned."""
        ...

    def offload(
        self, work: Callable[[], T], done: Callable[[T | None, BaseException | None], None]
    ) -> None:
        """Run `work()` on a worker thread, then `done(result, error)` on the data thread.

        Only for what waits in the kernel with the GIL released. Python that computes belongs in
        another process: a second busy thread costs this one 45 to 150 times its speed.

        Failure: what `work` raises goes to `done`; what `done` raises ends the process.
        """
        ...

    def lane(self) -> Lane:
        """Return a worker thread of one's own, for what must always be called on the same.

        Failure: it raises nothing.
        """
        ...

    def held(self, what: str, elapsed_ns: int) -> None:
        """Note that a call has held up the loop for so long. Only for what took longer than some
        50 ms: who tells of a round of the loop that took too long names it.

        Failure: it raises nothing.
        """
        ...


__all__ = ["HELD_NS", "READABLE", "WRITABLE", "Lane", "Reactor", "Timer"]
