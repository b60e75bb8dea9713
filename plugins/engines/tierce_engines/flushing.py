"""FLUSH of one file, and what follows from one that fails.

::

    SOUND --fdatasync failed, noted--> IN DOUBT --rewritten--> IN DOUBT, rewritten
      ^                                    |                         |
      '---- rewritten, if accepted --------'         accepted: the note is cleared
            before this opening

In doubt every FLUSH is answered with what failed. What is in doubt is written again as it reads, so
that it can't change any more behind the back of who checks it: the page cache has the newer bytes
mostly, but nobody can prove it (`doubt.py`), and so only an operator ends the doubt.

A kill -9 in the milliseconds between a failed fdatasync and its note hides the failure, because the
kernel tells it but once.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import attrs

from tierce import (
    GOOD,
    Closed,
    Code,
    Completed,
    Event,
    ExtentHold,
    ExtentLock,
    OpenContext,
    Request,
    Status,
    VolumeStatus,
    explain,
    write_all,
)
from tierce_engines.doubt import SOUND, Doubt, DoubtNote
from tierce_engines.extents import find_extents

#: What is read and written again at once.
_PIECE_BYTES = 1 << 20

Waiting = list[tuple[Request, Completed]]


class Flusher:
    """Answers the flushes of one open file.

    Args:
        context: What core opened the engine with.
        path: The file, for messages.
        descriptor: The open file.
        lock: The extents that are busy; what is rewritten is held there.
    """

    def __init__(self, context: OpenContext, path: Path, descriptor: int, lock: ExtentLock) -> None:
        self._path = path
        self._descriptor = descriptor
        self._lock = lock
        self._emit = context.emit
        self._publish = context.publish
        self._offload = context.reactor.offload
        self._volume = context.volume.name
        self._size_bytes = context.volume.size_bytes
        self._note = DoubtNote(context.volume.folder, context.volume.size_bytes)
        self._doubt = self._note.read()
        #: Which regions were changed since the last completed fdatasync began: a byte for each. The
        #: data path notes what it has written itself, `touched[offset >> shift] = 1`.
        self.touched = bytearray(self._note.region_count)
        self.shift = self._note.shift
        #: Those that the fdatasync under way covers, if it succeeds.
        self._syncing = bytes(self._note.region_count)
        #: Changes that are under way on worker threads, as (offset, length).
        self._under_way: list[tuple[int, int]] = []
        self._waiting: Waiting = []
        self._is_busy = False
        self._closed: Closed | None = None
        #: The fdatasync under way, or the last one, began after `close`.
        self._is_last = False
        self._begin()

    def _begin(self) -> None:
        if self._doubt:
            self._show()
        if self._doubt and not self._doubt.is_rewritten:
            self._rewrite()
        else:
            # What a process that was killed here has written nobody knows: if it could not be made
            # durable, everything is in doubt.
            self.touch(0, self._size_bytes)
            self._sync()

    # -- what is changed ---------------------------------------------------------------------------

    def begin_change(self, offset: int, length: int) -> None:
        """A worker thread begins to change these bytes."""
        self._under_way.append((offset, length))
        self.touch(offset, length)

    def end_change(self, offset: int, length: int) -> None:
        """It has ended. A flush that began meanwhile need not have covered it."""
        self._under_way.remove((offset, length))
        self.touch(offset, length)

    def touch(self, offset: int, length: int) -> None:
        """Note that these bytes are changed."""
        first, last = offset >> self.shift, max(offset, offset + length - 1) >> self.shift
        self.touched[first : last + 1] = b"\1" * (last + 1 - first)

    # -- flushing ----------------------------------------------------------------------------------

    def flush(self, request: Request, completed: Completed) -> None:
        """Answer it now or later. One fdatasync at a time; those that come meanwhile share the
        next one."""
        if self._is_refused():
            request.status = self._status()
            return
        self._waiting.append((request, completed))
        if not self._is_busy:
            self._sync()

    def close(self, closed: Closed) -> None:
        """Make everything durable that can be, then `closed`; the file stays open."""
        self._closed = closed
        if not self._is_busy:
            self._sync()

    def _is_refused(self) -> bool:
        return bool(self._doubt) and not self._doubt.is_accepted

    def _sync(self) -> None:
        """Begin an fdatasync for those who wait."""
        waiting, self._waiting = self._waiting, []
        self._begin_sync()
        self._offload(partial(os.fdatasync, self._descriptor), partial(self._synced, waiting))

    def _begin_sync(self) -> None:
        """What is changed from now on is not covered."""
        self._is_busy = True
        self._is_last = self._closed is not None
        self._syncing = bytes(self.touched)
        # Emptied, not replaced: the data path holds it while it works on a batch.
        self.touched[:] = bytes(len(self.touched))
        for offset, length in self._under_way:
            self.touch(offset, length)

    def _synced(self, waiting: Waiting, _result: None, error: BaseException | None) -> None:
        if error is None:
            self._go_on(waiting)
        else:
            self._fall_in_doubt(f"{self._path} could not be flushed: {explain(error)}", waiting)

    def _go_on(self, waiting: Waiting) -> None:
        """Answer those who waited, and begin what has come meanwhile."""
        self._is_busy = False
        if self._is_refused():
            waiting, self._waiting = waiting + self._waiting, []
        closed = self._closed
        is_over = closed is not None and self._is_last and not self._waiting
        if self._waiting or (closed is not None and not is_over):
            self._sync()
        answer(waiting, self._status())
        if closed is not None and is_over:
            closed(self._status())

    def _status(self) -> Status:
        if not self._is_refused():
            return GOOD
        reason = (
            f"{self._note.describe(self._doubt)}. Check the volume; `tierce volume accept-loss "
            f"{self._volume}` lets it go on"
        )
        return Status(Code.WRITE_ERROR, reason)

    # -- doubt -------------------------------------------------------------------------------------

    def _fall_in_doubt(self, why: str, waiting: Waiting) -> None:
        """Note what is in doubt, then answer and tell it; then it is rewritten."""
        regions = self._doubt.regions | _ones(self._syncing) | _ones(self.touched)
        # Whatever failed, something was to be made durable.
        doubt = Doubt(regions or frozenset({0}), why, round(time.time(), 3))

        def noted(_result: None, error: BaseException | None) -> None:
            self._doubt = doubt
            self._show()
            if error is not None:
                self._tell("file.doubt-not-noted", f"{self._note.path}: {explain(error)}")
            self._tell("file.in-doubt", self._status().reason)
            is_over = self._is_last
            self._go_on(waiting)
            if not is_over and not self._is_busy:
                self._rewrite()

        self._offload(partial(self._note.save, doubt), noted)

    def _rewrite(self) -> None:
        """Write what is in doubt again as it reads, region by region, then make it durable."""
        self._is_busy = True
        self._rewrite_next(iter(sorted(self._doubt.regions)))

    def _rewrite_next(self, left: Iterator[int]) -> None:
        region = next(left, None)
        if self._closed is not None:
            self._sync()
        elif region is not None:
            offset, length = self._note.extent(region)
            self._lock.acquire(
                offset, length, partial(self._rewrite_one, left, offset, length), exclusive=True
            )
        else:
            self._begin_sync()
            self._offload(
                partial(os.fdatasync, self._descriptor),
                lambda _result, error: self._rewritten(error),
            )

    def _rewrite_one(self, left: Iterator[int], offset: int, length: int, hold: ExtentHold) -> None:
        def done(_result: None, error: BaseException | None) -> None:
            self._lock.release(hold)
            if error is not None:
                self._rewritten(error)
            else:
                self._rewrite_next(left)

        self._offload(partial(rewrite, self._descriptor, offset, length), done)

    def _rewritten(self, error: BaseException | None) -> None:
        """Note what came of it. What was accepted is over, if it went well."""
        if error is not None:
            regions = self._doubt.regions | _ones(self._syncing)
            doubt = attrs.evolve(self._doubt, regions=regions, is_accepted=False)
        elif self._doubt.is_accepted:
            doubt = SOUND
        else:
            doubt = attrs.evolve(self._doubt, is_rewritten=True)
        self._offload(partial(self._note.save, doubt), partial(self._rewriting_noted, doubt, error))

    def _rewriting_noted(
        self,
        doubt: Doubt,
        error: BaseException | None,
        _result: None,
        failure: BaseException | None,
    ) -> None:
        # What can't be noted can't be over.
        self._doubt = doubt if failure is None else attrs.evolve(self._doubt, is_accepted=False)
        failed = error or failure
        if failed is not None:
            what = f"what is in doubt could not be written again: {explain(failed)}"
            self._tell("file.not-rewritten", f"{self._path}: {what}")
        elif not doubt:
            self._tell("file.doubt-over", f"{self._path}: flushes go on", "info")
        self._show()
        self._go_on([])

    def _show(self) -> None:
        """Show operators how it is."""
        if self._doubt:
            medium = self._note.describe(self._doubt)
            self._publish(VolumeStatus(state="degraded", medium=medium))
        else:
            self._publish(VolumeStatus())

    def _tell(self, code: str, message: str, severity: str = "error") -> None:
        self._emit(Event(code, message, f"volume/{self._volume}", severity))


def _ones(touched: bytes | bytearray) -> frozenset[int]:
    """Return the numbers of the regions that are noted."""
    return frozenset(number for number, is_noted in enumerate(touched) if is_noted)


def rewrite(descriptor: int, offset: int, length: int) -> None:
    """Write the bytes of an extent again, as they read; holes stay holes. Waits for the disk."""
    is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
    extents = [(offset, length)]
    if is_regular:
        found = find_extents(descriptor, offset, length)
        extents = [(one.offset, one.length) for one in found if not one.is_hole]
    for start, size in extents:
        for at in range(start, start + size, _PIECE_BYTES):
            count = min(_PIECE_BYTES, start + size - at)
            write_all(descriptor, os.pread(descriptor, count, at), at)


def answer(waiting: Waiting, status: Status) -> None:
    """Give all of them this status, those of one caller at once."""
    answers: dict[Completed, list[Request]] = {}
    for request, completed in waiting:
        request.status = status
        answers.setdefault(completed, []).append(request)
    for completed, requests in answers.items():
        completed(requests)
