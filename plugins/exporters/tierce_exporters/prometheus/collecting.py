"""From what services see to families of samples: the table, filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from tierce import (
    MemberStatus,
    ProcessStatistics,
    RecordedEvent,
    VolumeStatistics,
)
from tierce_exporters.prometheus import table
from tierce_exporters.prometheus.carrying import Carrier, Key, Numbers
from tierce_exporters.prometheus.exemplars import Exemplars
from tierce_exporters.prometheus.machine import usage_of
from tierce_exporters.prometheus.metric import Family, Histogram, Metric, Sample
from tierce_exporters.prometheus.reading import (
    BYTES,
    FAILED,
    LAST,
    counted,
    is_root,
    latencies,
    operations,
    replica_of,
    seconds,
)

#: Pairs of code and severity that are counted apart: plugins name their own codes.
EVENT_CODE_COUNT_MAX = 500
#: What is there as 0 before it comes; "other" is what has no code.
_READS = frozenset({"read", "block_status"})
_READ_CODES = ("read_error",)
_WRITE_CODES = ("write_error",)
_OTHER = "other"
_OTHER_CODE = ("other", "info")
#: Events by which other exporters tell what they had to leave out.
_DROPS = ("exporter.dropping", "exporter.dropping-ended")


class EventCounts:
    """How many events there were, by code and severity; and what other exporters had to leave
    out, which they tell by events."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        #: By exporter and kind.
        self.dropped: dict[tuple[str, str], int] = {}

    def add(self, items: Iterable[RecordedEvent]) -> None:
        """Count these."""
        for one in items:
            if one.event.code in _DROPS:
                for dropped, count in _told_drops(one.event.fields):
                    self.dropped[dropped] = self.dropped.get(dropped, 0) + count
            key = (one.event.code, str(one.event.severity))
            if key not in self.counts and len(self.counts) >= EVENT_CODE_COUNT_MAX:
                key = _OTHER_CODE
            self.counts[key] = self.counts.get(key, 0) + 1


