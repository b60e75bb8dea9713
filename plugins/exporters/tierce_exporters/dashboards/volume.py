"""One volume as its initiators see it."""

from __future__ import annotations

from tierce_exporters.dashboards.asking import mean, operations, quantile, rate
from tierce_exporters.dashboards.building import Dashboard, Panel, Query, Variable
from tierce_exporters.prometheus import table

HERE = 'volume=~"$volume"'
VOLUME = Variable("volume", "Volume", table.VOLUME_IN_FLIGHT.name)
_BY = "volume, operation"
_LEGEND = "{{volume}} {{operation}}"


def _latency(share: float, title: str) -> Panel:
    return Panel(
        title=title,
        text="As initiators see it, failed operations too.",
        unit="s",
        queries=(Query(quantile(share, table.VOLUME_DURATION, _BY, HERE), _LEGEND),),
    )


_WORK = (
    Panel(
        title="Operations",
        text="A second, by kind.",
        unit="ops",
        queries=(Query(operations(table.VOLUME_DURATION, _BY, HERE), _LEGEND),),
    ),
    Panel(
        title="Bytes",
        text="A second, by kind of operation.",
        unit="Bps",
        queries=(Query(rate(table.VOLUME_BYTES, _BY, HERE), _LEGEND),),
    ),
    Panel(
        title="Size of an operation",
        text="The mean: small ones cost a volume as much each as larger ones.",
        unit="bytes",
        queries=(Query(mean(table.VOLUME_SIZE, _BY, HERE), _LEGEND),),
    ),
    Panel(
        title="In flight",
        text="Operations that wait below the front ends, and sessions of initiators.",
        unit="short",
        queries=(
            Query(f"{table.VOLUME_IN_FLIGHT.name}{{{HERE}}}", "{{volume}} in flight"),
            Query(f"{table.VOLUME_SESSIONS.name}{{{HERE}}}", "{{volume}} sessions"),
        ),
    ),
)
_TIMES = (
    Panel(
        title="How long it takes: the mean",
        text="As initiators see it, failed operations too.",
        unit="s",
        queries=(Query(mean(table.VOLUME_DURATION, _BY, HERE), _LEGEND),),
    ),
    _latency(0.5, "Half of them are quicker"),
    _latency(0.99, "99 of 100 are quicker"),
    Panel(
        title="Oldest in flight",
        text="How long the oldest has waited: what grows is stuck.",
        unit="s",
        queries=(Query(f"{table.VOLUME_OLDEST.name}{{{HERE}}}", "{{volume}}"),),
    ),
)
_STATE = (
    Panel(
        title="State",
        text="The state that the volume is in.",
        kind="state-timeline",
        unit="short",
        queries=(Query(f"{table.VOLUME_STATE.name}{{{HERE}}} == 1", "{{volume}}: {{state}}"),),
    ),
    Panel(
        title="Failed operations",
        text="A second; the event volume.io-failed says why.",
        unit="ops",
        queries=(Query(rate(table.VOLUME_ERRORS, f"{_BY}, code", HERE), _LEGEND + ": {{code}}"),),
    ),
    Panel(
        title="Size, and what it takes",
        text="How large it is, and what all its replicas take of their media together.",
        unit="bytes",
        queries=(
            Query(f"{table.VOLUME_CAPACITY.name}{{{HERE}}}", "{{volume}} size"),
            Query(f"{table.VOLUME_USED.name}{{{HERE}}}", "{{volume}} takes"),
        ),
    ),
    Panel(
        title="Starts of its processes",
        text="Its target and replicas.",
        unit="short",
        queries=(
            Query(
                "sum by (process) (increase("
                f'{table.PROCESS_STARTS.name}{{process=~"(target|member)[.]($volume)([.].*)?"}}'
                "[5m]))",
                "{{process}}",
            ),
        ),
    ),
)

VOLUMES = Dashboard(
    uid="tierce-volume",
    title="Tierce: volume",
    text="One volume as its initiators see it: work, times, state.",
    variables=(VOLUME,),
    rows=(("Work", _WORK), ("Times", _TIMES), ("State", _STATE)),
)
