"""Each rule that is broken on purpose is found out by the seed that found it when they were
searched.

What a seed plays depends on every message and every wait of the engine, so a change of the engine
may make some of these seeds blind: `make plants` looks for others, and writes `plants/table.json`
anew.
"""

from __future__ import annotations

import pytest

from jiva.plants.catalogue import PLANTS
from jiva.plants.search import SEEDS_MAX, read_table, try_seed
from jiva.simulation import run_seed

TABLE = read_table()
RENEW = "run `make plants`: the engine has changed, and what the seeds play with it"


def test_every_plant_is_found() -> None:
    assert TABLE.keys() == PLANTS.keys(), RENEW


def test_none_takes_more_seeds_than_anybody_runs() -> None:
    assert [name for name, found in TABLE.items() if found.seed >= SEEDS_MAX] == []


@pytest.mark.parametrize("name", TABLE)
def test_a_broken_rule_is_found_out(name: str) -> None:
    assert try_seed(name, TABLE[name].seed), RENEW


@pytest.mark.parametrize("seed", sorted({f.seed for n, f in TABLE.items() if n in PLANTS}))
def test_the_seed_that_finds_one_passes_where_none_is_broken(seed: int) -> None:
    run_seed(seed)
