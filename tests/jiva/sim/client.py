"""The clients of the simulation: what they ask, in which mood, and what they were told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs

from jiva.sim.blocks import BLOCK, ViolationError, content, versions_of
from tierce import Code, Flag, Op, Request

if TYPE_CHECKING:
    from jiva.sim.target import Target

#: Few blocks, so that operations meet: neighbours, another granule, both sides of the borders of
#: extents (256) and regions (1024), the volume's last ones.
HOT = (0, 1, 2, 17, 255, 256, 257)
FAR = (1023, 1024, 2062, 2063)
_OUTSTANDING_MAX = 8
#: How long a client goes on after the faults are over.
_REST_S = 3.0
_ANSWERED_WITHIN_S = 1.0


@attrs.define(eq=False)
class _Asked:
    """What a client remembers of a request: when it was sent, and the version that it writes."""

    began: int
    version: int = 0
    blocks: tuple[int, ...] = ()
    expected: dict[int, int] = attrs.field(factory=dict)


@attrs.frozen
class Mood:
    """How a client behaves for a while.

    Attributes:
        name: What it is called.
        gap_s: The longest time between two batches.
        batch: The most requests in one.
        shares: Of reads, writes, flushes, zeroing, compare-and-writes.
        is_narrow: One block only.
        is_sequential: One block after the other.
        is_flushed: Each batch is followed by a flush.
    """

    name: str
    gap_s: float
    batch: int
    shares: tuple[float, float, float, float, float]
    is_narrow: bool = False
    is_sequential: bool = False
    is_flushed: bool = False


STEADY = Mood("steady", 0.04, 3, (0.38, 0.45, 0.08, 0.05, 0.04))
MOODS = (
    STEADY,
    STEADY,
    Mood("burst", 0.005, 6, (0.2, 0.6, 0.1, 0.05, 0.05)),
    Mood("hammer", 0.02, 3, (0.3, 0.45, 0.1, 0.05, 0.1), is_narrow=True),
    Mood("sequential", 0.03, 2, (0.2, 0.7, 0.1, 0, 0), is_sequential=True),
    Mood("trimmer", 0.04, 3, (0.35, 0.3, 0.05, 0.3, 0)),
    Mood("duel", 0.02, 3, (0.2, 0.3, 0.05, 0.05, 0.4), is_narrow=True),
    Mood("careful", 0.1, 2, (0.3, 0.4, 0.3, 0, 0)),
    Mood("reader", 0.02, 4, (0.93, 0.05, 0.02, 0, 0)),
    Mood("pause", 0, 0, (0, 0, 0, 0, 0)),
    Mood("flush and rest", 0, 1, (0, 0, 1, 0, 0)),
    Mood("flush and rest", 0, 1, (0, 0, 1, 0, 0)),
    Mood("lone write", 0, 1, (0, 1, 0, 0, 0)),
    Mood("lone write and flush", 0, 1, (0, 1, 0, 0, 0), is_flushed=True),
)


class Client:
    """Asks one target.

    Args:
        target: It.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.world = target.world
        self.outstanding: dict[int, Request] = {}
        self._random = target.random
        self._mood = STEADY
        self._until = 0.0
        self._place = 0
        self._is_ended = False
        self._drained: Callable[[], None] | None = None
        if self.world.asks_status:
            self._status_random = self.world.stream("status", target.number)
            self.world.later(0.02, self._wake_for_status)

    # -- when --------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Ask something, and come back."""
        world, target = self.world, self.target
        is_late = world.is_over or world.now > world.faults_s + _REST_S
        if not target.is_alive or target.is_closing or is_late or self._is_ended:
            return
        gap_s = self._next_gap()
        if self._mood.batch and not target.is_stalled:
            room = _OUTSTANDING_MAX - len(self.outstanding)
            if room > 0:
                target.guarded(self._ask)
        world.later(gap_s, self.wake)

    def _wake_for_status(self) -> None:
        """Ask for holes, beside everything else."""
        world, target = self.world, self.target
        is_late = world.is_over or world.now > world.faults_s + _REST_S
        if not target.is_alive or target.is_closing or is_late or self._is_ended:
            return
        if not target.is_stalled and len(self.outstanding) < _OUTSTANDING_MAX:
            target.guarded(lambda: self.submit([self._status()]))
        world.later(self._status_random.random() * 0.05, self._wake_for_status)

    def _next_gap(self) -> float:
        random, now = self._random, self.world.now
        if now >= self._until:
            self._mood = random.choice(MOODS)
            self.world.tally[f"mood: {self._mood.name}"] += 1
            self._until = now + random.choice([0.1, 0.3, 0.6, 1.2]) * (0.5 + random.random())
            self._place = random.randrange(len(self.world.hot))
        if not self._mood.gap_s:
            return max(0.001, self._until - now)
        return random.random() * self._mood.gap_s

    def drain(self, then: Callable[[], None]) -> None:
        """Ask nothing more; `then` is called when everything is answered, or soon if never."""
        self._is_ended = True
        self._drained = then
        patience_s = self._random.choice([0.0, 0.5, 1.0, 4.0])
        self.world.later(patience_s, self._has_drained)
        if not self.outstanding:
            self._has_drained()

    def _has_drained(self) -> None:
        then, self._drained = self._drained, None
        if then is not None:
            then()

    # -- what --------------------------------------------------------------------------------------

    def _ask(self) -> None:
        mood, random = self._mood, self._random
        batch = []
        for _ in range(random.randint(1, mood.batch)):
            read, write, flush, zero, compare = mood.shares
            kind = random.choices(range(5), (read, write, flush, zero, compare))[0]
            make = (self.read, self.write, self.flush, self._zero, self._compare)[kind]
            batch.append(make())
        self.submit(batch)
        if mood.is_flushed:
            self.world.later(random.random() * 0.1, self.flush_now)

    def flush_now(self) -> None:
        """Send a FLUSH, if there is somebody to send it to."""
        if self.target.is_alive and not self.target.is_stalled and not self._is_ended:
            self.target.guarded(lambda: self.submit([self.flush()]))

    def _blocks(self) -> tuple[int, ...]:
        """Choose neighbours among the hot blocks."""
        hot, random = self.world.hot, self._random
        if self._mood.is_sequential:
            self._place = (self._place + 1) % len(hot)
        elif not self._mood.is_narrow:
            self._place = random.randrange(len(hot))
        first = hot[self._place]
        count = random.randint(1, 3)
        blocks = tuple(i for i in range(first, first + count) if i in hot)
        return blocks if blocks == tuple(range(first, first + len(blocks))) else (first,)

    def read(self, blocks: tuple[int, ...] = ()) -> Request:
        """Make a READ."""
        blocks = blocks or self._blocks()
        length = len(blocks) * BLOCK
        asked = _Asked(self.world.history.now(), blocks=blocks)
        buffer = memoryview(bytearray(length))
        return Request(Op.READ, blocks[0] * BLOCK, length, buffer, tag=asked)

    def write(self, blocks: tuple[int, ...] = ()) -> Request:
        """Make a WRITE, now and then with FUA."""
        asked = self._change(blocks or self._blocks(), is_zeroes=False)
        data = bytearray(content(asked.version) * len(asked.blocks))
        at, fua = asked.blocks[0] * BLOCK, self._random.random() < 0.05
        return Request(Op.WRITE, at, len(data), memoryview(data), flags=Flag(fua), tag=asked)

    def flush(self) -> Request:
        """Make a FLUSH."""
        return Request(Op.FLUSH, tag=_Asked(self.world.history.now()))

    def _status(self) -> Request:
        """Make a BLOCK_STATUS of a hot block, or of all from there on."""
        first = self._status_random.choice(self.world.hot) * BLOCK
        is_long = self._status_random.random() < 0.5
        length = self.world.size_bytes - first if is_long else BLOCK
        return Request(Op.BLOCK_STATUS, first, length, tag=_Asked(self.world.history.now()))

    def _zero(self) -> Request:
        asked = self._change(self._blocks(), is_zeroes=True)
        op = self._random.choice([Op.DISCARD, Op.WRITE_ZEROES])
        fua = self._random.random() < 0.05
        at, length = asked.blocks[0] * BLOCK, len(asked.blocks) * BLOCK
        return Request(op, at, length, flags=Flag(fua), tag=asked)

    def _compare(self) -> Request:
        """Make a COMPARE_AND_WRITE of what the client believes to be there."""
        asked = self._change(self._blocks()[:2], is_zeroes=False)
        believed = self.world.believed
        asked.expected = {index: believed.get(index, 0) for index in asked.blocks}
        data = b"".join(content(version) for version in asked.expected.values())
        data += content(asked.version) * len(asked.blocks)
        at, length = asked.blocks[0] * BLOCK, len(asked.blocks) * BLOCK
        buffer = memoryview(bytearray(data))
        return Request(Op.COMPARE_AND_WRITE, at, length, buffer, tag=asked)

    def _change(self, blocks: tuple[int, ...], *, is_zeroes: bool) -> _Asked:
        version = self.world.next_number()
        history, era = self.world.history, self.target.era
        began = history.begin_write(version, blocks, era, is_zeroes=is_zeroes)
        return _Asked(began, version, blocks)

    def submit(self, batch: list[Request]) -> None:
        """Send requests."""
        for request in batch:
            self.outstanding[id(request)] = request
            self.world.tally[f"asked: {request.op.name}"] += 1
            if self.world.trace is not None:
                self.world.trace.asked(self.target.number, request)
        self.target.device.submit(batch, self._settled)
        self._settled([request for request in batch if request.status is not None])

    # -- what it was told --------------------------------------------------------------------------

    def _settled(self, requests: list[Request]) -> None:
        self.world.look(self.target)
        for request in requests:
            assert request.status is not None
            del self.outstanding[id(request)]
            if self.world.trace is not None:
                self.world.trace.answered(self.target.number, request)
            if request.status.is_good:
                self._judge(request)
            else:
                self._refused(request, request.status.code)
            if request.buffer is not None:
                # The buffer is its owner's again, who uses it for something else.
                request.buffer[:] = b"\xee" * len(request.buffer)
        if self._drained is not None and not self.outstanding:
            self._has_drained()

    def _judge(self, request: Request) -> None:
        asked: _Asked = request.tag
        world, history = self.world, self.world.history
        if request.op is Op.READ:
            for index, held in self._held(request):
                history.end_read(index, held, asked.began, self.target.era)
                world.believed[index] = held
            world.memory.check_cached(asked.blocks)
            return
        if request.op is Op.BLOCK_STATUS:
            # A hole is a read of zeroes.
            for index in self._in_holes(request):
                world.tally["told as a hole"] += 1
                history.end_read(index, 0, asked.began, self.target.era)
            return
        if request.op is Op.FLUSH:
            history.complete_flush(asked.began)
            world.check_durable(self.target)
            return
        if request.op is Op.COMPARE_AND_WRITE:
            world.tally["compare-and-write"] += 1
            history.replace(asked.version, asked.expected, asked.began, self.target.era)
        else:
            history.acknowledge_write(asked.version)
        if request.flags & Flag.FUA:
            history.complete_flush(asked.began, asked.version)
            world.check_durable(self.target)
        held = asked.version if request.buffer is not None else 0
        world.believed.update(dict.fromkeys(asked.blocks, held))
        world.memory.check_cached(asked.blocks)

    def _refused(self, request: Request, code: Code) -> None:
        asked: _Asked = request.tag
        world, history = self.world, self.world.history
        world.tally[f"answer: {code.name}"] += 1
        if code is Code.MISCOMPARE:
            assert request.status is not None
            assert request.status.offset is not None
            at = request.status.offset // BLOCK
            for index in asked.blocks[: asked.blocks.index(at)]:
                held = asked.expected[index]
                history.end_read(index, held, asked.began, self.target.era)
            history.miss(at, asked.expected[at], asked.began, self.target.era)
            history.forget_write(asked.version)
        elif asked.version:
            history.refuse_write(asked.version)
        elif code is Code.READ_ERROR and not world.may_be_unreadable:
            raise ViolationError(f"nobody could read block {request.offset // BLOCK}")

    def _in_holes(self, request: Request) -> Iterator[int]:
        for extent in request.extents:
            for index in self.world.hot:
                at = index * BLOCK - extent.offset
                if extent.is_hole and 0 <= at < extent.length:
                    yield index

    def _held(self, request: Request) -> Iterator[tuple[int, int]]:
        assert request.buffer is not None
        first = request.offset // BLOCK
        return enumerate(versions_of(bytes(request.buffer)), first)
