"""The top of a pipeline: only valid requests go down, and what the device lacks is made of what it
has.

FUA is a write and a flush; WRITE_ZEROES writes zeroes, and with NO_HOLE as well;
COMPARE_AND_WRITE reads, compares and writes while everything else in its extent waits;
BLOCK_STATUS calls everything data; a request larger than the device takes is split. DISCARD is
refused where it is absent. A batch in which nothing of this is needed is passed on as it is: 0.15
us an operation.

**What waits.** The device below keeps the order of what it was given; what is emulated is there
only in part, so it is kept here, by holds. A change that is emulated shares its extent with other
changes; a comparison has it alone; a read that overlaps either waits, since a read that overlaps a
pending write is not answered before it. The comparison's own read waits for plain writes before it,
below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs

from tierce.block.comparison import first_difference
from tierce.block.device import Capabilities, Device, Geometry
from tierce.block.extent_lock import ExtentHold, ExtentLock
from tierce.block.operation import FLAGS_OF, NO_FLAGS, Completed, Extent, Flag, Op, Request
from tierce.block.quiet import when_quiet
from tierce.block.status import GOOD, Code, Status

_ZEROES_BYTES = 1 << 20
_CHANGES = frozenset({Op.WRITE, Op.DISCARD, Op.WRITE_ZEROES, Op.COMPARE_AND_WRITE})
_PLAIN = frozenset({Op.READ, Op.WRITE})
#: All there are.
_FLAGS = Flag.FUA | Flag.NO_HOLE


class Emulator:
    """A device that does every operation.

    Args:
        device: The device below.
    """

    def __init__(self, device: Device) -> None:
        below = device.capabilities
        self.geometry: Geometry = device.geometry
        self.capabilities: Capabilities = attrs.evolve(
            below, flags=_FLAGS, write_zeroes=True, compare_and_write=True, block_status=True
        )
        self._device = device
        self._below = below
        self._lock = ExtentLock()
        self._zeroes = memoryview(bytes(_ZEROES_BYTES))
        #: Takes what changes bytes, while they are held.
        self._keep: Callable[[list[Request], Completed], None] | None = None
        #: False where no batch passes as it is: it reads only, or is held.
        self._is_open = not below.read_only
        #: Changes under way that are done here, and who waits for none to be.
        self._changing = 0
        self._unchanging: list[Callable[[], None]] = []

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Pass on what the device does; do the rest."""
        size, block_mask = self.geometry.size_bytes, self.geometry.block_size - 1
        io_max, plain = self.geometry.io_bytes_max, _PLAIN
        if not self._lock and self._is_open:
            for request in batch:
                offset, length = request.offset, request.length
                if (
                    request.op not in plain
                    or request.flags
                    or not 0 < length <= io_max
                    or not 0 <= offset <= size - length
                    or (offset | length) & block_mask
                ):
                    break
            else:
                self._device.submit(batch, completed)
                return
        if self._keep is None:
            self._sort(batch, completed)
        else:
            self._keep_changes(batch, completed, self._keep)

    def hold(self, keep: Callable[[list[Request], Completed], None]) -> None:
        """Pass nothing on that changes bytes, but to `keep`, until `let_go`."""
        self._keep, self._is_open = keep, False

    def submit_kept(self, batch: list[Request], completed: Completed) -> None:
        """Take back what was kept, while the rest is held: as `submit`, but for whoever has pending
        it, who reports what has a status on return."""
        self._sort(batch, completed)

    def let_go(self) -> None:
        """Pass everything on again."""
        self._keep, self._is_open = None, not self._below.read_only

    def when_unchanging(self, call: Callable[[], None]) -> None:
        """Call once no change is under way that is done here; what passed as it is, the device
        knows. From within, if that is so now."""
        if self._changing:
            self._unchanging.append(call)
        else:
            call()

    def _keep_changes(
        self,
        batch: list[Request],
        completed: Completed,
        keep: Callable[[list[Request], Completed], None],
    ) -> None:
        kept: list[Request] = []
        others: list[Request] = []
        for request in batch:
            # What is refused or empty changes nothing, and is answered now.
            is_kept = request.op in _CHANGES and self._refusal(request) is None
            (kept if is_kept else others).append(request)
        if kept:
            keep(kept, completed)
        if others:
            self._sort(others, completed)

    def _sort(self, batch: list[Request], completed: Completed) -> None:
        """Take a batch of which not everything passes as it is."""
        passed: list[Request] = []
        for request in batch:
            refusal = self._refusal(request)
            if refusal is not None:
                request.status = refusal
            elif self._may_pass(request):
                passed.append(request)
            else:
                # What came before goes down before: a comparison must wait for those writes.
                if passed:
                    self._device.submit(passed, completed)
                    passed = []
                needs_extent = request.op in _CHANGES or not self._is_free(request)
                begin = self._hold_extent if needs_extent else self._emulate
                self._do(request, completed, begin)
        if passed:
            self._device.submit(passed, completed)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """As below: what is emulated is answered only by what it is made of."""
        when_quiet(self._device, quiet)

    def close(self, closed: Callable[[Status], None]) -> None:
        """As below."""
        self._device.close(closed)

    def _refusal(self, request: Request) -> Status | None:
        """Return why the request can't be done, or None. A length of 0 is done at once."""
        op, offset, length = request.op, request.offset, request.length
        if request.flags:
            # Of ints: to invert a Flag is to lose what it has no name for.
            unknown = int(request.flags) & ~int(FLAGS_OF[op])
            if unknown:
                return Status(Code.UNSUPPORTED, f"{op.name} takes no flag {Flag(unknown)!r}")
        if op is Op.FLUSH:
            return None
        block_size = self.geometry.block_size
        if offset < 0 or length < 0 or offset + length > self.geometry.size_bytes:
            reason = f"{length} bytes at {offset} reach past the end, {self.geometry.size_bytes}"
            return Status(Code.OUT_OF_RANGE, reason)
        if offset % block_size or length % block_size:
            reason = f"{length} bytes at {offset} are no multiple of the block, {block_size}"
            return Status(Code.OUT_OF_RANGE, reason)
        if op in _CHANGES and self._below.read_only:
            return Status(Code.READ_ONLY, "the volume is open for reading only")
        if op is Op.DISCARD and not self._below.discard:
            return Status(Code.UNSUPPORTED, "the engine does not do DISCARD")
        return None if length else GOOD

    def _may_pass(self, request: Request) -> bool:
        """True if the device does it, and nothing of ours stands against it."""
        return self._is_native(request) and (
            not self._lock or request.op is Op.FLUSH or self._is_free(request)
        )

    def _is_free(self, request: Request) -> bool:
        exclusive = _is_alone(request.op)
        return self._lock.is_free(request.offset, request.length, exclusive=exclusive)

    def _is_native(self, request: Request) -> bool:
        if request.op in _PLAIN and request.length > self.geometry.io_bytes_max:
            return False
        return self._below.does(request.op) and not (request.flags and self._lacks(request.flags))

    def _hold_extent(self, request: Request, done: Callable[[], None]) -> None:
        """Do it when it has its extent, which may be now.

        One that is made of several holds it too, shared: its later pieces are not below yet, so
        that neither a comparison nor a read would wait for them.
        """

        def granted(hold: ExtentHold) -> None:
            def release() -> None:
                # Answered in the order in which it was done, before those that waited.
                done()
                self._lock.release(hold)

            if self._is_native(request):
                self._below_do(request, release)
            else:
                self._emulate(request, release)

        exclusive = _is_alone(request.op)
        self._lock.acquire(request.offset, request.length, granted, exclusive=exclusive)

    def _do(
        self,
        request: Request,
        completed: Completed,
        begin: Callable[[Request, Callable[[], None]], None],
    ) -> None:
        """Begin; what ends before that returns has its status and is not reported again."""
        is_inside = True
        is_change = request.op in _CHANGES
        self._changing += is_change

        def done() -> None:
            self._changing -= is_change
            if not is_inside:
                completed([request])
            if self._unchanging and not self._changing:
                waiting, self._unchanging = self._unchanging, []
                for call in waiting:
                    call()

        begin(request, done)
        is_inside = False

    # -- emulation ---------------------------------------------------------------------------------

    def _below_do(self, request: Request, done: Callable[[], None]) -> None:
        """Submit one request of our own; `done` when it has its status."""
        self._device.submit([request], lambda _requests: done())
        if request.status is not None:
            done()

    def _emulate(self, request: Request, done: Callable[[], None]) -> None:
        """Do it with other operations; `done` when it has its status."""
        op = request.op

        def finish(status: Status) -> None:
            request.status = status
            done()

        def written(status: Status) -> None:
            if status.is_good and request.flags & Flag.FUA:
                flush = request.derive(Op.FLUSH, 0, 0, flags=NO_FLAGS)
                self._below_do(flush, lambda: finish(_status(flush)))
            else:
                finish(status)

        if op is Op.BLOCK_STATUS:
            request.extents = (Extent(request.offset, request.length, is_hole=False),)
            finish(GOOD)
        elif op is Op.READ:
            self._pieces(request, finish)
        elif op is Op.COMPARE_AND_WRITE:
            self._compare(request, written)
        else:
            self._pieces(request, written)

    def _pieces(
        self, request: Request, finish: Callable[[Status], None], done_bytes: int = 0
    ) -> None:
        """Do a request piece by piece, in order, until one fails."""
        while done_bytes < request.length:
            piece = self._piece(request, done_bytes)
            done_bytes += piece.length
            self._device.submit([piece], partial(self._resume, request, finish, done_bytes))
            if piece.status is None:
                return
            if not piece.status.is_good:
                finish(piece.status)
                return
        finish(GOOD)

    def _resume(
        self,
        request: Request,
        finish: Callable[[Status], None],
        done_bytes: int,
        pieces: list[Request],
    ) -> None:
        status = _status(pieces[0])
        if status.is_good:
            self._pieces(request, finish, done_bytes)
        else:
            finish(status)

    def _piece(self, request: Request, done_bytes: int) -> Request:
        left = request.length - done_bytes
        offset = request.offset + done_bytes
        # What is made of several is durable by one flush at the end, whatever the device knows.
        flags = request.flags & ~Flag.FUA
        if request.op is Op.WRITE_ZEROES and (not self._below.write_zeroes or self._lacks(flags)):
            length = min(left, _ZEROES_BYTES, self.geometry.io_bytes_max)
            return request.derive(Op.WRITE, offset, length, self._zeroes[:length], flags=NO_FLAGS)
        if request.buffer is None:
            return request.derive(request.op, offset, left, flags=flags)
        length = min(left, self.geometry.io_bytes_max)
        part = request.buffer[done_bytes : done_bytes + length]
        return request.derive(request.op, offset, length, part, flags=flags)

    def _lacks(self, flags: Flag) -> bool:
        return bool(int(flags) & ~int(self._below.flags))

    def _compare(self, request: Request, finish: Callable[[Status], None]) -> None:
        assert request.buffer is not None
        expected = request.buffer[: request.length]
        found = memoryview(bytearray(request.length))
        data = request.buffer[request.length :]
        read = request.derive(Op.READ, request.offset, request.length, found, flags=NO_FLAGS)
        write = request.derive(Op.WRITE, request.offset, request.length, data, flags=NO_FLAGS)

        def compare(status: Status) -> None:
            if not status.is_good:
                finish(status)
            elif found != expected:
                where = request.offset + first_difference(found, expected)
                finish(Status(Code.MISCOMPARE, f"other bytes at {where} than expected", where))
            else:
                self._pieces(write, finish)

        self._pieces(read, compare)


def _status(request: Request) -> Status:
    assert request.status is not None
    return request.status


def _is_alone(op: Op) -> bool:
    """True if nothing that is emulated may touch the extent meanwhile. A read is alone, so that it
    waits for changes, which share: reads that wait for one another are as rare as what they wait
    for."""
    return op is Op.COMPARE_AND_WRITE or op not in _CHANGES
