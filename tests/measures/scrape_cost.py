"""What a scrape costs, and how many series there are, of many volumes with three replicas each.

    PYTHONPATH=tests python -m measures.scrape_cost

The pages are made up and real: files, as targets and replicas write them, with every stage and
operation of a volume that is read, written and flushed, and a filter. What the server would
say of them is made up too. Prints seconds of CPU for a scrape in each format, best of some.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from tierce import Code, MemberStatus, Op, VolumeStatus
from tierce.node.observing import read_statistics
from tierce.process.paths import Paths
from tierce.statuses import ENGINE, MEMBER, to_mapping
from tierce.volume.statistics import StatisticsPage
from tierce_exporters.prometheus.carrying import Carrier
from tierce_exporters.prometheus.collecting import Exporter, carry_all, families
from tierce_exporters.prometheus.metric import Family, Histogram
from tierce_exporters.prometheus.protobuf import to_protobuf
from tierce_exporters.prometheus.text import to_openmetrics, to_text

#: What was promised: seconds of CPU for 100 volumes, and series of a volume.
SCRAPE_S_MAX, CLASSIC_MAX, NATIVE_MAX = 1.0, 1500, 100
VOLUME_COUNT = 100
_ROUNDS = 5
_WRITERS = {"text": to_text, "openmetrics": to_openmetrics, "protobuf": to_protobuf}
_OPS = (Op.READ, Op.WRITE, Op.FLUSH)
_REPLICAS = ("replica-1", "replica-2", "replica-3")
_STAGES = ("volume", "device", "filter.throttle")
_OF_REPLICA = (("replica.apply", Op.WRITE), ("replica.read", Op.READ), ("replica.sync", Op.FLUSH))


@attrs.frozen
class Series:
    """How many series one volume has.

    Attributes:
        classic: Where each bucket is one.
        native: Where each histogram is one.
    """

    classic: int
    native: int


class Node:
    """A data folder with volumes, and what a server would say of them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.paths = Paths(folder)
        self.paths.make()
        self.names = [f"volume-{number}" for number in range(count)]
        for name in self.names:
            _write_target(self.paths, name)
            for replica in _REPLICAS:
                _write_member(self.paths, name, replica)
        self._carrier, self._exporter = Carrier(), Exporter("prometheus", 0.0)

    def collect(self) -> list[Family]:
        """As the exporter does at a scrape."""
        seen = read_statistics(self.paths, lambda _asked: self._rows())
        return families(carry_all(seen, self._carrier), self._exporter)

    def _rows(self) -> list[dict[str, Any]]:
        processes = [f"target.{name}" for name in self.names]
        processes += [f"member.{name}.{one}" for name in self.names for one in _REPLICAS]
        shape = {"engine": "jiva", "frontends": ["iscsi"], "size_bytes": 1 << 40, "block_size": 512}
        # Each is this process: the kernel is asked as often.
        up = [{"name": one, "state": "up", "facts": {}, "pid": os.getpid()} for one in processes]
        return [
            {"processes": up},
            {"volumes": {name: {"uuid": "ab" * 16, **shape} for name in self.names}},
            {"health": dict.fromkeys(self.names, "healthy")},
        ]


def _fill(page: StatisticsPage, stage: str, ops: Sequence[Op]) -> None:
    counters = page.stage(stage)
    for op in ops:
        for bits in range(12, 30):
            counters.add(op, 3, 4096 * 3, 1 << bits)
            counters.size(op, 3, 4096)


def _write_target(paths: Paths, name: str) -> None:
    page = StatisticsPage.create(paths.page(name), "ab" * 16)
    for stage in _STAGES:
        _fill(page, stage, _OPS)
    for replica in _REPLICAS:
        _fill(page, f"jiva.replica/{replica}", (Op.WRITE, Op.FLUSH))
        page.stage(f"jiva.replica/{replica}").last(Op.WRITE, 7)
    page.stage("volume").fail(Op.WRITE, 1, Code.NO_SPACE)
    page.stage("volume").slow(Op.WRITE)
    members = tuple(MemberStatus(name=one, state="in-sync") for one in _REPLICAS)
    page.publish(ENGINE, to_mapping(VolumeStatus(state="serving", members=members), VolumeStatus))
    page.close()


def _write_member(paths: Paths, name: str, replica: str) -> None:
    page = StatisticsPage.create(paths.page(name, replica), "ab" * 16)
    for stage, op in _OF_REPLICA:
        _fill(page, stage, (op,))
    status = MemberStatus(name=replica, state="in-sync", used_bytes=1 << 30)
    page.publish(MEMBER, to_mapping(status, MemberStatus))
    page.close()


def series(found: Sequence[Family], volumes: int) -> Series:
    """Return the series of one volume, by the samples of all."""
    classic = native = 0
    # The rest is the exporter's own.
    of_volumes = (one for one in found if one.metric.labels[0] in ("volume", "process"))
    for family in of_volumes:
        for sample in family.samples:
            native += 1
            is_histogram = isinstance(sample.value, Histogram)
            assert not is_histogram or family.metric.scale is not None
            scale = family.metric.scale
            classic += len(scale.bounds) + 3 if is_histogram and scale is not None else 1
    return Series(classic // volumes, native // volumes)


def costs(node: Node) -> Iterator[tuple[str, float, int]]:
    """Yield each format, the CPU of a scrape in it in seconds, and its bytes."""
    for name, write in _WRITERS.items():
        best, size = float("inf"), 0
        for _ in range(_ROUNDS):
            began = time.process_time()
            size = sum(map(len, write(node.collect())))
            best = min(best, time.process_time() - began)
        yield name, best, size


def main() -> None:
    """Print them."""
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder), VOLUME_COUNT)
        found = series(node.collect(), VOLUME_COUNT)
        sys.stdout.write(f"{VOLUME_COUNT} volumes of three replicas\n")
        sys.stdout.write(f"series a volume: {found.classic} classic, {found.native} native\n")
        for name, cpu_s, size in costs(node):
            sys.stdout.write(f"{name:12} {cpu_s:.3f} s of CPU, {size / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main()
