"""Front ends for the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from iscsi.bench import Bench


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
