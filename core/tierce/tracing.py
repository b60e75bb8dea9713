"""Following single I/Os through the stages of a volume, at no cost that anybody notices.

Nearly all I/Os are only counted. Two kinds are written down one by one:

- **Sampled**: one in so many, chosen before it begins.
- **Slow**: whatever took too long, decided afterwards. A stage that takes an eighth of that leaves
  its stamp on the requests it was slow with, so that a slow one has with it what made it so.

What a stage or front end pays otherwise is a comparison for each batch: `note_ns` and `look_ns` are
below zero while a sampled I/O is under way.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from tierce.block.operation import Op, Request
from tierce.block.status import Code
from tierce.trace_limits import NEVER, SAMPLE_EVERY, SLOW_NS, TraceLimits

#: A stage leaves its stamp that takes longer than this share of it.
NOTE_SHARE = 8
#: More than so many in a second are not written: the rest is counted.
SAMPLED_COUNT_MAX, SLOW_COUNT_MAX = 20, 100
#: Of one I/O.
STAMP_COUNT_MAX = 35
#: A sampled one that is not answered for so long is followed no more: it may never be.
FOLLOWED_NS_MAX = 60_000_000_000
_NS_PER_S = 1_000_000_000

assert SLOW_NS // NOTE_SHARE > 0

#: The stage, whose it is of several beside each other ("replica-2"; empty if there are none), when
#: it began (CLOCK_MONOTONIC, ns), how long it took in ns, and which it is of those of the same
#: stage and member.
Stamp = tuple[str, str, int, int, int]
#: The number of a stamp whose maker has not numbered it: it gets one when the I/O is written down.
UNNUMBERED = -1
#: Numbers are below this one.
NUMBER_COUNT = 1 << 16


def span_id_of(root: bytes, stage: str, member: str = "", number: int = 0) -> bytes:
    """Return the id (8 bytes) of what a stage did with an I/O, as a span of its own.

    It follows from what is known when the stage begins, so that who is asked to do something can be
    told it, and each reader of a record finds the same.

    Args:
        root: The span id of the whole I/O, 8 bytes.
        stage: The stage: "jiva.replica".
        member: Whose it is of several beside each other; else empty.
        number: Which it is of those of the same stage and member.
    """
    what = f"{stage}\0{member}\0{number}".encode()
    return hashlib.blake2b(what, digest_size=8, key=root).digest()


@attrs.define(eq=False)
class Trace:
    """What is known of one request's way: it lies in `Request.trace`.

    Attributes:
        stamps: Of the stages, in the order in which they ended.
        is_sampled: It was chosen before it began.
        trace_id: 16 bytes; empty before they are drawn: of a sampled one that is when it is chosen,
            of a slow one when it is written down.
        span_id: 8 bytes, likewise.
    """

    stamps: list[Stamp] = attrs.field(factory=list)
    is_sampled: bool = False
    trace_id: bytes = b""
    span_id: bytes = b""


@attrs.frozen
class TracedIo:
    """One I/O that is to be written down.

    Attributes:
        op: What was asked.
        offset: Its first byte.
        length: Its bytes.
        batch: How many were answered with it.
        code: How it ended.
        start_ns: When it arrived, in ns since the epoch.
        elapsed_ns: From its arrival to its answer.
        is_sampled: It was chosen before it began.
        is_slow: It took too long.
        trace_id: 16 bytes.
        span_id: 8 bytes.
        stamps: Of its stages, their beginnings in ns from its arrival on; all are numbered.
    """

    op: Op
    offset: int
    length: int
    batch: int
    code: Code
    start_ns: int
    elapsed_ns: int
    is_sampled: bool
    is_slow: bool
    trace_id: bytes
    span_id: bytes
    stamps: tuple[Stamp, ...]


class Tracer:
    """Who is followed, of one volume.

    A front end that counts what it answers samples and looks: `left`, `sample`, `look_ns`,
    `answered`. A stage leaves stamps: `note_ns`, `note`. Whoever makes requests of a request does
    so by `Request.derive`, which keeps what belongs together.

    While only some are asked for (`TraceLimits.has_filter`), `left` stays below zero: each batch is
    looked at. Nobody pays for that else.

    Args:
        write: Writes an I/O down; None if nobody is to be followed.
        left_out: Called with how many were not written since there were too many.
        every: One in so many is sampled.
        slow_ns: What takes longer is slow.
        wall_ns: Returns nanoseconds since the epoch.
        slow: Called with what was asked of each that is slow.

    Attributes:
        limits: Who is followed; `limit` sets others.
        left: How many requests there are to be before one is sampled. A front end takes the length
            of each batch from it, and calls `sample` when it is below zero.
        note_ns: A stage that took longer calls `note`.
        look_ns: A front end whose answer took longer calls `answered`.
        live: How many sampled I/Os are under way.

    Thread: data thread.
    Blocking: no.
    Failure: it raises nothing.
    Since: contract 2.
    """

    __slots__ = (
        *("_followed", "_left_out", "_random", "_second", "_skipped", "_slow", "_slow_ns"),
        *("_wall_ns", "_write", "_written", "left", "limits", "live", "look_ns", "note_ns"),
    )

    def __init__(
        self,
        write: Callable[[TracedIo], None] | None = None,
        left_out: Callable[[int], None] = lambda _count: None,
        every: int = SAMPLE_EVERY,
        slow_ns: int = SLOW_NS,
        wall_ns: Callable[[], int] = time.time_ns,
        slow: Callable[[Op], None] = lambda _op: None,
    ) -> None:
        self._write = write
        self._left_out = left_out
        self._slow = slow
        self.limits = TraceLimits(every, slow_ns)
        #: Those under way, the oldest first, and when each arrived; `live` is their number.
        self._followed: dict[Trace, int] = {}
        self.live = 0
        # Seeded here: made before a fork, all processes would draw the same.
        self._random = random.Random(os.urandom(16))  # noqa: S311 - ids, no secrets
        self._wall_ns = wall_ns
        #: Which second it is, and what was written in it: sampled, slow.
        self._second = 0
        self._written = [0, 0]
        self.limit(self.limits)

    def limit(self, limits: TraceLimits) -> None:
        """Follow others from now on. What is followed already is so to its end.

        Failure: nothing happens where nobody writes.
        """
        self.limits = limits
        is_on = self._write is not None
        self._slow_ns = limits.slow_ns if is_on else NEVER
        #: How many of those asked for there are to be before one is sampled.
        self._skipped = limits.every - 1 if limits.every and is_on else NEVER
        self.left = 0 if limits.has_filter and self._skipped < NEVER else self._skipped
        self._look()

    def sample(self, batch: list[Request], now_ns: int, initiator: str = "") -> None:
        """`left` is below zero: follow some of these from now on.

        Args:
            batch: What is about to be submitted, for the first time.
            now_ns: When it arrived.
            initiator: Who asks for it, if the front end knows.
        """
        limits = self.limits
        if limits.has_filter:
            self.left = 0
            if limits.initiator not in {"", initiator}:
                return
            batch = [request for request in batch if limits.fits(request)]
            index = self._skipped
        else:
            index = self.left + len(batch)
        while index < len(batch):
            self._follow(batch[index], now_ns)
            index += limits.every
        self._skipped = index - len(batch)
        if not limits.has_filter:
            self.left = self._skipped

    def _follow(self, request: Request, now_ns: int) -> None:
        self._leave_old(now_ns)
        if request.trace is None and self._may_write(now_ns, 0, SAMPLED_COUNT_MAX):
            trace = request.trace = Trace([], True, *self._draw())
            self._followed[trace] = now_ns
        self._look()

    def _leave_old(self, now_ns: int) -> None:
        followed = self._followed
        while followed and now_ns - next(iter(followed.values())) > FOLLOWED_NS_MAX:
            trace = next(iter(followed))
            trace.is_sampled = False
            del followed[trace]
            self._left_out(1)
            self._look()

    def note(
        self,
        requests: Iterable[Request],
        stage: str,
        began_ns: int,
        elapsed_ns: int,
        member: str = "",
        number: int = UNNUMBERED,
    ) -> None:
        """A stage that had these requests took longer than `note_ns`.

        Args:
            requests: They.
            stage: The stage.
            began_ns: When it began to have them.
            elapsed_ns: How long it had them.
            member: Whose it is of several beside each other; else empty.
            number: Below 65536, where somebody was told by `span_id_of` whose child he is.
        """
        is_slow = elapsed_ns > self._slow_ns // NOTE_SHARE
        stamp = (stage, member, began_ns, elapsed_ns, number)
        for request in requests:
            trace = _trace_of(request, make=is_slow)
            if trace is None or len(trace.stamps) >= STAMP_COUNT_MAX:
                continue
            # Several that are derived of one had the stage together.
            if not trace.stamps or trace.stamps[-1] is not stamp:
                trace.stamps.append(stamp)

    def sampled(self, requests: Iterable[Request]) -> Trace | None:
        """Return what follows the first of these that is sampled: only while `live` is above 0."""
        for request in requests:
            if request.trace is not None:
                trace = _trace_of(request, make=False)
                if trace is not None and trace.is_sampled:
                    return trace
        return None

    @property
    def is_on(self) -> bool:
        """True if anybody writes down what is slow."""
        return self._write is not None

    def is_noted(self, elapsed_ns: int) -> bool:
        """True if a stage that takes that long stamps all that it had, not what is followed."""
        return elapsed_ns > self._slow_ns // NOTE_SHARE

    def is_slow(self, elapsed_ns: int) -> bool:
        """True if what takes that long is slow."""
        return elapsed_ns > self._slow_ns

    def answered(
        self, requests: Iterable[Request], began_ns: int, elapsed_ns: int, last: str = ""
    ) -> None:
        """These were answered so long after they arrived, which is more than `look_ns`.

        Args:
            requests: They.
            began_ns: When they arrived.
            elapsed_ns: How long ago that is.
            last: The stage of the front end that began when all others were over: stamped on those
                that are sampled. Empty for none.
        """
        if self.live:
            # Here too: it may be that none is sampled any more.
            self._leave_old(began_ns + elapsed_ns)
        done = list(requests)
        is_slow = elapsed_ns > self._slow_ns
        for request in done:
            if is_slow:
                self._slow(request.op)
            trace = request.trace if isinstance(request.trace, Trace) else None
            is_sampled = trace is not None and trace.is_sampled
            if trace is not None and is_sampled:
                self.forget(request)
                if last:
                    _stamp_last(trace, last, began_ns + elapsed_ns)
            elif not is_slow:
                continue
            if is_sampled or self._may_write(began_ns + elapsed_ns, 1, SLOW_COUNT_MAX):
                self._write_down(request, trace, len(done), began_ns, elapsed_ns)

    def forget(self, request: Request) -> None:
        """This one is answered, or never will be."""
        trace, request.trace = request.trace, None
        if isinstance(trace, Trace) and self._followed.pop(trace, None) is not None:
            self._look()

    def _look(self) -> None:
        self.live = len(self._followed)
        self.note_ns = -1 if self.live else self._slow_ns // NOTE_SHARE
        self.look_ns = -1 if self.live else self._slow_ns

    def _may_write(self, now_ns: int, kind: int, count_max: int) -> bool:
        second = now_ns // _NS_PER_S
        if second != self._second:
            self._second = second
            self._written = [0, 0]
        self._written[kind] += 1
        if self._written[kind] <= count_max:
            return True
        self._left_out(1)
        return False

    def _write_down(
        self, request: Request, trace: Trace | None, batch: int, began_ns: int, elapsed_ns: int
    ) -> None:
        assert self._write is not None, "nothing is slow or sampled where nobody writes"
        status, stamps = request.status, trace.stamps if trace is not None else ()
        trace_id, span_id = self._draw()
        if trace is not None and trace.trace_id:
            trace_id, span_id = trace.trace_id, trace.span_id
        self._write(
            TracedIo(
                op=request.op,
                offset=request.offset,
                length=request.length,
                batch=batch,
                code=Code.ABORTED if status is None else status.code,
                # As of now: the clock may have been set since the start, or the machine have slept.
                start_ns=self._wall_ns() - (time.monotonic_ns() - began_ns),
                elapsed_ns=elapsed_ns,
                is_sampled=trace is not None and trace.is_sampled,
                is_slow=elapsed_ns > self._slow_ns,
                trace_id=trace_id,
                span_id=span_id,
                stamps=tuple(
                    (stage, member, max(start_ns - began_ns, 0), took_ns, number)
                    for stage, member, start_ns, took_ns, number in _numbered(stamps)
                ),
            )
        )

    def _draw(self) -> tuple[bytes, bytes]:
        draw = self._random.getrandbits
        return draw(128).to_bytes(16, "big"), draw(64).to_bytes(8, "big")


def _numbered(stamps: Sequence[Stamp]) -> Iterable[Stamp]:
    """Number those that their makers have not numbered, or as one before, in order, by what is left
    of each stage and member."""
    taken = {(stage, member, number) for stage, member, _, _, number in stamps}
    numbered: dict[tuple[str, str, int], Stamp] = {}
    for stage, member, began_ns, elapsed_ns, number in stamps:
        found = number
        if number == UNNUMBERED or (stage, member, number) in numbered:
            found = next(n for n in range(NUMBER_COUNT) if (stage, member, n) not in taken)
            taken.add((stage, member, found))
        numbered[stage, member, found] = (stage, member, began_ns, elapsed_ns, found)
    return numbered.values()


def _stamp_last(trace: Trace, stage: str, end_ns: int) -> None:
    """Stamp what was done from the end of the last stage on."""
    ends = [began_ns + elapsed_ns for _, _, began_ns, elapsed_ns, _ in trace.stamps]
    if ends and len(ends) < STAMP_COUNT_MAX:
        began_ns = min(max(ends), end_ns)
        trace.stamps.append((stage, "", began_ns, end_ns - began_ns, UNNUMBERED))


def _trace_of(request: Request, *, make: bool) -> Trace | None:
    """Return the trace of a request, or of the one that it was derived from."""
    trace: Any = request.trace
    while isinstance(trace, Request):
        request, trace = trace, trace.trace
    if trace is None and make:
        trace = request.trace = Trace()
    return trace if isinstance(trace, Trace) else None
