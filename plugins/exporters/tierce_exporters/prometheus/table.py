"""Every metric, once: HELP, the reference page and the test of names are made of this.

Names follow Prometheus' conventions: seconds and bytes, counters end with `_total`, a state is a
gauge for each word, 1 for the one that holds. Labels are names of volumes, replicas, stages,
operations and codes: never what an initiator chooses.
"""

from __future__ import annotations

from tierce import Health
from tierce_exporters.prometheus.metric import Kind, Metric, Scale
from tierce_exporters.prometheus.reading import DURATIONS, SIZES

#: The words of a volume's state.
VOLUME_STATES = tuple(one.value for one in Health)
#: The words of a replica's state that are told apart; another engine's own count as the last.
REPLICA_STATES = ("in-sync", "waiting", "rebuilding", "in-doubt", "down", "other")

_COUNTERS = "the target's counters"
_MEMBER = "the replica's own counters"
_PUBLISHED = "what the target publishes"
_SHOWN_BY_MEMBER = "what the replica publishes"
_PROC = "the kernel, while a server runs"
_SERVER = "the server, while one runs"


def _counter(name: str, labels: str, text: str, source: str, unit: str = "") -> Metric:
    return _metric(f"{name}_total", Kind.COUNTER, labels, text, source, unit)


def _gauge(name: str, labels: str, text: str, source: str, unit: str = "") -> Metric:
    return _metric(name, Kind.GAUGE, labels, text, source, unit)


def _histogram(
    name: str, labels: str, text: str, source: str, unit: str = "seconds", scale: Scale = DURATIONS
) -> Metric:
    return _metric(name, Kind.HISTOGRAM, labels, text, source, unit, scale)


def _metric(
    name: str,
    kind: Kind,
    labels: str,
    text: str,
    source: str,
    unit: str,
    scale: Scale | None = None,
) -> Metric:
    return Metric(
        scale=scale,
        name=f"tierce_{name}",
        kind=kind,
        unit=unit,
        labels=tuple(labels.split()),
        help=text,
        source=source,
    )


