"""The top of a pipeline: only valid requests go down, and what the device lacks is made of what it
has.

FUA is a write and a flush; WRITE_ZEROES writes zeroes, and with NO_HOLE as well;
COMPARE_AND_WRITE reads, compares and writes while everything else in its extent waits;
BLOCK_STATUS calls everything data; a request larger than the device takes is split. DISCARD is
refused where it is absent. A batch in which nothing of this is needed is passed on as it is: 0.15
us an operation.

**What waits.** The device below keeps the order of what it was given; what is emulated is there
only in part, so it is kept here, by claims. A change that is emulated shares its extent with other
changes; a comparison has it alone; a read that overlaps either waits, since a read that overlaps a
parked write is not answered before it. The comparison's own read waits for plain writes before it,
below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs

from tierce.block.device import Capabilities, Device, Geometry
from tierce.block.extent_lock import Claim, ExtentLock
from tierce.block.operation import FLAGS_OF, NO_FLAGS, Extent, Flag, Op, Request, Settled
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

    def submit(self, batch: list[Request], settled: Settled) -> None:
        """Pass on what the device does; do the rest."""
        size, block_mask = self.geometry.size_bytes, self.geometry.block_size - 1
        io_max, plain = self.geometry.io_bytes_max, _PLAIN
        if not self._lock and not self._below.read_only:
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
                self._device.submit(batch, settled)
                return
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
                    self._device.submit(passed, settled)
                    passed = []
                needs_extent = request.op in _CHANGES or not self._is_free(request)
                begin = self._claim if needs_extent else self._emulate
                self._do(request, settled, begin)
        if passed:
            self._device.submit(passed, settled)

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

    def _claim(self, request: Request, done: Callable[[], None]) -> None:
        """Do it when it has its extent, which may be now.

        One that is made of several holds it too, shared: its later pieces are not below yet, so
        that neither a comparison nor a read would wait for them.
        """

        def granted(claim: Claim) -> None:
            def release() -> None:
                # Answered in the order in which it was done, before those that waited.
                done()
                self._lock.release(claim)

            if self._is_native(request):
                self._below_do(request, release)
            else:
                self._emulate(request, release)

        exclusive = _is_alone(request.op)
        self._lock.acquire(request.offset, request.length, granted, exclusive=exclusive)

    def _do(
        self,
        request: Request,
        settled: Settled,
        begin: Callable[[Request, Callable[[], None]], None],
    ) -> None:
        """Begin; what ends before that returns has its status and is not reported again."""
        is_inside = True

        def done() -> None:
            if not is_inside:
                settled([request])

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
                where = request.offset + _first_difference(found, expected)
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


def _first_difference(found: memoryview, expected: memoryview) -> int:
    """Return where two buffers of one length begin to differ: by halving, since the comparison in
    C is some thousand times quicker than a loop here, and this is the data thread."""
    low, high = 0, len(found)
    while high - low > 1:
        middle = (low + high) // 2
        if found[low:middle] == expected[low:middle]:
            low = middle
        else:
            high = middle
    return low
