"""What services see, as the tests of exporters make it up."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tierce import (
    FrontendStatus,
    MemberStatus,
    OperationStatistics,
    Parked,
    PluginErrors,
    ProcessStatistics,
    Published,
    SessionStatus,
    TraceRecord,
    VolumeStatistics,
    VolumeStatus,
)

BUCKET_COUNT = 40
NS_PER_S = 1_000_000_000
#: Engine, front ends, size, and size of a block.
SHAPE = ("jiva", ("iscsi", "nbd"), 1 << 30, 4096)
START_NS = 1_700_000_000 * NS_PER_S


def operation(
    counts: Mapping[int, int], length: int = 0, failed: int = 0, total_ns: int = 0, last: int = 0
) -> OperationStatistics:
    """Statistics with so many in each of these buckets."""
    buckets = filled(counts)
    return OperationStatistics(sum(buckets), length, failed, total_ns, buckets, last)


def filled(counts: Mapping[int, int]) -> tuple[int, ...]:
    """Buckets with so many in each of these."""
    return tuple(counts.get(index, 0) for index in range(BUCKET_COUNT))


def process(
    name: str,
    stages: Mapping[str, Mapping[str, OperationStatistics]],
    start_ns: int = START_NS,
    state: str = "up",
    published: Published | None = None,
    **more: Any,
) -> ProcessStatistics:
    role = name.partition(".")[0]
    shown = Published() if published is None else published
    more = {"started_ns": start_ns, **more}
    return ProcessStatistics(name, role, start_ns, state, {}, stages, shown, **more)


def target(volume: str = "db", **more: Any) -> ProcessStatistics:
    """A target that has done two writes and a failed one, of which a plugin made a mistake."""
    writes = operation({16: 1, 17: 1, 31: 1}, length=1024, failed=1, total_ns=2 * NS_PER_S)
    members = (
        MemberStatus(name="replica-1", state="in-sync"),
        MemberStatus(name="replica-2", state="rebuilding", progress=0.25),
        MemberStatus(name="replica-3", state="sulking"),
    )
    published = Published(
        volume=VolumeStatus(state="degraded", members=members),
        frontends={
            "iscsi": FrontendStatus(sessions=(SessionStatus(initiator="iqn.a"),), left_out=2),
            "nbd": FrontendStatus(),
        },
        plugin_errors={"filter slow": PluginErrors(count=3, last="it raised", at=1.0)},
    )
    stages = {
        "volume": {"write": writes},
        "filter.slow": {"write": writes},
        "device": {"write": writes},
        "jiva.replica/replica-1": {
            "write": operation({20: 2}, last=1),
            "flush": operation({21: 1}),
        },
        "jiva.replica/replica-2": {"write": operation({22: 2}, last=1)},
    }
    sizes = {"write": filled({9: 2})}
    parked = {"filter.slow": Parked(2, 12.5), "device": Parked(1, 12.25)}
    failures = {"write": {"no space": 1}}
    found = {"published": published, "sizes": sizes, "parked": parked, "failures": failures, **more}
    found = {"slow": {"write": 1}, "pid": os.getpid(), **found}
    return process(f"target.{volume}", stages, **found)


def member(volume: str = "db", name: str = "replica-1", **more: Any) -> ProcessStatistics:
    writes = operation({10: 5}, length=2560, total_ns=5 * NS_PER_S)
    stages = more.pop("stages", {"replica.apply": {"write": writes}})
    shown = Published(member=MemberStatus(name=name, state="in-sync", used_bytes=4096))
    return process(f"member.{volume}.{name}", stages, **{"published": shown, **more})


def volume(name: str = "db", health: str = "degraded") -> VolumeStatistics:
    """A volume with a target and one replica's process."""
    members = {"replica-1": member(name)}
    return VolumeStatistics(name, health, target(name), members, {}, "ab" * 16, *SHAPE)


def record(volume: str = "db", operation: str = "write", **more: Any) -> TraceRecord:
    """An I/O that was written down."""
    elapsed_ns = more.pop("elapsed_ns", 60_000_000)
    trace_id = more.pop("trace_id", "0af7651916cd43dd8448eb211c80319c")
    values = {
        "volume": volume,
        "operation": operation,
        "offset": 0,
        "length": 512,
        "batch": 1,
        "code": "good",
        "start_ns": START_NS,
        "elapsed_ns": elapsed_ns,
        "is_sampled": False,
        "is_slow": True,
        "trace_id": trace_id,
        "span_id": "b7ad6b7169203331",
        "stages": (),
    }
    return TraceRecord(**{**values, **more})
