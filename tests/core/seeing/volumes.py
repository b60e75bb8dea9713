"""Looks at volumes, in as few words as possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierce.seeing.interval import VolumeInterval, between
from tierce.services import (
    OperationStatistics,
    Parked,
    ProcessStatistics,
    TracedStage,
    TraceRecord,
    VolumeStatistics,
)
from tierce.statuses import MemberStatus, Published, VolumeStatus
from tierce.volume.counters import BUCKET_COUNT, bucket_of

MS = 1_000_000
#: Stage -> operation -> a run of `operation`, several, or what that returns.
Said = Mapping[str, Mapping[str, Any]]


def operation(*runs: tuple[float, ...], length: int = 0, failed: int = 0) -> OperationStatistics:
    """What a stage did: runs of (how many, ms each[, how many of them were the last])."""
    buckets = [0] * BUCKET_COUNT
    total = last = 0
    for count, each_ms, *lasts in runs:
        buckets[bucket_of(int(each_ms * MS))] += int(count)
        total += int(count * each_ms * MS)
        last += int(sum(lasts))
    return OperationStatistics(sum(buckets), length, failed, total, tuple(buckets), last)


def counted(one: Any) -> OperationStatistics:
    if isinstance(one, OperationStatistics):
        return one
    return operation(*([one] if isinstance(one, tuple) else one))


def process(name: str, said: Said, *, start_ns: int = 1, **more: Any) -> ProcessStatistics:
    stages = {
        stage: {name: counted(one) for name, one in operations.items()}
        for stage, operations in said.items()
    }
    role = name.partition(".")[0]
    return ProcessStatistics(
        *(name, role, start_ns, "up", {}, stages), **{"published": Published(), **more}
    )


def volume(
    target: Said,
    members: Mapping[str, Said] | None = None,
    *,
    name: str = "demo",
    health: str = "healthy",
    start_ns: int = 1,
    parked: Mapping[str, Parked] | None = None,
    states: Mapping[str, str] | None = None,
) -> VolumeStatistics:
    found = {
        member: process(f"member.{name}.{member}", said, start_ns=start_ns)
        for member, said in (members or {}).items()
    }
    status = VolumeStatus(
        members=tuple(MemberStatus(name=who, state=state) for who, state in (states or {}).items())
    )
    main = process(
        f"target.{name}",
        target,
        start_ns=start_ns,
        parked=parked or {},
        published=Published(volume=status),
    )
    return VolumeStatistics(name, health, main, found)


def interval(
    target: Said, members: Mapping[str, Said] | None = None, seconds: float = 10.0, **more: Any
) -> VolumeInterval:
    return between(None, volume(target, members, **more), seconds)


def replicated(
    write_ms: float = 0.5,
    sync_ms: float = 1.0,
    count: int = 300,
    *,
    link: Mapping[str, float] | None = None,
    apply: Mapping[str, float] | None = None,
    sync: Mapping[str, float] | None = None,
) -> VolumeInterval:
    """A volume of three replicas, of which some parts are late.

    Args:
        write_ms: A write's round trip, of which a tenth is the store's.
        sync_ms: A flush's round trip, of which nine tenths are fdatasync.
        count: Writes, and flushes.
        link: How many ms later the link to a replica is: {"replica-2": 20}.
        apply: Likewise its store.
        sync: Likewise its fdatasync.
    """
    names = [f"replica-{number}" for number in (1, 2, 3)]
    members: dict[str, Any] = {}
    trips = {}
    for name in names:
        way, store, disk = ((one or {}).get(name, 0.0) for one in (link, apply, sync))
        members[name] = {
            "replica.apply": {"write": (count, write_ms * 0.1 + store)},
            "replica.sync": {"flush": (count, sync_ms * 0.9 + disk)},
        }
        trips[name] = {"write": write_ms + store + way, "flush": sync_ms + disk + way}
    target: dict[str, Any] = {"device": {}, "volume": {}}
    for operation in ("write", "flush"):
        slowest = max(trips[name][operation] for name in names)
        tied = [name for name in names if trips[name][operation] == slowest]
        for name in names:
            last = count / len(tied) if name in tied else 0
            stage = target.setdefault(f"jiva.replica/{name}", {})
            stage[operation] = (count, trips[name][operation], last)
        target["device"][operation] = (count, slowest + 0.02)
        target["volume"][operation] = (count, slowest + 0.05)
    return interval(target, members)


def record(
    elapsed_ms: float,
    *said: tuple[str, float, float],
    operation: str = "write",
    is_slow: bool = True,
) -> TraceRecord:
    """An I/O that was written down, with its stages: (STAGE or STAGE/MEMBER, start, length)."""
    numbers: dict[str, int] = {}
    traced = []
    for text, begin_ms, length_ms in said:
        stage, _, member = text.partition("/")
        numbers[text] = numbers.get(text, -1) + 1
        traced.append(
            TracedStage(
                stage=stage,
                member=member,
                start_ns=int(begin_ms * MS),
                elapsed_ns=int(length_ms * MS),
                number=numbers[text],
                span_id="00" * 8,
            )
        )
    return TraceRecord(
        volume="demo",
        operation=operation,
        offset=4096,
        length=4096,
        batch=1,
        code="good",
        start_ns=0,
        elapsed_ns=int(elapsed_ms * MS),
        is_sampled=not is_slow,
        is_slow=is_slow,
        trace_id="00" * 16,
        span_id="00" * 8,
        stages=tuple(traced),
    )
