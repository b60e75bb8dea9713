"""The replicas of a volume beside each other: which one is late, and in which of its stages."""

from __future__ import annotations

from tierce_exporters.dashboards.asking import mean, operations, quantile, rate
from tierce_exporters.dashboards.building import Dashboard, Panel, Query, Variable
from tierce_exporters.dashboards.volume import HERE, VOLUME
from tierce_exporters.prometheus import table

_THESE = f'{HERE}, replica=~"$replica"'
_WRITES = f'{_THESE}, operation="write"'
_BY = "volume, replica"
_LEGEND = "{{volume}} {{replica}}"
_STAGE_BY, _STAGE_LEGEND = f"{_BY}, stage, operation", _LEGEND + " {{stage}} {{operation}}"

_STATE = (
    Panel(
        title="State",
        text="The state that each replica is in, as its target sees it.",
        kind="state-timeline",
        unit="short",
        queries=(Query(f"{table.REPLICA_STATE.name}{{{_THESE}}} == 1", _LEGEND + ": {{state}}"),),
    ),
    Panel(
        title="Takes",
        text="What each replica takes of its medium: those of a volume may differ by what is free "
        "in them.",
        unit="bytes",
        queries=(Query(f"{table.REPLICA_USED.name}{{{_THESE}}}", _LEGEND),),
    ),
    Panel(
        title="Still to be rebuilt",
        text="What a rebuild still has to compare; nothing while none is under way.",
        unit="bytes",
        queries=(Query(f"{table.REPLICA_REMAINING.name}{{{_THESE}}}", _LEGEND),),
    ),
    Panel(
        title="Rebuilt",
        text="The share of a rebuild that is done; nothing while none is under way.",
        kind="bargauge",
        unit="percentunit",
        queries=(Query(f"{table.REPLICA_REBUILD.name}{{{_THESE}}}", _LEGEND),),
    ),
)
_SEEN = (
    Panel(
        title="Writes: the mean of its answers",
        text="From the frame that was sent to the answer, as the target sees it.",
        unit="s",
        queries=(Query(mean(table.REPLICA_ROUND_TRIP, _BY, _WRITES), _LEGEND),),
    ),
    Panel(
        title="Writes: 99 of 100 answers are quicker",
        text="From the frame that was sent to the answer, as the target sees it.",
        unit="s",
        queries=(Query(quantile(0.99, table.REPLICA_ROUND_TRIP, _BY, _WRITES), _LEGEND),),
    ),
    Panel(
        title="Was waited for",
        text="Last answers a second: the replica that has nearly all of them is the one that "
        "writes wait for.",
        unit="ops",
        stacked=True,
        queries=(Query(rate(table.REPLICA_LAST, _BY, _THESE), _LEGEND),),
    ),
    Panel(
        title="Answers",
        text="Answers a second, by kind of operation.",
        unit="ops",
        queries=(
            Query(
                operations(table.REPLICA_ROUND_TRIP, f"{_BY}, operation", _THESE),
                _LEGEND + " {{operation}}",
            ),
        ),
    ),
)
_WITHIN = (
    Panel(
        title="Its own stages: the mean",
        text="In the replica's process: what of an answer is not here was on the way, or waited "
        "for its turn.",
        unit="s",
        queries=(Query(mean(table.REPLICA_DURATION, _STAGE_BY, _THESE), _STAGE_LEGEND),),
    ),
    Panel(
        title="Its own stages: 99 of 100 are quicker",
        text="Flushes are the disk's.",
        unit="s",
        queries=(Query(quantile(0.99, table.REPLICA_DURATION, _STAGE_BY, _THESE), _STAGE_LEGEND),),
    ),
    Panel(
        title="Bytes",
        text="A second, by stage.",
        unit="Bps",
        queries=(Query(rate(table.REPLICA_BYTES, _STAGE_BY, _THESE), _STAGE_LEGEND),),
    ),
    Panel(
        title="Failed operations",
        text="A second, by stage: a disk.",
        unit="ops",
        queries=(Query(rate(table.REPLICA_ERRORS, _STAGE_BY, _THESE), _STAGE_LEGEND),),
    ),
)

REPLICAS = Dashboard(
    uid="tierce-replica",
    title="Tierce: replicas",
    text="The replicas of a volume beside each other: which one is late, and in which stage.",
    variables=(VOLUME, Variable("replica", "Replica", f"{table.REPLICA_STATE.name}{{{HERE}}}")),
    rows=(("State", _STATE), ("As the target sees them", _SEEN), ("Within them", _WITHIN)),
)
