"""Exemplars: of each bucket of a latency the last I/O in it that was written down one by one, by
its trace's id.

So from a slow bucket on a dashboard there is a way to what made one of its I/Os slow. Only records
that services get are named (`ServiceContext.traces`): an id that leads nowhere is worse than none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tierce import TraceRecord
from tierce_exporters.prometheus.metric import Exemplar
from tierce_exporters.prometheus.reading import bucket_of, seconds

#: By the bucket in which they lie.
ByBucket = Mapping[int, Exemplar]
_NONE: ByBucket = {}


class Exemplars:
    """What was written down last, by volume, operation and bucket."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], ByBucket] = {}

    def add(self, records: Iterable[TraceRecord]) -> None:
        """Keep these in place of those before in their buckets."""
        for one in records:
            key = one.volume, one.operation
            exemplar = Exemplar(
                one.trace_id, seconds(one.elapsed_ns), seconds(one.start_ns + one.elapsed_ns)
            )
            # A mapping of its own: a scrape may be looking at the one before.
            self._kept[key] = {**self._kept.get(key, _NONE), bucket_of(one.elapsed_ns): exemplar}

    def of(self, volume: str, operation: str) -> ByBucket:
        """Return those of a histogram."""
        return self._kept.get((volume, operation), _NONE)

    def forget_others(self, volumes: Collection[str]) -> None:
        """Keep only those of these volumes."""
        self._kept = {key: one for key, one in self._kept.items() if key[0] in volumes}