VOLUME_INFO = _gauge(
    "volume_info",
    "volume uuid engine frontend",
    "1 for each volume: which one it is, what keeps it and how it is exported; absent while no "
    "server runs.",
    _SERVER,
)
VOLUME_CAPACITY = _gauge(
    "volume_size_bytes",
    "volume",
    "How large the volume is; absent while no server runs.",
    _SERVER,
    "bytes",
)
VOLUME_USED = _gauge(
    "volume_used_bytes",
    "volume",
    "How much of their media all replicas of the volume take together, of those that know it.",
    _SHOWN_BY_MEMBER,
    "bytes",
)
VOLUME_STATE = _gauge(
    "volume_state",
    "volume state",
    "1 for the state that the volume is in, 0 for the others; absent while no server runs.",
    _SERVER,
)
VOLUME_SESSIONS = _gauge(
    "volume_sessions", "volume", "Sessions of initiators, through all front ends.", _PUBLISHED
)
VOLUME_DURATION = _histogram(
    "volume_operation_duration_seconds",
    "volume operation",
    "How long operations took as initiators saw them, failed ones too.",
    _COUNTERS,
)
VOLUME_SIZE = _histogram(
    "volume_operation_size_bytes",
    "volume operation",
    "How large the operations were that initiators asked for, failed ones too, of those that have "
    "bytes.",
    _COUNTERS,
    "bytes",
    SIZES,
)
VOLUME_IN_FLIGHT = _gauge(
    "volume_in_flight", "volume", "Operations that wait below the front ends now.", _COUNTERS
)
VOLUME_OLDEST = _gauge(
    "volume_oldest_in_flight_seconds",
    "volume",
    "How long the oldest operation has waited below the front ends; 0 while there is none.",
    _COUNTERS,
    "seconds",
)
VOLUME_BYTES = _counter(
    "volume_bytes",
    "volume operation",
    "Bytes of the operations that initiators asked for, of those that have any.",
    _COUNTERS,
    "bytes",
)
VOLUME_ERRORS = _counter(
    "volume_errors",
    "volume operation code",
    "Operations that failed, as initiators saw them, by what went wrong; `other` is what has no "
    "code. `read_error` and `write_error` are there as 0 from the beginning.",
    _COUNTERS,
)
VOLUME_SLOW = _counter(
    "volume_slow_operations",
    "volume operation",
    "Operations that took longer than the limit for slow ones, 50 ms unless it was set; "
    "absent before the first.",
    _COUNTERS,
)
STAGE_DURATION = _histogram(
    "stage_duration_seconds",
    "volume stage operation",
    "How long operations took in a stage of the target and in all stages below it.",
    _COUNTERS,
)
STAGE_OLDEST = _gauge(
    "stage_oldest_in_flight_seconds",
    "volume stage",
    "How long the oldest operation has been in a stage of the target; absent while there is none.",
    _COUNTERS,
    "seconds",
)
PLUGIN_ERRORS = _counter(
    "volume_plugin_errors",
    "volume part",
    "Mistakes of a plugin in the volume's target, by the part of the pipeline.",
    _PUBLISHED,
)
REPLICA_STATE = _gauge(
    "replica_state",
    "volume replica state",
    "1 for the state that the replica is in as its target sees it, 0 for the others.",
    _PUBLISHED,
)
REPLICA_REBUILD = _gauge(
    "replica_rebuild_progress_ratio",
    "volume replica",
    "The share of a rebuild that is done, 0 to 1; absent while none is under way.",
    _PUBLISHED,
    "ratio",
)
REPLICA_REMAINING = _gauge(
    "replica_rebuild_remaining_bytes",
    "volume replica",
    "How much of the volume a rebuild still has to compare; absent while none is under way.",
    f"{_PUBLISHED}, and the size",
    "bytes",
)
REPLICA_USED = _gauge(
    "replica_used_bytes",
    "volume replica",
    "How much of its medium the replica takes; absent where it does not know.",
    _SHOWN_BY_MEMBER,
    "bytes",
)
REPLICA_ROUND_TRIP = _histogram(
    "replica_round_trip_seconds",
    "volume replica operation",
    "How long a replica's answers took, as its target saw them.",
    _COUNTERS,
)
REPLICA_LAST = _counter(
    "replica_last_answers",
    "volume replica",
    "Answers of the replica that came after those of all others, so that it was waited for.",
    _COUNTERS,
)
REPLICA_DURATION = _histogram(
    "replica_stage_duration_seconds",
    "volume replica stage operation",
    "How long operations took in a stage of the replica's own process.",
    _MEMBER,
)
REPLICA_BYTES = _counter(
    "replica_bytes",
    "volume replica stage operation",
    "Bytes of the operations of a stage of the replica's own process, of those that have any.",
    _MEMBER,
    "bytes",
)
REPLICA_ERRORS = _counter(
    "replica_errors",
    "volume replica stage operation",
    "Operations that failed in a stage of the replica's own process; absent before the first.",
    _MEMBER,
)
PROCESS_UP = _gauge(
    "process_up",
    "process",
    "1 if a volume's target or replica is up, 0 if it starts, ends or is down; absent while no "
    "server runs.",
    _SERVER,
)
PROCESS_START = _gauge(
    "process_start_time_seconds",
    "process",
    "When the process started, in seconds since the epoch.",
    "its statistics page",
    "seconds",
)
PROCESS_STARTS = _counter(
    "process_starts",
    "process",
    "Processes that have counted here, one after the other.",
    "its statistics page",
)
PROCESS_CPU = _counter(
    "process_cpu_seconds",
    "process",
    "CPU time that the process has had since it started.",
    _PROC,
    "seconds",
)
PROCESS_MEMORY = _gauge(
    "process_resident_memory_bytes",
    "process",
    "Memory that the process holds; what it shares with others counts in each.",
    _PROC,
    "bytes",
)
TRACES_LOST = _counter(
    "trace_records_lost",
    "kind",
    "I/Os that would have been exemplars: `overwritten` before they were read, `left-out` since a "
    "volume writes down only so many a second.",
    "the exporter itself",
)
EVENTS = _counter(
    "events", "code severity", "Events since the exporter began, by code.", "the event log"
)
DROPPED = _counter(
    "exporter_dropped",
    "exporter kind",
    "What an exporter had to leave out: events and I/Os that were kept no longer when it asked, "
    "connections and I/Os that there was no room for.",
    "the exporter itself; others' from their events",
)

METRICS = (
    *(VOLUME_INFO, VOLUME_CAPACITY, VOLUME_USED, VOLUME_STATE, VOLUME_SESSIONS),
    *(VOLUME_IN_FLIGHT, VOLUME_OLDEST),
    *(VOLUME_DURATION, VOLUME_SIZE, VOLUME_BYTES, VOLUME_ERRORS, VOLUME_SLOW, PLUGIN_ERRORS),
    *(STAGE_DURATION, STAGE_OLDEST),
    *(REPLICA_STATE, REPLICA_REBUILD, REPLICA_REMAINING, REPLICA_USED),
    *(REPLICA_ROUND_TRIP, REPLICA_LAST),
    *(REPLICA_DURATION, REPLICA_BYTES, REPLICA_ERRORS),
    *(PROCESS_UP, PROCESS_START, PROCESS_STARTS, PROCESS_CPU, PROCESS_MEMORY),
    *(TRACES_LOST, EVENTS, DROPPED),
)
