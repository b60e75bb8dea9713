"""What it costs that an I/O can be seen into stays within its budget."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from measures.seeing_cost import AT_ONCE, LIMITS

Steps = dict[str, dict[str, float]]


@pytest.fixture(scope="module")
def steps() -> Steps:
    """Counted by a process of its own, whose hashes are those of every run."""
    done = subprocess.run(
        [sys.executable, "-m", "measures.seeing_cost"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: Steps = json.loads(done.stdout)
    return found


def test_an_io_that_can_be_seen_into_costs_what_nobody_notices(steps: Steps) -> None:
    """If this fails: what an I/O does was added to by counting or following it. What it comes to in
    nanoseconds says `python -m measures.io_cost`; docs/decisions/0031 says what may be done."""
    over = []
    for case, found in steps.items():
        limit = LIMITS[int(case.rpartition(" ")[2])]
        ratio = found["default"] / found["all off"]
        if ratio > limit:
            over.append(
                f"{case}: {found['default']:.0f} steps, {ratio:.4f} of all off, {limit} may be"
            )
    assert not over, "\n".join(over)


def test_the_budget_would_not_bear_each_addition_by_itself(steps: Steps) -> None:
    found = steps[AT_ONCE]
    assert found["at once"] / found["all off"] > max(LIMITS.values())
