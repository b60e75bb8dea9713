"""docs/reference/metrics.md, from the exporter's table.

`make metrics` writes it.
"""

from __future__ import annotations

from pathlib import Path

from tierce.cli.reference.markdown import table
from tierce_exporters.prometheus.metric import Metric
from tierce_exporters.prometheus.reading import CLASSIC_EXPONENTS
from tierce_exporters.prometheus.table import METRICS, REPLICA_STATES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
NOTICE = "<!-- Written by `make metrics` from the exporter's table: change that. -->"
HEADING = ("metric", "type", "labels", "what it is", "from")
FIRST, LAST = CLASSIC_EXPONENTS[0], CLASSIC_EXPONENTS[-1]
INTRODUCTION = f"""\
What the service `prometheus` shows at `/metrics` ([how to use it](../howto/prometheus.md)). Times
are seconds, sizes bytes. A volume's or replica's operations are there once there was one: `read`,
`write`, `flush`, `discard`, `write_zeroes`, `compare_and_write`, `block_status`.

**Histograms** have bounds that are powers of two of a second. As text they have
{len(CLASSIC_EXPONENTS)} from 2^{FIRST} s (61 us) to 2^{LAST} s (16 s) and `+Inf`; as protobuf also
native ones of schema 0, from a nanosecond to minutes. Their count is that of all operations, failed
ones too.

**Counters never fall** while the exporter runs, also over restarts of what they are of: what a
process had counted when it was last read is added to what its successor counts. OpenMetrics says
since when as `_created`.

**States** are a gauge for each word. A volume's are [these](states.md); a replica's are
{", ".join(f"`{word}`" for word in REPLICA_STATES[:-1])}, and `{REPLICA_STATES[-1]}` for what an
engine of another plugin says."""


def render() -> str:
    """Return the page."""
    return f"{NOTICE}\n\n# Metrics\n\n{INTRODUCTION}\n\n{table(HEADING, map(_row, METRICS))}\n"


def _row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return (f"`{metric.name}`", metric.kind.value, labels, metric.help, metric.source)


def main() -> None:
    """Write the page."""
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
