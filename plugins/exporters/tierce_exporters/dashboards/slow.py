"""Why is it slow: a volume's time by stage and replica, the widest first."""

from __future__ import annotations

from tierce_exporters.dashboards.asking import busy, mean, quantile, rate
from tierce_exporters.dashboards.building import Dashboard, Panel, Query, Variable
from tierce_exporters.dashboards.volume import HERE, VOLUME
from tierce_exporters.prometheus import table

_OF = f'{HERE}, operation="$operation"'
_LEVELS = (
    (table.VOLUME_DURATION, "volume", "initiators see"),
    (table.STAGE_DURATION, "volume, stage", "{{stage}}"),
    (table.REPLICA_ROUND_TRIP, "volume, replica", "answer of {{replica}}"),
    (table.REPLICA_DURATION, "volume, replica, stage", "{{replica}}: {{stage}}"),
)

_WHERE = (
    Panel(
        title="1. How long it takes, from the outside to the inside",
        text="The mean of each level, which holds all below it. Where one is much shorter than the "
        "one above it, the time goes between them: filters, then the wait for replicas, then the "
        "way to one of them, then its disk.",
        unit="s",
        width=24,
        height=10,
        queries=tuple(
            Query(mean(metric, by, _OF), f"{{{{volume}}}} {legend}")
            for metric, by, legend in _LEVELS
        ),
    ),
    Panel(
        title="2. The same of the slowest",
        text="99 of 100 are quicker. What is in the mean and not here is always slow; what is here "
        "and not in the mean is slow now and then.",
        unit="s",
        width=24,
        height=10,
        queries=tuple(
            Query(quantile(0.99, metric, by, _OF), f"{{{{volume}}}} {legend}")
            for metric, by, legend in _LEVELS
        ),
    ),
)
_WHO = (
    Panel(
        title="3. Who is waited for",
        text="Whose answers come last. About a third each is a volume whose replicas are alike.",
        unit="percentunit",
        stacked=True,
        queries=(
            Query(
                f"{rate(table.REPLICA_LAST, 'volume, replica', HERE)} / on (volume) group_left () "
                f"(sum by (volume) (rate({table.REPLICA_LAST.name}{{{HERE}}}[$__rate_interval])) "
                "> 0)",
                "{{volume}} {{replica}}",
            ),
        ),
    ),
    Panel(
        title="4. Where the oldest waits now",
        text="How long the oldest operation has been in each stage. What stands still shows here "
        "before it shows in any mean.",
        unit="s",
        queries=(Query(f"{table.STAGE_OLDEST.name}{{{HERE}}}", "{{volume}} {{stage}}"),),
    ),
)
_LOAD = (
    Panel(
        title="How many are slow",
        text="Operations a second that took longer than the limit for slow ones; nothing before "
        "the first.",
        unit="ops",
        queries=(
            Query(rate(table.VOLUME_SLOW, "volume, operation", HERE), "{{volume}} {{operation}}"),
        ),
    ),
    Panel(
        title="5. Is it load",
        text="Operations that are under way at once, on average: where times grow with it, it is "
        "load.",
        unit="short",
        queries=(
            Query(
                busy(table.VOLUME_DURATION, "volume, operation", HERE), "{{volume}} {{operation}}"
            ),
        ),
    ),
    Panel(
        title="6. Is it the size",
        text="The mean of the bytes of an operation.",
        unit="bytes",
        queries=(Query(mean(table.VOLUME_SIZE, "volume", _OF), "{{volume}}"),),
    ),
)

SLOW = Dashboard(
    uid="tierce-slow",
    title="Tierce: why is it slow",
    text="A volume's time by stage and replica. From the top to the bottom: where, who, and "
    "whether it is only load. The I/Os that prove it: tierce volume show NAME, under slow.",
    variables=(VOLUME, Variable("operation", "Operation", f"{table.VOLUME_BYTES.name}{{{HERE}}}")),
    rows=(("Where", _WHERE), ("Who", _WHO), ("How much, and is it load", _LOAD)),
)
