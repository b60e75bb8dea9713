"""Makes what lies beside the tests importable by its full name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.iscsi.bench import Bench  # noqa: E402 - found through the line above


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    """Make front ends that are closed with the test."""
    made: list[Bench] = []

    def make(*args: Any, **kwargs: Any) -> Bench:
        made.append(Bench(*args, **kwargs))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A front end over a device that answers at once."""
    return make_bench()


@pytest.fixture
def parking(make_bench: Callable[..., Bench]) -> Bench:
    """A front end over a device that parks writes and flushes until it is told to settle."""
    return make_bench(parks=True)
