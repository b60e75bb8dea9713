"""How a replica that is not in the in-sync set earns its place.

It is marked, then takes every live write; extent by extent (1 MiB) what differs from a member is
copied and proved by digest, while writes to that extent wait; a flush begun after the last copy
completes, and every write since then waits for this replica too. Then it is proposed as a member.
A failure anywhere, or a block that is wrong after its copy, means that it is not let in; it may
try again later, from the beginning, which costs little where little differs.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce_jiva.extent_copy import ExtentCopy
from tierce_jiva.links import Link, Links
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame

#: What is compared and copied at once: long enough to hash at memory speed, short enough that a
#: write to it waits a few milliseconds.
EXTENT_BYTES = 1 << 20
assert EXTENT_BYTES <= BATCH_BYTES_MAX


class CatchUp:
    """One replica catching up.

    Args:
        links: The replicas.
        link: The one that catches up; ready.
        source: Returns a member to copy from, or None if there is none now.
        size_bytes: The volume's size in bytes.
        window: Extents under way at once.
        locked: Extents that writes must not enter: shared with who admits them. A write that was
            admitted before is ahead of the copy on every connection, and so needs no waiting for.
        join: Called when it is marked: from now on every write goes to it too, and waits for it.
        unlocked: Called when an extent was taken out of `locked`.
        finishing: Called before its last flush: from now on every flush waits for it too.
        proved: Called when it is equal and has flushed: it may be proposed.
        failed: Called with the reason when it will not be.
    """

    def __init__(
        self,
        links: Links,
        link: Link,
        *,
        source: Callable[[], Link | None],
        size_bytes: int,
        window: int,
        locked: Unsettled,
        join: Callable[[], None],
        unlocked: Callable[[], None],
        finishing: Callable[[], None],
        proved: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self.link = link
        self.size_bytes = size_bytes
        self.done_bytes = 0
        self.copied_bytes = 0
        self._links = links
        self._source = source
        self._window = window
        self._locked = locked
        self._join = join
        self._unlocked = unlocked
        self._finishing = finishing
        self._proved = proved
        self._failed = failed
        self._next = 0
        self._copying: dict[tuple[int, int], ExtentCopy] = {}
        self._is_over = False
        self._is_stopped = False
        assert link.promise is not None
        self._always = link.promise.suspect

    def start(self) -> None:
        """Begin."""
        if self._always:
            self._ask({"kind": "renew"}, "renewed", self._mark)
        else:
            self._mark()

    def _mark(self) -> None:
        self._ask({"kind": "mark", "marked": True}, "marked", self._marked)

    def _marked(self) -> None:
        self._join()
        self._fill()

    def stop(self) -> None:
        """Give up without a word: its link was lost, or it is not needed any more."""
        self._is_over = True
        self._is_stopped = True
        for extent, copy in self._copying.items():
            copy.abandon()
            self._locked.remove(*extent)
        self._copying.clear()

    def fail(self, reason: str) -> None:
        """Give up and say why."""
        if not self._is_over:
            self.stop()
            self._failed(reason)

    def _fill(self) -> None:
        while not self._is_over and len(self._copying) < self._window:
            if self._next >= self.size_bytes:
                break
            self._begin()
        if not self._is_over and not self._copying:
            self._flush()

    def _begin(self) -> None:
        source = self._source()
        if source is None:
            self.fail("no member is there to copy from")
            return
        extent = (self._next, min(EXTENT_BYTES, self.size_bytes - self._next))
        self._next += extent[1]
        self._locked.add(*extent)
        copy = ExtentCopy(
            self._links,
            source,
            (self.link,),
            *extent,
            always=self._always,
            done=lambda trouble: self._copied(extent, copy, trouble),
        )
        self._copying[extent] = copy
        copy.start()

    def _copied(self, extent: tuple[int, int], copy: ExtentCopy, trouble: str | None) -> None:
        if self._is_over:
            return
        if trouble is not None:
            self.fail(trouble)
            return
        del self._copying[extent]
        self._locked.remove(*extent)
        self.done_bytes += extent[1]
        self.copied_bytes += copy.copied_bytes
        self._unlocked()
        self._fill()

    def _flush(self) -> None:
        self._is_over = True
        self._finishing()

        def flushed(frame: Frame | None) -> None:
            if self._is_stopped:
                return
            if frame is not None and frame.count and self.link.promise is not None:
                # It says so itself at its next promise; until then we know.
                self.link.promise = attrs.evolve(self.link.promise, suspect=True)
            if frame is None or frame.count:
                self._failed(f"{self.link.name} can't flush what was copied to it")
            else:
                self._proved()

        self._links.ask_flush(self.link, flushed)

    def _ask(self, message: dict[str, object], reply: str, then: Callable[[], None]) -> None:
        def answered(is_done: bool) -> None:
            if self._is_over:
                return
            if is_done:
                then()
            else:
                self.fail(f"{self.link.name} was lost")

        self._links.ask_control(self.link, message, reply, answered)