def _told_drops(fields: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield exporter and kind, and how many more. A stranger's event may say anything else."""
    exporter, dropped = fields.get("exporter"), fields.get("dropped")
    if isinstance(exporter, str) and isinstance(dropped, dict):
        for kind, count in dropped.items():
            if type(count) is int and count >= 0:
                yield (exporter, kind), count


@attrs.frozen
class Exporter:
    """What the exporter says of itself.

    Attributes:
        name: Which it is.
        created_s: Since when it counts, in seconds since the epoch.
        dropped: What it had to leave out, by kind.
        events: The events that it has seen.
        lost_traces: I/Os that were written down, or should have been, and that it never saw, by
            kind; empty of one that counts them otherwise.
        exemplars: Those that it has seen last.
    """

    name: str
    created_s: float
    dropped: dict[str, int] = attrs.field(factory=lambda: {"events": 0, "connections": 0})
    events: EventCounts = attrs.field(factory=EventCounts)
    lost_traces: dict[str, int] = attrs.field(factory=dict)
    exemplars: Exemplars = attrs.field(factory=Exemplars)


@attrs.frozen
class Carried:
    """The sums over a process and those before it.

    Attributes:
        numbers: What is counted in its page: of each stage and operation, and by operation sizes,
            failures by code, and slow ones.
        mistakes: What its plugins did wrong, by part.
        first_ns: Since when they count, in nanoseconds since the epoch.
    """

    numbers: Mapping[Key, Numbers]
    mistakes: Mapping[Key, Numbers]
    first_ns: int


@attrs.frozen
class CarriedVolume:
    """A volume with the sums of its processes, those before them included.

    Attributes:
        seen: As services see it.
        target: The sums of its target; None while there is none.
        members: The sums of its members.
    """

    seen: VolumeStatistics
    target: Carried | None
    members: Mapping[str, Carried]


def carry_all(
    volumes: Mapping[str, VolumeStatistics], carrier: Carrier
) -> dict[str, CarriedVolume]:
    """Return every volume with its sums."""
    names = []
    carried = {}
    for name, volume in volumes.items():
        target, members = volume.target, volume.members
        # A target that is down for a moment still belongs to its volume.
        names += [f"target.{name}", *(f"member.{name}.{member}" for member in members)]
        names += [f"member.{name}.{one.name}" for one in _members(volume)]
        carried[name] = CarriedVolume(
            volume,
            None if target is None else _carry(target, carrier),
            {member: _carry(process, carrier) for member, process in members.items()},
        )
    carrier.forget_others(set(names))
    return carried


def _carry(process: ProcessStatistics, carrier: Carrier) -> Carried:
    # The page goes on over restarts of its process, as long as it can; what is published does not.
    numbers: dict[Key, Numbers] = {
        ("stage", stage, operation): counted(one) for stage, operation, one in operations(process)
    }
    numbers |= {("size", operation): buckets for operation, buckets in process.sizes.items()}
    numbers |= {("slow", operation): (count,) for operation, count in process.slow.items()}
    for operation, codes in process.failures.items():
        numbers |= {("failed", operation, code): (count,) for code, count in codes.items()}
    errors = process.published.plugin_errors
    mistakes: dict[Key, Numbers] = {(part,): (one.count,) for part, one in errors.items()}
    return Carried(
        carrier.carry((process.name, "page"), process.start_ns, numbers),
        carrier.carry((process.name, "published"), process.started_ns, mistakes),
        carrier.first_ns((process.name, "page")),
    )


def families(volumes: Mapping[str, CarriedVolume], exporter: Exporter) -> list[Family]:
    """Return every metric that has a value, in the table's order."""
    found: dict[str, list[Sample]] = {metric.name: [] for metric in table.METRICS}
    for metric, sample in _samples(volumes, exporter):
        found[metric.name].append(sample)
    return [Family(metric, found[metric.name]) for metric in table.METRICS if found[metric.name]]


def _samples(
    volumes: Mapping[str, CarriedVolume], exporter: Exporter
) -> Iterator[tuple[Metric, Sample]]:
    for name, volume in volumes.items():
        yield from _of_volume(volume.seen)
        if volume.seen.target is not None and volume.target is not None:
            yield from _of_target(
                volume.seen, volume.seen.target, volume.target, exporter.exemplars
            )
        for member, carried in volume.members.items():
            yield from _of_member(name, member, carried)
            yield from _of_process(volume.seen.members[member])
    for kind, count in exporter.lost_traces.items():
        yield table.TRACES_LOST, Sample((kind,), count, exporter.created_s)
    for (code, severity), count in exporter.events.counts.items():
        yield table.EVENTS, Sample((code, severity), count, exporter.created_s)
    for kind, count in exporter.dropped.items():
        yield table.DROPPED, Sample((exporter.name, kind), count, exporter.created_s)
    for labels, count in exporter.events.dropped.items():
        # Its own it knows already.
        if labels[0] != exporter.name:
            yield table.DROPPED, Sample(labels, count, exporter.created_s)


def _of_volume(seen: VolumeStatistics) -> Iterator[tuple[Metric, Sample]]:
    name = seen.name
    for state in table.VOLUME_STATES if seen.health else ():
        yield table.VOLUME_STATE, Sample((name, state), int(state == seen.health))
    if seen.engine:
        labels = (name, seen.uuid, seen.engine, ",".join(seen.frontends))
        yield table.VOLUME_INFO, Sample(labels, 1)
        yield table.VOLUME_CAPACITY, Sample((name,), seen.size_bytes)
    used = used_bytes(seen)
    for member, size in used.items():
        yield table.REPLICA_USED, Sample((name, member), size)
    if used:
        yield table.VOLUME_USED, Sample((name,), sum(used.values()))


def used_bytes(seen: VolumeStatistics) -> dict[str, int]:
    """Return how much of its medium each replica takes, of those that know it."""
    shown = ((name, process.published.member) for name, process in seen.members.items())
    return {name: one.used_bytes for name, one in shown if one and one.used_bytes is not None}


def _of_target(
    seen: VolumeStatistics, target: ProcessStatistics, carried: Carried, exemplars: Exemplars
) -> Iterator[tuple[Metric, Sample]]:
    name, created_s = seen.name, seconds(carried.first_ns)
    published = target.published
    yield from _of_process(target)
    fronts = published.frontends.values()
    sessions = sum(len(one.sessions or ()) + one.left_out for one in fronts)
    yield table.VOLUME_SESSIONS, Sample((name,), sessions)
    yield from _in_flight(name, target)
    operations = root_operations(carried)
    for operation, numbers in operations.items():
        labels = (name, operation)
        took = latencies(numbers, exemplars.of(name, operation))
        yield table.VOLUME_DURATION, Sample(labels, took, created_s)
        if numbers[BYTES]:
            yield table.VOLUME_BYTES, Sample(labels, numbers[BYTES], created_s)
        for count in carried.numbers.get(("slow", operation), ()):
            yield table.VOLUME_SLOW, Sample(labels, count, created_s)
        for code, count in _failures(carried, operation, numbers[FAILED]).items():
            yield table.VOLUME_ERRORS, Sample((*labels, code), count, created_s)
    for (what, *rest), numbers in carried.numbers.items():
        if what == "size":
            total = operations[rest[0]][BYTES] if rest[0] in operations else 0
            if total:
                yield table.VOLUME_SIZE, Sample((name, *rest), Histogram(numbers, total), created_s)
        elif what == "stage" and not (is_root(rest[0]) or replica_of(rest[0])):
            yield table.STAGE_DURATION, Sample((name, *rest), latencies(numbers), created_s)
    for (part,), numbers in carried.mistakes.items():
        yield table.PLUGIN_ERRORS, Sample((name, part), numbers[0], created_s)
    yield from _of_answers(name, carried)
    for member in published.volume.members:
        yield from _of_replica(seen, member)


def _in_flight(name: str, target: ProcessStatistics) -> Iterator[tuple[Metric, Sample]]:
    parked = target.parked.values()
    # What is under way in a stage is so in each that lies above it.
    yield table.VOLUME_IN_FLIGHT, Sample((name,), max((one.count for one in parked), default=0))
    oldest_s = max((one.oldest_s for one in parked), default=0.0)
    yield table.VOLUME_OLDEST, Sample((name,), oldest_s)
    for stage, one in target.parked.items():
        if not is_root(stage):
            yield table.STAGE_OLDEST, Sample((name, stage), one.oldest_s)


def root_operations(carried: Carried) -> dict[str, Numbers]:
    """Return what initiators asked for, by operation."""
    return {
        rest[1]: numbers
        for (what, *rest), numbers in carried.numbers.items()
        if what == "stage" and is_root(rest[0])
    }


def _of_answers(name: str, carried: Carried) -> Iterator[tuple[Metric, Sample]]:
    """What the target has counted of its replicas' answers."""
    created_s = seconds(carried.first_ns)
    last: dict[str, int] = {}
    for (what, *rest), numbers in carried.numbers.items():
        if what == "stage" and (replica := replica_of(rest[0])):
            labels = (name, replica, rest[1])
            yield table.REPLICA_ROUND_TRIP, Sample(labels, latencies(numbers), created_s)
            last[replica] = last.get(replica, 0) + numbers[LAST]
    for replica, count in last.items():
        yield table.REPLICA_LAST, Sample((name, replica), count, created_s)


def _failures(carried: Carried, operation: str, failed: int) -> dict[str, int]:
    """Return how many failed by code. What may come is there from the beginning, as 0: what begins
    with 1 has not grown for who looks at differences."""
    found = dict.fromkeys(_READ_CODES if operation in _READS else _WRITE_CODES, 0)
    for (what, *rest), numbers in carried.numbers.items():
        if what == "failed" and rest[0] == operation:
            found[rest[1].replace(" ", "_")] = numbers[0]
    other = failed - sum(found.values())
    return {**found, _OTHER: other} if other > 0 else found


def _of_replica(seen: VolumeStatistics, member: MemberStatus) -> Iterator[tuple[Metric, Sample]]:
    name = seen.name
    state = member.state if member.state in table.REPLICA_STATES else table.REPLICA_STATES[-1]
    for word in table.REPLICA_STATES if state == _OTHER else table.REPLICA_STATES[:-1]:
        yield table.REPLICA_STATE, Sample((name, member.name, word), int(word == state))
    if member.progress is not None:
        yield table.REPLICA_REBUILD, Sample((name, member.name), member.progress)
        if seen.size_bytes:
            left = int((1 - member.progress) * seen.size_bytes)
            yield table.REPLICA_REMAINING, Sample((name, member.name), left)


def _of_member(name: str, member: str, carried: Carried) -> Iterator[tuple[Metric, Sample]]:
    created_s = seconds(carried.first_ns)
    for (what, *rest), numbers in carried.numbers.items():
        if what == "stage":
            labels = (name, member, *rest)
            yield table.REPLICA_DURATION, Sample(labels, latencies(numbers), created_s)
            if numbers[BYTES]:
                yield table.REPLICA_BYTES, Sample(labels, numbers[BYTES], created_s)
            if numbers[FAILED]:
                yield table.REPLICA_ERRORS, Sample(labels, numbers[FAILED], created_s)


def _of_process(process: ProcessStatistics) -> Iterator[tuple[Metric, Sample]]:
    labels = (process.name,)
    if process.state != "unknown":
        yield table.PROCESS_UP, Sample(labels, int(process.state == "up"))
    yield table.PROCESS_START, Sample(labels, seconds(process.started_ns))
    yield table.PROCESS_STARTS, Sample(labels, process.starts, seconds(process.start_ns))
    usage = usage_of(process.pid) if process.pid else None
    if usage is not None:
        yield table.PROCESS_CPU, Sample(labels, usage.cpu_s, seconds(process.started_ns))
        yield table.PROCESS_MEMORY, Sample(labels, usage.resident_bytes)


def _members(volume: VolumeStatistics) -> tuple[MemberStatus, ...]:
    return volume.target.published.volume.members if volume.target is not None else ()
