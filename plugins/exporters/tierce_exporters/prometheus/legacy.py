"""The names of OpenEBS's exporters (m-exporter, NDM's), so that dashboards made for those work.

All are gauges there, counters too, without units in their names and with times in nanoseconds; so
they are here. A volume's are labelled `openebs_pv` and `openebs_pvc`, a replica's `vol` and `pool`:
a volume is its own claim, and a replica the pool that it lies in. What has no meaning here is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import attrs

from tierce import Health, MemberStatus
from tierce_exporters.prometheus.collecting import Carried, CarriedVolume, root_operations
from tierce_exporters.prometheus.metric import Family, Kind, Metric, Sample
from tierce_exporters.prometheus.reading import BYTES, count, nanoseconds, seconds

#: Sources of those that are always 0.
NO_MEANING = "always 0"
_VOLUME, _REPLICA = ("openebs_pv", "openebs_pvc"), ("vol", "pool")
_IN_SYNC, _REBUILDING = "in-sync", "rebuilding"

#: A volume's words as `volume_status`: 1 offline, 2 degraded, 3 healthy, 4 unknown.
_STATUS = {
    Health.HEALTHY.value: 3,
    Health.DEGRADED.value: 2,
    Health.READ_ONLY.value: 2,
    Health.STALLED.value: 1,
    Health.FENCED.value: 1,
    Health.DOWN.value: 1,
    Health.OPENING.value: 1,
    Health.DELETING.value: 1,
}
_STATUS_UNKNOWN = 4
#: A replica's words as `replica_status`: 0 offline, 1 healthy, 2 degraded, 3 rebuilding.
_REPLICA_STATUS = {_IN_SYNC: 1, "down": 0, _REBUILDING: 3}
_REPLICA_DEGRADED = 2
#: `rebuild_status`: 1 is done, 3 is under way.
_REBUILD_DONE, _REBUILD_ACTIVE = 1, 3
_NO_POOLS = 6


@attrs.frozen
class Counts:
    """What was done of one kind of operation.

    Attributes:
        count: Operations.
        bytes: Their bytes.
        total_ns: The sum of their latencies.
    """

    count: int = 0
    bytes: int = 0
    total_ns: int = 0


def _metric(name: str, labels: tuple[str, ...], source: str) -> Metric:
    text = f"The name of OpenEBS for: {source}."
    return Metric(name=f"openebs_{name}", kind=Kind.GAUGE, labels=labels, help=text, source=source)


#: Read, write and flush of a volume or a replica.
Operations = Mapping[str, Counts]
_NONE = Counts()

_OF_VOLUME: dict[str, tuple[str, Callable[[Operations], float]]] = {
    "reads": ("reads", lambda one: one["read"].count),
    "read_time": ("ns of all reads", lambda one: one["read"].total_ns),
    "read_block_count": ("bytes read", lambda one: one["read"].bytes),
    "total_read_bytes": ("bytes read", lambda one: one["read"].bytes),
    "writes": ("writes", lambda one: one["write"].count),
    "write_time": ("ns of all writes", lambda one: one["write"].total_ns),
    "write_block_count": ("bytes written", lambda one: one["write"].bytes),
    "total_write_bytes": ("bytes written", lambda one: one["write"].bytes),
}
_OF_REPLICA: dict[str, tuple[str, Callable[[Operations], float]]] = {
    "total_read_bytes": ("bytes read", lambda one: one["read"].bytes),
    "total_write_bytes": ("bytes written", lambda one: one["write"].bytes),
    "total_read_count": ("reads", lambda one: one["read"].count),
    "total_write_count": ("writes", lambda one: one["write"].count),
    "sync_count": ("flushes", lambda one: one["flush"].count),
    "read_latency": ("ns of all reads", lambda one: one["read"].total_ns),
    "write_latency": ("ns of all writes", lambda one: one["write"].total_ns),
    "sync_latency": ("ns of all flushes", lambda one: one["flush"].total_ns),
}
_VOLUME_ZEROES = (
    *("actual_used", "logical_size", "size_of_volume", "sector_size"),
    *("connection_retry_total", "connection_error_total", "parse_error_total"),
    "target_reject_request_counter",
)
_REPLICA_ZEROES = (
    *("inflight_io_count", "dispatched_io_count", "rebuild_count", "rebuild_bytes"),
    *("total_rebuild_done", "total_failed_rebuild"),
)
_DATASET_ZEROES = ("volume_replica_used_size", "volume_replica_available_size")
_ZEROES = (
    *("pool_size", "used_pool_capacity", "free_pool_capacity", "used_pool_capacity_percent"),
    *("zpool_list_parse_error_count", "zpool_list_reject_request_count"),
    *("zpool_list_command_error", "zpool_list_no_pool_available_error"),
    "zpool_list_incomplete_stdout_error",
    "zpool_list_failed_to_initialize_libuzfs_client_error_counter",
    *("zfs_stats_command_error", "zfs_stats_parse_error_counter"),
    *("zfs_stats_reject_request_count", "zfs_stats_no_dataset_available_error_counter"),
    "zfs_stats_failed_to_initialize_libuzfs_client_error_counter",
    *("zfs_list_parse_error", "zfs_list_command_error", "zfs_list_request_reject_count"),
    "zfs_list_no_dataset_available_error_counter",
    "zfs_list_failed_to_initialize_libuzfs_client_error_counter",
    *("zpool_last_sync_time", "zpool_state_unknown", "zpool_sync_time_command_error"),
    "zfs_get_livenesstimestamp_request_reject_count",
    # Of the disk manager's; those of a disk have none to be of.
    *("reject_request_count", "error_request_count"),
)


def _table() -> dict[str, Metric]:
    """Return every metric by its name without prefix. Two names are a volume's and a replica's: an
    empty label is none."""
    sources = {
        **{name: (_VOLUME, source) for name, (source, _value) in _OF_VOLUME.items()},
        "volume_status": (_VOLUME, "1 offline, 2 degraded, 3 healthy, 4 unknown"),
        "volume_uptime": ((*_VOLUME, "volName", "castype"), "seconds since its target began"),
        "healthy_replica_count": (_VOLUME, "replicas in sync"),
        "degraded_replica_count": (_VOLUME, "replicas that are not in sync"),
        "total_replica_count": (_VOLUME, "replicas"),
        "iscsi_initiator_login_status": (_VOLUME, "1 while an initiator is logged in"),
        "replica_status": (_REPLICA, "0 offline, 1 healthy, 2 degraded, 3 rebuilding"),
        "rebuild_status": (_REPLICA, "1 done, 3 under way"),
        **dict.fromkeys(_VOLUME_ZEROES, (_VOLUME, NO_MEANING)),
        **dict.fromkeys(_REPLICA_ZEROES, (_REPLICA, NO_MEANING)),
        **dict.fromkeys(_DATASET_ZEROES, (("name",), NO_MEANING)),
        **dict.fromkeys(_ZEROES, ((), NO_MEANING)),
        "pool_status": (("pool",), "always 6, no pools available"),
    }
    for name, (source, _value) in _OF_REPLICA.items():
        labels = (*_VOLUME, *_REPLICA) if name in sources else _REPLICA
        sources[name] = (labels, source)
    return {name: _metric(name, *what) for name, what in sources.items()}


TABLE = _table()


def legacy_families(volumes: Mapping[str, CarriedVolume], now: float) -> list[Family]:
    """Return every legacy metric that has a value, in the table's order.

    Args:
        volumes: Every volume with its sums.
        now: The time, in seconds since the epoch.
    """
    found: dict[str, list[Sample]] = {name: [] for name in TABLE}
    for name, labels, value in _values(volumes, now):
        ordered = tuple(labels.get(label, "") for label in TABLE[name].labels)
        found[name].append(Sample(ordered, value))
    return [Family(TABLE[name], samples) for name, samples in found.items() if samples]


Value = tuple[str, Mapping[str, str], float]


def _values(volumes: Mapping[str, CarriedVolume], now: float) -> Iterator[Value]:
    for name, volume in volumes.items():
        yield from _of_volume(name, volume, now)
        for member in _members(volume):
            yield from _of_replica(name, member, volume.members.get(member.name))
    for zero in _ZEROES:
        yield zero, {}, 0
    yield "pool_status", {}, _NO_POOLS


def _of_volume(name: str, volume: CarriedVolume, now: float) -> Iterator[Value]:
    labels = {"openebs_pv": name, "openebs_pvc": name, "volName": name}
    target = volume.seen.target
    if volume.target is not None and target is not None:
        done = _operations(root_operations(volume.target))
        for metric, (_source, value) in _OF_VOLUME.items():
            yield metric, labels, value(done)
        yield "volume_uptime", labels, max(0.0, now - seconds(target.started_ns))
        fronts = target.published.frontends.values()
        is_used = any(one.sessions or one.left_out for one in fronts)
        yield "iscsi_initiator_login_status", labels, int(is_used)
    yield "volume_status", labels, _STATUS.get(volume.seen.health, _STATUS_UNKNOWN)
    members = _members(volume)
    healthy = sum(one.state == _IN_SYNC for one in members)
    yield "healthy_replica_count", labels, healthy
    yield "degraded_replica_count", labels, len(members) - healthy
    yield "total_replica_count", labels, len(members)
    for zero in _VOLUME_ZEROES:
        yield zero, labels, 0


def _of_replica(name: str, member: MemberStatus, carried: Carried | None) -> Iterator[Value]:
    labels = {"vol": name, "pool": member.name, "name": f"{name}/{member.name}"}
    numbers = carried.numbers.items() if carried is not None else ()
    done = _operations({rest[-1]: one for (what, *rest), one in numbers if what == "stage"})
    for metric, (_source, value) in _OF_REPLICA.items():
        yield metric, labels, value(done)
    yield "replica_status", labels, _REPLICA_STATUS.get(member.state, _REPLICA_DEGRADED)
    is_active = member.state == _REBUILDING
    yield "rebuild_status", labels, _REBUILD_ACTIVE if is_active else _REBUILD_DONE
    for zero in (*_REPLICA_ZEROES, *_DATASET_ZEROES):
        yield zero, labels, 0


def _operations(numbers: Mapping[str, tuple[int, ...]]) -> Operations:
    done = {
        operation: Counts(count(one), one[BYTES], nanoseconds(one))
        for operation, one in numbers.items()
    }
    return {operation: done.get(operation, _NONE) for operation in ("read", "write", "flush")}


def _members(volume: CarriedVolume) -> tuple[MemberStatus, ...]:
    target = volume.seen.target
    return target.published.volume.members if target is not None else ()
