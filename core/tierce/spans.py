"""The stages of an I/O that was written down, as a tree: who called whom, and whose time it was.

A record has the stages flat, each with its beginning and its length. So the tree is found again:

1. A stage is inside of the shortest one that was under way for three quarters of its time or more,
   and is no shorter; of two that are equally long the one that ended first is inside. The whole I/O
   holds all.
2. What a member did ("replica-2") is beside what another did, and inside of what its own did, or of
   what has no member, though that may be shorter by what the clocks differ. What a member's own
   process has timed ("replica.apply") is inside of the round trip that has its number.
3. Two of one name are beside each other, and so are the parts of one thing ("engine.wait" and
   "engine.call"); filters lie on one another.
4. What a front end does is inside of the whole I/O alone.

A child is cut to its parent, should the clocks have been read in another order.

**Own time.** Each moment of the whole belongs to one stage: to the innermost one that was under way
then, and of several beside each other to the one that ended last, since it was that one that was
waited for. So all own times sum to the whole.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

import attrs

from tierce.services import TracedStage, TraceRecord

#: Stages that a member's own process has timed, by what those are a part of.
_OF_MEMBERS = frozenset({"replica", "pool"})
_OF_FRONT_ENDS = "frontend"
_FILTER = "filter"
_DIRECTIONS = {"read": "read", "write": "write"}

#: From when to when, in ns from the I/O's arrival on.
Interval = tuple[int, int]


class SpanKind(enum.Enum):
    """What a span is to the process that it is in."""

    INTERNAL = "internal"
    #: It was asked for by another process.
    SERVER = "server"
    #: It waits for another process.
    CLIENT = "client"


@attrs.frozen
class SpanNode:
    """One stage of an I/O, or the whole of it.

    Attributes:
        name: "volume.write" for the whole; else the stage: "device", "jiva.replica".
        member: Whose it is of several beside each other: "replica-2"; else empty.
        parent: The index of the stage that it is inside of; -1 for the whole I/O. Parents come
            before their children.
        start_ns: When it began, in nanoseconds from the I/O's arrival on.
        elapsed_ns: How long it took.
        self_ns: How long it was what the I/O waited for, and no stage inside of it.
        kind: What it is to its process.
        is_remote: A process of the member had timed it; the target has placed it in the middle of
            the round trip.
        span_id: 16 hexadecimal digits.
        attributes: What else is known, by the names of docs/explanation/counters.md.
    """

    name: str
    member: str
    parent: int
    start_ns: int
    elapsed_ns: int
    self_ns: int
    kind: SpanKind
    is_remote: bool
    span_id: str
    attributes: Mapping[str, str | int] = attrs.field(factory=dict, hash=False)

    @property
    def end_ns(self) -> int:
        """When it ended, in nanoseconds from the I/O's arrival on."""
        return self.start_ns + self.elapsed_ns


def spans_of(record: TraceRecord) -> tuple[SpanNode, ...]:
    """Return an I/O and its stages as a tree: the whole comes first, then what is inside of each,
    by the time of its beginning."""
    stages = _inner_last(record.stages)
    parents = [_parent(stages, index) for index in range(len(stages))]
    intervals = _cut(stages, parents, record.elapsed_ns)
    order = _depth_first(stages, parents, intervals)
    place = {index: number for number, index in enumerate(order, 1)} | {-1: 0}
    above = [-1, *(place[parents[index]] for index in order)]
    spans = [(0, record.elapsed_ns), *(intervals[index] for index in order)]
    own = _own_times(above, spans)
    nodes = [_whole(record, own[0])]
    for number, index in enumerate(order, 1):
        nodes.append(_node(stages[index], above[number], spans[number], own[number]))
    return tuple(nodes)


def _inner_last(stages: Sequence[TracedStage]) -> list[TracedStage]:
    """Return the stages so that each comes behind whatever it may be inside of."""

    def key(index: int) -> tuple[bool, bool, int, int]:
        stage = stages[index]
        return bool(stage.member), _is_remote(stage), -stage.elapsed_ns, -index

    return [stages[index] for index in sorted(range(len(stages)), key=key)]


def _parent(stages: list[TracedStage], index: int) -> int:
    """Return the index of the stage that this one is inside of, -1 for the whole I/O."""
    stage = stages[index]
    fits = -1
    for candidate, other in enumerate(stages[:index]):
        if _may_hold(other, stage) and 4 * _common_ns(other, stage) >= 3 * stage.elapsed_ns:
            fits = candidate
    return fits


