"""Default-deny: a filter never sees what it was not built for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tierce import (
    GOOD,
    Capabilities,
    Code,
    FilterDescription,
    Flag,
    Geometry,
    Op,
    PluginError,
    Request,
    Settled,
    Status,
)
from tierce.volume.filtering import Guard


class Filter:
    """Answers everything, and notes it."""

    def __init__(self) -> None:
        self.geometry = Geometry(1 << 20)
        self.capabilities = Capabilities(Flag.FUA, True, True, True, True)
        self.batches: list[list[Request]] = []

    def submit(self, batch: list[Request], settled: Settled) -> None:
        self.batches.append(batch)
        for request in batch:
            request.status = GOOD

    def close(self, closed: Callable[[Status], None]) -> None:
        closed(GOOD)


def guarded(*operations: str) -> tuple[Guard, Filter]:
    below = Filter()
    description = FilterDescription(
        name="f", summary="", factory="x:y", operations=frozenset(operations), contract=2
    )
    return Guard(below, description, Filter()), below


def test_what_the_filter_knows_is_passed_on_as_the_batch_that_it_is() -> None:
    guard, below = guarded("READ", "WRITE", "FLUSH")
    batch = [Request(Op.READ, 0, 512), Request(Op.FLUSH)]
    guard.submit(batch, lambda _requests: None)
    assert below.batches == [batch]
    assert below.batches[0] is batch


def test_what_it_does_not_know_is_refused_and_the_rest_of_the_batch_goes_on() -> None:
    guard, below = guarded("READ", "WRITE", "FLUSH")
    read, discard = Request(Op.READ, 0, 512), Request(Op.DISCARD, 0, 512)
    guard.submit([discard, read], lambda _requests: pytest.fail("reported again"))
    assert below.batches == [[read]]
    assert discard.status is not None
    assert discard.status.code is Code.UNSUPPORTED
    assert "filter f" in discard.status.reason


def test_a_batch_of_which_it_knows_nothing_never_reaches_it() -> None:
    guard, below = guarded("READ", "WRITE", "FLUSH")
    guard.submit([Request(Op.DISCARD, 0, 512)], lambda _requests: pytest.fail("reported again"))
    assert not below.batches


@pytest.mark.parametrize("op", [Op.DISCARD, Op.WRITE_ZEROES, Op.COMPARE_AND_WRITE, Op.BLOCK_STATUS])
def test_a_capability_of_what_is_below_is_shown_only_if_the_filter_knows_it(op: Op) -> None:
    assert not guarded("READ", "WRITE", "FLUSH")[0].capabilities.does(op)
    assert guarded("READ", "WRITE", "FLUSH", op.name)[0].capabilities.does(op)


@pytest.mark.parametrize(
    ("operations", "message"),
    [({"READ", "WRITE"}, "lacks FLUSH"), ({"READ", "WRITE", "FLUSH", "TRIM"}, "TRIM")],
)
def test_a_filter_that_names_nonsense_is_refused(operations: set[str], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        guarded(*operations)


def test_shape_and_closing_are_the_filters_own() -> None:
    guard, below = guarded("READ", "WRITE", "FLUSH")
    closed: list[Status] = []
    guard.close(closed.append)
    assert closed == [GOOD]
    assert guard.geometry is below.geometry
