"""How many series a volume has is bounded: who stores them pays for each."""

from __future__ import annotations

from pathlib import Path

from measures.scrape_cost import CLASSIC_MAX, NATIVE_MAX, Node, costs, series


def test_a_volume_of_three_replicas_has_no_more_series_than_was_promised(tmp_path: Path) -> None:
    found = series(Node(tmp_path, 2).collect(), 2)
    assert 500 < found.classic <= CLASSIC_MAX
    assert 50 < found.native <= NATIVE_MAX


def test_each_format_is_measured_with_all_volumes(tmp_path: Path) -> None:
    node = Node(tmp_path, 1)
    sizes = {name: size for name, _cpu_s, size in costs(node)}
    assert set(sizes) == {"text", "openmetrics", "protobuf"}
    assert sizes["openmetrics"] > sizes["text"] > sizes["protobuf"] > 1000
