"""Front ends for the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iscsi.bench import Bench, Disk


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make front ends that are closed with the test; those of one test share their folder, as
    one target does with the one that was started before it."""
    made: list[Bench] = []

    def make(*args: Any, **kwargs: Any) -> Bench:
        made.append(Bench(*args, **{"folder": tmp_path / "frontend.iscsi", **kwargs}))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A front end over a device that answers at once."""
    return make_bench()


@pytest.fixture
def pending(make_bench: Callable[..., Bench]) -> Bench:
    """A front end over a device that leaves writes and flushes pending until `complete`."""
    return make_bench(leaves_pending=True)


@pytest.fixture
def disk(bench: Bench) -> Disk:
    """Commands of one session of `bench`."""
    return Disk(bench.session())