def _may_hold(outer: TracedStage, inner: TracedStage) -> bool:
    """True if `inner` may be inside of `outer`, as far as names and members tell."""
    if outer.stage == inner.stage or _OF_FRONT_ENDS in {_group(outer), _group(inner)}:
        return False
    if outer.member == inner.member:
        is_beside = _group(outer) == _group(inner) not in {"", _FILTER}
        return not is_beside and (not _is_remote(inner) or outer.number == inner.number)
    return not outer.member


def _group(stage: TracedStage) -> str:
    """Return what a stage is a part of: "engine" of "engine.call"."""
    return stage.stage.rpartition(".")[0]


def _is_remote(stage: TracedStage) -> bool:
    return bool(stage.member) and _group(stage) in _OF_MEMBERS


def _common_ns(one: TracedStage, other: TracedStage) -> int:
    """Return how long both were under way; below zero if they do not even touch."""
    return min(one.start_ns + one.elapsed_ns, other.start_ns + other.elapsed_ns) - max(
        one.start_ns, other.start_ns
    )


def _cut(stages: list[TracedStage], parents: list[int], whole_ns: int) -> list[Interval]:
    """Return each stage's interval, within its parent's."""
    intervals: list[Interval] = []
    for stage, parent in zip(stages, parents, strict=True):
        first, last = intervals[parent] if parent >= 0 else (0, whole_ns)
        start = min(max(stage.start_ns, first), last)
        intervals.append((start, max(start, min(stage.start_ns + stage.elapsed_ns, last))))
    return intervals


def _depth_first(
    stages: list[TracedStage], parents: list[int], intervals: list[Interval]
) -> list[int]:
    """Return the indices so that children follow their parent, the one that began first first."""

    def key(index: int) -> tuple[int, str, int]:
        return intervals[index][0], stages[index].member, index

    children: dict[int, list[int]] = {}
    for index in sorted(range(len(parents)), key=key):
        children.setdefault(parents[index], []).append(index)
    order: list[int] = []
    todo = children.get(-1, [])[::-1]
    while todo:
        index = todo.pop()
        order.append(index)
        todo += children.get(index, [])[::-1]
    return order


def _own_times(parents: list[int], intervals: list[Interval]) -> list[int]:
    """Return how long each was waited for itself. Parents come before their children."""
    left: list[list[Interval]] = [[interval] for interval in intervals]
    for index in range(len(parents)):
        beside = [child for child in range(index + 1, len(parents)) if parents[child] == index]
        # The last one to end first: what it takes, those beside it can't have.
        for child in sorted(beside, key=lambda child: -intervals[child][1]):
            left[child], left[index] = _split(left[index], intervals[child])
    return [sum(end - start for start, end in pieces) for pieces in left]


def _split(pieces: list[Interval], interval: Interval) -> tuple[list[Interval], list[Interval]]:
    """Return what of these intervals is in that one, and what is not."""
    first, last = interval
    inside, outside = [], []
    for start, end in pieces:
        begin, stop = max(start, first), min(end, last)
        if begin >= stop:
            outside.append((start, end))
            continue
        inside.append((begin, stop))
        outside += [piece for piece in ((start, begin), (stop, end)) if piece[0] < piece[1]]
    return inside, outside


def _whole(record: TraceRecord, self_ns: int) -> SpanNode:
    attributes: dict[str, str | int] = {
        "tierce.volume.name": record.volume,
        "tierce.io.operation": record.operation,
        "tierce.io.offset": record.offset,
        "tierce.io.size": record.length,
        "tierce.io.batch": record.batch,
        "tierce.sampling": "head" if record.is_sampled else "slow",
    }
    if record.operation in _DIRECTIONS:
        attributes["disk.io.direction"] = _DIRECTIONS[record.operation]
    if record.code != "good":
        attributes["error.type"] = record.code
    return SpanNode(
        f"volume.{record.operation}",
        "",
        -1,
        0,
        record.elapsed_ns,
        self_ns,
        SpanKind.SERVER,
        False,
        record.span_id,
        attributes,
    )


def _node(stage: TracedStage, parent: int, interval: Interval, self_ns: int) -> SpanNode:
    is_remote = _is_remote(stage)
    attributes: dict[str, str | int] = {}
    kind = SpanKind.INTERNAL
    if stage.member:
        attributes["tierce.replica.name"] = stage.member
        kind = SpanKind.SERVER if is_remote else SpanKind.CLIENT
    if is_remote:
        attributes["tierce.clock"] = "estimated"
    start, end = interval
    return SpanNode(
        *(stage.stage, stage.member, parent, start, end - start, self_ns, kind, is_remote),
        *(stage.span_id, attributes),
    )
