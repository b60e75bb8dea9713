"""What of the peers' build can be told without Go, and that both can be started."""

from __future__ import annotations

from pathlib import Path

import pytest

from system.conftest import refuse
from system.peers.built import HERE, PROGRAM, RECIPE, BuildError, peers, recipe_digest
from system.peers.running import Collector, Jaeger


def test_every_file_that_is_built_from_is_part_of_the_recipe() -> None:
    sources = {path for ending in ("go", "mod", "sum") for path in HERE.rglob(f"*.{ending}")}
    assert sources <= {HERE / name for name in RECIPE}
    assert len(recipe_digest()) == 16


@pytest.mark.system
@pytest.mark.needs(PROGRAM)
def test_jaeger_and_the_collector_are_built_and_start_on_loopback(tmp_path: Path) -> None:
    try:
        peers()
    except BuildError as error:
        refuse(str(error))
    with Jaeger(tmp_path / "jaeger") as jaeger:
        assert jaeger.services() == []
    with Collector(tmp_path / "collector") as collector:
        assert list(collector.spans()) == []
