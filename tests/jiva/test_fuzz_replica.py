"""A little of the fuzzer in every run."""

from __future__ import annotations

import pytest

from jiva import fuzz_replica


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_peer_sends_ends_at_worst_its_connection(seed: int) -> None:
    fuzz_replica.run(seed)
