"""Look for the seed that finds each plant, and write the table of them.

    PYTHONPATH=tests python -m jiva.plants.search --seeds 2000 --jobs 2

The table is what `test_plants.py` replays. A change of the engine changes what the seeds play, so
the table is made anew with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from multiprocessing import Pool
from pathlib import Path

import attrs
import pytest

from jiva.plants.catalogue import PLANTS
from jiva.seeds import bounded
from jiva.simulation import run_seed

TABLE = Path(__file__).with_name("table.json")
SEEDS_MAX = 2000
_WIDTH = 52
_HOW_LENGTH = 100


@attrs.frozen
class Found:
    """Which seed found a plant, and how.

    Attributes:
        seed: It; seeds are tried from 0 on.
        how: What was noticed.
    """

    seed: int
    how: str


def try_seed(name: str, seed: int, *, is_planted: bool = True) -> str:
    """Run a seed with a plant, or without; return what was noticed, empty if nothing was."""
    with pytest.MonkeyPatch.context() as patch:
        if is_planted:
            PLANTS[name].patch(patch)
        try:
            with bounded():
                run_seed(seed)
        except (AssertionError, KeyError, TimeoutError) as error:
            return " ".join(str(error).split()) or repr(error)
    return ""


def find_out(task: tuple[str, Iterable[int]]) -> tuple[str, Found | None]:
    """Try seed after seed with a plant; one that fails without it too finds nothing."""
    name, seeds = task
    for seed in seeds:
        how = try_seed(name, seed)
        if how and not try_seed(name, seed, is_planted=False):
            return name, Found(seed, how[:_HOW_LENGTH])
    return name, None


def read_table() -> dict[str, Found]:
    """Return what was found last time."""
    if not TABLE.exists():
        return {}
    return {name: Found(**entry) for name, entry in json.loads(TABLE.read_text()).items()}


def write_table(table: dict[str, Found]) -> None:
    """Keep what was found."""
    kept = {name: attrs.asdict(table[name]) for name in PLANTS if name in table}
    TABLE.write_text(json.dumps(kept, indent=1) + "\n")


def print_table(table: dict[str, Found]) -> None:
    """Say which seed found which plant, and how."""
    area = ""
    for name, plant in PLANTS.items():
        if plant.area != area:
            area = plant.area
            sys.stdout.write(f"\n{area}\n")
        found = table.get(name)
        told = "NOT FOUND" if found is None else f"{found.seed + 1:5d} seeds  {found.how}"
        sys.stdout.write(f"  {name:{_WIDTH}} {told}\n")


def _order(known: Found | None, seeds: range, *, is_again: bool) -> Iterable[int]:
    return (known.seed, *seeds) if is_again and known is not None else seeds


def main() -> int:
    """Search for all, or for those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="plants to look for; all by default")
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="how many seeds to try")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes to search on")
    parser.add_argument("--again", action="store_true", help="begin with the seeds of the table")
    asked = parser.parse_args()
    names = asked.names or list(PLANTS)
    table = read_table()
    seeds = range(asked.start, asked.start + asked.seeds)
    tasks = [(name, _order(table.get(name), seeds, is_again=asked.again)) for name in names]
    with Pool(asked.jobs) as pool:
        for name, found in pool.imap_unordered(find_out, tasks):
            table.pop(name, None)
            if found is not None:
                table[name] = found
            write_table(table)
            sys.stdout.write(f"{name}: {found or 'NOT FOUND'}\n")
            sys.stdout.flush()
    print_table(table)
    return 0 if all(name in table for name in names) else 1


if __name__ == "__main__":
    sys.exit(main())
