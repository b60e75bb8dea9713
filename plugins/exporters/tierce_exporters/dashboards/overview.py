"""All volumes on one page: is something wrong, and where."""

from __future__ import annotations

from tierce_exporters.dashboards.asking import operations, quantile, rate
from tierce_exporters.dashboards.building import Dashboard, Panel, Query
from tierce_exporters.prometheus import table

_ALL = ""
_STATE, _REPLICA_STATE = table.VOLUME_STATE.name, table.REPLICA_STATE.name


def _count(title: str, text: str, expression: str, good_below: float | None = 1) -> Panel:
    return Panel(
        title=title,
        text=text,
        kind="stat",
        unit="short",
        width=4,
        height=4,
        good_below=good_below,
        queries=(Query(expression, ""),),
    )


_NOW = (
    _count("Volumes", "Volumes that a server knows.", f"count(count by (volume) ({_STATE}))", None),
    _count(
        "Not healthy",
        "Volumes in any other state: degraded, stalled, down...",
        f'count({_STATE}{{state!="healthy"}} == 1) or vector(0)',
    ),
    _count(
        "Replicas not in sync",
        "Replicas that are down, wait or are being rebuilt.",
        f'count({_REPLICA_STATE}{{state="in-sync"}} == 0) or vector(0)',
    ),
    _count(
        "Processes down",
        "Targets and replicas that are not up.",
        f"count({table.PROCESS_UP.name} == 0) or vector(0)",
    ),
    _count(
        "Warnings and errors",
        "Events that tell of something wrong, in the range of time; tierce events shows them.",
        f'sum(increase({table.EVENTS.name}{{severity!="info"}}[$__range])) or vector(0)',
    ),
    _count(
        "Oldest I/O",
        "How long the I/O has waited that has waited longest of all.",
        f"max({table.VOLUME_OLDEST.name})",
        5,
    ),
)
_WORK = (
    Panel(
        title="Operations",
        text="Reads, writes and others a second, by volume.",
        unit="ops",
        queries=(Query(operations(table.VOLUME_DURATION, "volume", _ALL), "{{volume}}"),),
    ),
    Panel(
        title="Bytes",
        text="Bytes a second that initiators read and wrote, by volume.",
        unit="Bps",
        queries=(Query(rate(table.VOLUME_BYTES, "volume", _ALL), "{{volume}}"),),
    ),
    Panel(
        title="Writes: 99 of 100 are quicker",
        text="The 99th percentile of writes as initiators see them, by volume.",
        unit="s",
        queries=(
            Query(
                quantile(0.99, table.VOLUME_DURATION, "volume", 'operation="write"'), "{{volume}}"
            ),
        ),
    ),
    Panel(
        title="Reads: 99 of 100 are quicker",
        text="The 99th percentile of reads as initiators see them, by volume.",
        unit="s",
        queries=(
            Query(
                quantile(0.99, table.VOLUME_DURATION, "volume", 'operation="read"'), "{{volume}}"
            ),
        ),
    ),
)
_TROUBLE = (
    Panel(
        title="States",
        text="The state that each volume is in.",
        kind="state-timeline",
        unit="short",
        queries=(Query(f"{_STATE} == 1", "{{volume}}: {{state}}"),),
    ),
    Panel(
        title="Failed operations",
        text="Operations a second that initiators were answered with an error.",
        unit="ops",
        queries=(
            Query(rate(table.VOLUME_ERRORS, "volume, operation", _ALL), "{{volume}} {{operation}}"),
        ),
    ),
    Panel(
        title="Processes that were started anew",
        text="Starts of targets and replicas: each is a moment of waiting.",
        unit="short",
        queries=(
            Query(f"sum by (process) (increase({table.PROCESS_STARTS.name}[5m]))", "{{process}}"),
        ),
    ),
    Panel(
        title="CPU",
        text="Seconds a second that each process of a volume takes: 1 is a whole core.",
        unit="short",
        queries=(Query(rate(table.PROCESS_CPU, "process", _ALL), "{{process}}"),),
    ),
    Panel(
        title="Memory",
        text="What each process of a volume holds; what it shares with others counts in each.",
        unit="bytes",
        queries=(Query(table.PROCESS_MEMORY.name, "{{process}}"),),
    ),
    Panel(
        title="Dropped by exporters",
        text="What exporters had to leave out: these pages, or what is sent, lack that much.",
        unit="short",
        queries=(Query(rate(table.DROPPED, "exporter, kind", _ALL), "{{exporter}}: {{kind}}"),),
    ),
)

OVERVIEW = Dashboard(
    uid="tierce-overview",
    title="Tierce: overview",
    text="All volumes: is something wrong, and where.",
    rows=(("Now", _NOW), ("Work", _WORK), ("Trouble", _TROUBLE)),
)
