"""Why a volume is slow, or that it is not: decided from two looks at its counters, and the I/Os
that were written down between them. Nothing is read here, and no clock.

**What decides.** What counts is the time that initiators waited, by operation. Where operations are
slow on average, or one in a hundred is, their self times say whose that time was
(`tierce.seeing.self_times`). Where only single ones were, an average would hide them: their
records decide (`tierce.seeing.record_times`). What has not been answered at all is in no counter:
it is told from what is pending.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from tierce.seeing.causes import OF_MEMBERS, Cause
from tierce.seeing.interval import NOTHING, Counted, VolumeInterval
from tierce.seeing.record_times import record_times
from tierce.seeing.self_times import Times, self_times
from tierce.seeing.wording import count_of, duration, percent, several
from tierce.services import TraceRecord

#: An operation is slow that takes longer on average, or of which one in a hundred does.
SLOW_MEAN_NS = 2e6
SLOW_P99_NS = 20e6
#: What has been pending for so long is stuck, as far as anybody can see.
STUCK_S = 1.0
#: ... unless others take nearly as long, and yet come to an end.
STUCK_MEANS = 4
#: What has this share of the time dominates.
DOMINANT = 0.5
#: A cause of all members alike is told as one, unless one member has this share of it.
ONE_MEMBER = 0.6
#: What has less is not told.
SHARE_MIN = 0.01


class Verdict(enum.Enum):
    """What was found. The value is the word."""

    NO_IO = "no-io"
    STUCK = "stuck"
    WELL = "well"
    SLOW_ONES = "slow-ones"
    SLOW = "slow"


@attrs.frozen
class Share:
    """What one cause had of an operation's time.

    Attributes:
        cause: The cause.
        share: Of the whole, 0 to 1.
        mean_ns: What that is of each I/O.
    """

    cause: Cause
    share: float
    mean_ns: float


@attrs.frozen
class OperationFinding:
    """Whose time one kind of operation was.

    Attributes:
        operation: "read", "write"...
        count: How many were answered.
        mean_ns: How long one took.
        p99_ns: What 99 in a hundred did not exceed; 0 if only records are known.
        shares: What had which share, the largest first; they sum to 1.
        is_slow: It is slow.
    """

    operation: str
    count: int
    mean_ns: float
    p99_ns: float
    shares: tuple[Share, ...]
    is_slow: bool

    @property
    def total_ns(self) -> float:
        """What all took together."""
        return self.count * self.mean_ns

    @property
    def dominant(self) -> Share:
        """The cause with the largest share: of one member, or of all of them alike."""
        return self.causes[0]

    @property
    def causes(self) -> tuple[Share, ...]:
        """The shares as they are told, the largest first: what several members have alike is one.
        They sum to 1."""
        kinds: dict[object, list[Share]] = {}
        for one in self.shares:
            key = one.cause.kind if one.cause.kind in OF_MEMBERS else one.cause
            kinds.setdefault(key, []).append(one)
        told: list[Share] = []
        for some in kinds.values():
            together = sum(one.share for one in some)
            if len(some) == 1 or some[0].share >= ONE_MEMBER * together:
                told += some
                continue
            mean_ns = sum(one.mean_ns for one in some)
            told.append(Share(Cause(some[0].cause.kind), together, mean_ns))
        return tuple(sorted(told, key=lambda one: -one.share))


@attrs.frozen
class Findings:
    """Why a volume is slow, or that it is not.

    Attributes:
        volume: Its name.
        verdict: What was found.
        sentence: That in a sentence.
        todo: What to do about it; empty if there is nothing.
        operations: Whose time each kind of operation was, the one with the most time first.
        notes: What else may have to do with it, a sentence each.
        evidence: The I/Os that prove it, the slowest first.
    """

    volume: str
    verdict: Verdict
    sentence: str
    todo: str
    operations: tuple[OperationFinding, ...] = ()
    notes: tuple[str, ...] = ()
    evidence: tuple[TraceRecord, ...] = ()


def decide(interval: VolumeInterval, records: Sequence[TraceRecord], engine: str = "") -> Findings:
    """Say why a volume is slow, from what it did between two looks.

    Args:
        interval: What it did.
        records: The I/Os that were written down meanwhile.
        engine: The name of its engine, empty if it is not known.
    """
    span = f"the last {duration(interval.seconds * 1e9)}"
    times = self_times(interval, engine)
    counted = [finding_of(name, interval.root[name], one) for name, one in times.items() if one]
    operations = tuple(sorted(counted, key=lambda one: -one.total_ns))
    late = [one for one in records if one.is_slow]
    notes = _notes(interval)
    slow = [one for one in operations if one.is_slow]
    if stuck := _stuck(interval, max((one.mean_ns for one in operations), default=0.0)):
        return _told(interval, Verdict.STUCK, *stuck, operations, notes, late)
    if not operations:
        sentence = f"no I/O was seen in {span}"
        todo = "watch while the volume is used: `tierce volume why NAME --for 1min`"
        return _told(interval, Verdict.NO_IO, sentence, todo, (), notes, late)
    if slow:
        sentence = _sentence(slow[0], f"{span}' {slow[0].operation} time", interval)
        todo = slow[0].dominant.cause.todo
        notes = (*_slowest(late, interval, engine), *notes)
        return _told(interval, Verdict.SLOW, sentence, todo, operations, notes, late)
    if late:
        found = _of_records(late, interval, engine)
        sentence = (
            f"{_average(operations[0])}, but {count_of(len(late), 'I/O')} took up to "
            f"{duration(max(one.elapsed_ns for one in late))}: "
            + _sentence(found[0], f"the time of the slow {several(found[0].operation)}", interval)
        )
        todo = found[0].dominant.cause.todo
        return _told(interval, Verdict.SLOW_ONES, sentence, todo, found, notes, late)
    sentence = f"nothing is slow: {_average(operations[0])}, {_most(operations[0])}"
    return _told(interval, Verdict.WELL, sentence, "", operations, notes, late)


def decide_by_records(
    records: Sequence[TraceRecord], interval: VolumeInterval, engine: str = ""
) -> Findings:
    """Say what made those I/Os slow that a volume keeps.

    Args:
        records: The I/Os.
        interval: All that the volume has done as far as anybody knows.
        engine: The name of its engine, empty if it is not known.
    """
    late = [one for one in records if one.is_slow]
    notes = _notes(interval)
    if not late:
        sentence = "no I/O that took too long is kept"
        todo = "watch while it is slow: `tierce volume why NAME`"
        return _told(interval, Verdict.WELL, sentence, todo, (), notes, late)
    found = _of_records(late, attrs.evolve(interval, members={}), engine)
    sentence = _sentence(
        found[0],
        f"the time of the {count_of(found[0].count, 'slow ' + found[0].operation)} that are kept",
        interval,
    )
    todo = found[0].dominant.cause.todo
    return _told(interval, Verdict.SLOW_ONES, sentence, todo, found, notes, late)


def _told(
    interval: VolumeInterval,
    verdict: Verdict,
    sentence: str,
    todo: str,
    operations: tuple[OperationFinding, ...],
    notes: tuple[str, ...],
    late: Sequence[TraceRecord],
) -> Findings:
    evidence = tuple(sorted(late, key=lambda one: -one.elapsed_ns))
    todo = todo.replace("NAME", interval.name)
    return Findings(interval.name, verdict, sentence, todo, operations, notes, evidence)


def finding_of(operation: str, counted: Counted, times: Times) -> OperationFinding:
    """Return whose time an operation was."""
    total = sum(times.values())
    mean_ns, p99_ns = total / max(counted.count, 1), counted.quantile_ns(0.99)
    return OperationFinding(
        operation,
        counted.count,
        mean_ns,
        p99_ns,
        _shares(times, max(counted.count, 1)),
        is_slow=mean_ns > SLOW_MEAN_NS or p99_ns > SLOW_P99_NS,
    )


def _of_records(
    records: Sequence[TraceRecord], interval: VolumeInterval, engine: str
) -> tuple[OperationFinding, ...]:
    """Return whose time the operations were that were written down."""
    found = []
    for operation, times in record_times(records, interval, engine).items():
        count = sum(one.operation == operation for one in records)
        mean_ns = sum(times.values()) / count
        shares = _shares(times, count)
        found.append(OperationFinding(operation, count, mean_ns, 0.0, shares, is_slow=True))
    return tuple(sorted(found, key=lambda one: -one.total_ns))


def _shares(times: Times, count: int) -> tuple[Share, ...]:
    total = sum(times.values()) or 1.0
    shares = [Share(cause, ns / total, ns / count) for cause, ns in times.items()]
    return tuple(sorted(shares, key=lambda one: -one.share))


def _sentence(found: OperationFinding, whole: str, interval: VolumeInterval) -> str:
    """Say in a sentence what has most of a time."""
    first = found.dominant
    if first.share < DOMINANT:
        several = ", ".join(f"{percent(one.share)} {one.cause.label}" for one in found.causes[:3])
        return f"nothing dominates {whole}: {several}"
    each = f" ({duration(first.mean_ns)} of each)" if found.count > 1 else ""
    sentence = f"{percent(first.share)} of {whole} is {first.cause.label}{each}"
    others = _others_ns(first.cause, found.operation, interval)
    return sentence + (f"; the others answer in {duration(others)}" if others else "")


def _others_ns(cause: Cause, operation: str, interval: VolumeInterval) -> float:
    """Return how long the other members take; 0 if it is not one of several."""
    if cause.kind not in OF_MEMBERS or not cause.name:
        return 0.0
    others = NOTHING
    for name, stage in interval.trips.items():
        if name != cause.name:
            others = others.plus(interval.of(stage, operation))
    return others.mean_ns


def _slowest(late: Sequence[TraceRecord], interval: VolumeInterval, engine: str) -> tuple[str, ...]:
    """Say what the slowest of all waited for: an average may hide it."""
    if not late:
        return ()
    one = max(late, key=lambda record: record.elapsed_ns)
    (found,) = _of_records([one], interval, engine)
    return (f"the slowest {one.operation} took {duration(one.elapsed_ns)}, {_most(found)}",)


def _average(found: OperationFinding) -> str:
    return (
        f"{several(found.operation)} take {duration(found.mean_ns)} on average, "
        f"99 in a hundred less than {duration(found.p99_ns)}"
    )


def _most(found: OperationFinding) -> str:
    return f"{percent(found.dominant.share)} of it {found.dominant.cause.label}"


def _stuck(interval: VolumeInterval, mean_ns: float) -> tuple[str, str] | None:
    """Say what waits without an end, and what to do."""
    limit_s = max(STUCK_S, STUCK_MEANS * mean_ns / 1e9)
    waiting = {stage: one for stage, one in interval.parked.items() if one.oldest_s >= limit_s}
    if not waiting:
        return None
    # The innermost: what waits there waits in all above it.
    stage = min(waiting, key=lambda name: waiting[name].oldest_s)
    parked = waiting[stage]
    sentence = (
        f"{count_of(parked.count, 'I/O')} {'wait' if parked.count > 1 else 'waits'} in {stage}, "
        f"the oldest for {duration(parked.oldest_s * 1e9)}"
    )
    todo = "see what each waits for: `tierce volume journal NAME`, and `tierce volume show NAME`"
    return sentence, todo


def _notes(interval: VolumeInterval) -> tuple[str, ...]:
    """Say what else may have to do with it."""
    notes = []
    if interval.health not in ("", "healthy"):
        notes.append(f"the volume is {interval.health}")
    target = interval.after.target
    for member in target.published.volume.members if target is not None else ():
        if member.state != "in-sync":
            trouble = f": {member.trouble}" if member.trouble else ""
            notes.append(f"{member.name} is {member.state}{trouble}")
    failed = sum(one.failed for one in interval.root.values())
    if failed:
        notes.append(f"{count_of(failed, 'I/O')} failed: `tierce events --volume {interval.name}`")
    return tuple(notes)
