"""The judge of the durability tests must itself be able to say no."""

from __future__ import annotations

from system.ledger import BLOCK, SECTOR, Ledger, stamp


def written(ledger: Ledger, first: int, *, is_good: bool) -> bytes:
    data, generations = ledger.submit(first, 1)
    ledger.answered(first, generations, is_good=is_good)
    return data


def test_an_acknowledged_write_must_be_there() -> None:
    ledger = Ledger.of(7, 2)
    data = written(ledger, 0, is_good=True)
    assert ledger.check(0, data) == []
    assert ledger.check(0, bytes(BLOCK)) != []


def test_an_unanswered_write_may_be_there_or_not() -> None:
    ledger = Ledger.of(7, 1)
    old = written(ledger, 0, is_good=True)
    new, _ = ledger.submit(0, 1)
    assert ledger.check(0, old) == []
    assert ledger.check(0, new) == []


def test_what_was_read_once_is_not_read_older_again() -> None:
    ledger = Ledger.of(7, 1)
    old = written(ledger, 0, is_good=True)
    new = written(ledger, 0, is_good=False)
    assert ledger.check(0, new) == []
    assert ledger.check(0, old) != []


def test_another_block_another_volume_and_garbage_are_seen() -> None:
    ledger = Ledger.of(7, 2)
    written(ledger, 0, is_good=True)
    for data in (stamp(7, 1, 1), stamp(8, 0, 1), b"\xff" * BLOCK):
        assert ledger.check(0, data) != []


def test_one_wrong_sector_is_enough() -> None:
    ledger = Ledger.of(7, 1)
    data = written(ledger, 0, is_good=True)
    assert ledger.check(0, data[:SECTOR] + bytes(SECTOR) + data[2 * SECTOR :]) != []
