"""docs/reference/metrics.md, from the exporter's table.

`make metrics` writes it.
"""

from __future__ import annotations

from pathlib import Path

from tierce.cli.reference.markdown import table
from tierce_exporters.prometheus.legacy import TABLE as LEGACY
from tierce_exporters.prometheus.metric import Metric
from tierce_exporters.prometheus.reading import DURATIONS
from tierce_exporters.prometheus.table import METRICS, REPLICA_STATES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
NOTICE = "<!-- Written by `make metrics` from the exporter's table: change that. -->"
HEADING = ("metric", "type", "labels", "what it is", "from")
FIRST, LAST = DURATIONS.exponents[0], DURATIONS.exponents[-1]
INTRODUCTION = f"""\
What the service `prometheus` shows at `/metrics` ([how to use it](../howto/prometheus.md)). Times
are seconds, sizes bytes. A volume's or replica's operations are there once there was one: `read`,
`write`, `flush`, `discard`, `write_zeroes`, `compare_and_write`, `block_status`.

**Histograms** have bounds that are powers of two of a second or of a byte. As text those of times
have {len(DURATIONS.exponents)} from 2^{FIRST} s (61 us) to 2^{LAST} s (16 s) and `+Inf`, those of
sizes from 512 bytes to 128 MiB; as protobuf also native ones of schema 0, from a nanosecond to
minutes. The count of times is that of all operations, failed ones too.

**Counters go on** over restarts of what they are of. Where they begin at zero (a boot of the
machine, an upgrade to other counters) what was last read is added, so that they don't fall while
the exporter runs. OpenMetrics says since when they count as `_created`.

**Exemplars**: in OpenMetrics and protobuf, each bucket of
`tierce_volume_operation_duration_seconds` names by `trace_id` the last I/O in it that was written
down one by one.

**Without a source** so far, and so not here: pools and disks of a node, the bytes by which a
replica lags, those that were rebuilt, and how often one was voted out (of each node these are
`tierce_events_total{{code="jiva.replica.voted-out"}}`).

**Stages**: `device` is what lies below all filters, `filter.NAME` a filter and all below it
([what counts where](../explanation/counters.md)). What initiators see, and the answers of replicas,
have metrics of their own.

**States** are a gauge for each word. A volume's are [these](states.md); a replica's are
{", ".join(f"`{word}`" for word in REPLICA_STATES[:-1])}, and `{REPLICA_STATES[-1]}` for what an
engine of another plugin says."""


LEGACY_HEADING = ("metric", "labels", "what it is here")
LEGACY_INTRODUCTION = """\
With `legacy: true` the names of OpenEBS's exporters are there too, as the gauges that they were:
counts, times in nanoseconds, bytes. `openebs_pv`, `openebs_pvc` and `vol` are the volume's name,
and `pool` is the replica's name. A name with four labels is a volume's and a replica's; the
labels of the other are empty. What has no meaning here is 0. Left out are the names of single disks
(`block_device_...`, `seachest_...`): nothing watches disks yet."""


def render() -> str:
    """Return the page."""
    parts = [NOTICE, "# Metrics", INTRODUCTION, table(HEADING, map(_row, METRICS))]
    legacy = table(LEGACY_HEADING, map(_legacy_row, LEGACY.values()))
    return "\n\n".join([*parts, "## Names of OpenEBS", LEGACY_INTRODUCTION, legacy]) + "\n"


def _row(metric: Metric) -> tuple[str, ...]:
    return (f"`{metric.name}`", metric.kind.value, _labels(metric), metric.help, metric.source)


def _legacy_row(metric: Metric) -> tuple[str, ...]:
    return (f"`{metric.name}`", _labels(metric), metric.source)


def _labels(metric: Metric) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels)


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
