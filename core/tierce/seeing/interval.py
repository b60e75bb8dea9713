"""What a volume has done between two looks at its statistics.

Counters only grow, so a difference of two looks is what happened between them. Where they have
begun at zero meanwhile (`start_ns` is another time), all that the second look has is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import attrs

from tierce.services import OperationStatistics, Parked, ProcessStatistics, VolumeStatistics
from tierce.stage import ROOT_STAGE

#: Of a statistics page: bucket b holds up to 2^b ticks of 2^-30 s.
_TICK_SHIFT = 30
_NS_PER_S = 10**9
#: Stands between what makes a round trip and whose it is: "jiva.replica/replica-2".
MEMBER_MARK = "/"
#: What follows the name of a filter's or an engine's stage, for its turn and its method.
WAIT, CALL = ".wait", ".call"

Operations = Mapping[str, "Counted"]
Stages = Mapping[str, Operations]


@attrs.frozen
class Counted:
    """What one stage did of one operation.

    Attributes:
        count: Operations, failed ones too.
        bytes: Their bytes.
        failed: Operations that failed.
        last: Those that were waited for, of several beside each other.
        total_ns: The sum of their latencies.
        buckets: As `OperationStatistics`.
    """

    count: int = 0
    bytes: int = 0
    failed: int = 0
    last: int = 0
    total_ns: int = 0
    buckets: tuple[int, ...] = ()

    @property
    def mean_ns(self) -> float:
        """How long one took on average; 0 if there was none."""
        return self.total_ns / self.count if self.count else 0.0

    def quantile_ns(self, share: float) -> float:
        """Return what so large a share of them did not exceed, 0 if there was none.

        Within a bucket they are taken to lie evenly on a logarithmic scale, as Prometheus does with
        a native histogram.
        """
        wanted = share * sum(self.buckets)
        seen = 0
        for bucket, number in enumerate(self.buckets):
            if number and seen + number >= wanted:
                part = max(wanted - seen, 0.0) / number
                return float(bound_ns(bucket) / 2 * 2**part)
            seen += number
        return 0.0

    @property
    def longest_ns(self) -> float:
        """What none of them exceeded."""
        filled = [bucket for bucket, number in enumerate(self.buckets) if number]
        return bound_ns(filled[-1]) if filled else 0.0

    def slowest_ns(self, count: int) -> float:
        """Return what the slowest `count` of them took together.

        Of a bucket only the number is known: each is taken to have taken as long as others in it,
        so that all together come to `total_ns`.
        """
        left, tail, whole = count, 0.0, 0.0
        for bucket in reversed(range(len(self.buckets))):
            number, weight = self.buckets[bucket], bound_ns(bucket)
            taken = min(left, number)
            tail += taken * weight
            whole += number * weight
            left -= taken
        return self.total_ns * tail / whole if whole else 0.0

    def plus(self, other: Counted) -> Counted:
        """Return both together."""
        return Counted(
            self.count + other.count,
            self.bytes + other.bytes,
            self.failed + other.failed,
            self.last + other.last,
            self.total_ns + other.total_ns,
            _each(self.buckets, other.buckets, 1),
        )


NOTHING = Counted()


@attrs.frozen
class VolumeInterval:
    """What one volume did between two looks.

    Attributes:
        name: The volume's name.
        seconds: How long that was.
        health: How it is now; empty if no server says it.
        stages: Stage -> operation -> what its target did.
        members: The same of each of its members.
        parked: What is pending in its target now.
        after: The second look.
    """

    name: str
    seconds: float
    health: str
    stages: Stages
    members: Mapping[str, Stages]
    parked: Mapping[str, Parked]
    after: VolumeStatistics

    def of(self, stage: str, operation: str) -> Counted:
        """Return what a stage of the target did of an operation."""
        return self.stages.get(stage, {}).get(operation, NOTHING)

    def of_member(self, member: str, operation: str) -> Mapping[str, Counted]:
        """Return what the stages of a member did of an operation."""
        stages = self.members.get(member, {})
        return {stage: one[operation] for stage, one in stages.items() if operation in one}

    @cached_property
    def root(self) -> Operations:
        """What initiators saw, by operation."""
        return self.stages.get(ROOT_STAGE, {})

    @cached_property
    def filters(self) -> tuple[str, ...]:
        """The stages of its filters, the outermost first: the one that takes longest."""
        names = [
            name
            for name in self.stages
            if name.startswith("filter.") and not name.endswith((WAIT, CALL))
        ]
        times = {name: sum(one.total_ns for one in self.stages[name].values()) for name in names}
        return tuple(sorted(names, key=lambda name: -times[name]))

    @cached_property
    def trips(self) -> Mapping[str, str]:
        """The members with which its engine speaks, and the stage of the round trips to each."""
        return {
            stage.partition(MEMBER_MARK)[2]: stage for stage in self.stages if MEMBER_MARK in stage
        }


def bound_ns(bucket: int) -> float:
    """Return the time up to which a bucket counts, in ns."""
    return float(_NS_PER_S * (1 << bucket) / (1 << _TICK_SHIFT))


def between(
    before: VolumeStatistics | None, after: VolumeStatistics, seconds: float
) -> VolumeInterval:
    """Return what a volume did between two looks.

    Args:
        before: The first look; None if it was not there then.
        after: The second one.
        seconds: How long that was.
    """
    members = before.members if before is not None else {}
    return VolumeInterval(
        name=after.name,
        seconds=seconds,
        health=after.health,
        stages=_difference(before.target if before is not None else None, after.target),
        members={
            name: _difference(members.get(name), member) for name, member in after.members.items()
        },
        parked=after.target.parked if after.target is not None else {},
        after=after,
    )


def _difference(before: ProcessStatistics | None, after: ProcessStatistics | None) -> Stages:
    if after is None:
        return {}
    is_anew = before is None or before.start_ns != after.start_ns
    old = before.stages if before is not None and not is_anew else {}
    stages: dict[str, dict[str, Counted]] = {}
    for stage, operations in after.stages.items():
        known = old.get(stage, {})
        counted = {
            operation: _subtracted(known.get(operation), values)
            for operation, values in operations.items()
        }
        stages[stage] = {key: one for key, one in counted.items() if one.count or one.failed}
    return stages


def _subtracted(before: OperationStatistics | None, after: OperationStatistics) -> Counted:
    # The words of a stage may be a batch apart, and a place may have been given to a new stage.
    old = before or OperationStatistics(0, 0, 0, 0, ())
    buckets = _each(after.buckets, old.buckets, -1)
    return Counted(
        count=sum(buckets),
        bytes=max(after.bytes - old.bytes, 0),
        failed=max(after.failed - old.failed, 0),
        last=max(after.last - old.last, 0),
        total_ns=max(after.total_ns - old.total_ns, 0),
        buckets=buckets,
    )


def _each(one: tuple[int, ...], other: tuple[int, ...], sign: int) -> tuple[int, ...]:
    """Return the sums of both, or differences, never below zero."""
    size = max(len(one), len(other))
    pairs = zip(_padded(one, size), _padded(other, size), strict=True)
    return tuple(max(first + sign * second, 0) for first, second in pairs)


def _padded(buckets: tuple[int, ...], size: int) -> tuple[int, ...]:
    return buckets + (0,) * (size - len(buckets))
