"""The file engine: what waits in the kernel waits on a worker thread, and only what overlaps it
waits with it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.volume.model import SIZE
from engines.file_bench import Bench, code, raising, read, write
from tierce import Code, Op, Request
from tierce.block import hole


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_what_is_cached_is_answered_at_once(bench: Bench) -> None:
    batch = [write(0, b"a" * 4096), read(0)]
    bench.submit(batch[0])
    bench.submit(batch[1])
    assert [code(request) for request in batch] == [Code.GOOD, Code.GOOD]
    assert not bench.reactor.work


def test_what_overlaps_a_pending_discard_waits_for_it_and_the_rest_passes(bench: Bench) -> None:
    bench.submit(write(0, b"a" * SIZE))
    discard = Request(Op.DISCARD, 0, 8192)
    rewrite, seen, elsewhere = write(4096, b"b" * 4096), read(4096), read(16384)
    bench.submit(discard)
    bench.submit(rewrite, elsewhere)
    bench.submit(seen)
    assert [code(each) for each in (discard, rewrite, seen)] == [None] * 3
    assert code(elsewhere) is Code.GOOD
    bench.reactor.work_off(3)
    assert bench.late == [discard, rewrite, seen]
    assert bytes(seen.buffer or b"") == b"b" * 4096


def test_a_write_waits_for_the_missed_read_that_it_overlaps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    missed, later = read(0), write(0, b"b" * 4096)
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", raising(errno.EAGAIN))
        bench.submit(missed)
    bench.submit(later)
    assert (code(missed), code(later)) == (None, None)
    bench.reactor.work_off(2)
    assert bench.late == [missed, later]
    assert bytes(missed.buffer or b"") == b"a" * 4096


def test_a_lost_sector_is_reported_with_its_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, late = read(4096), read(8192)
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", raising(errno.EIO))
        bench.submit(at_once)
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", raising(errno.EAGAIN))
        bench.submit(late)
        patch.setattr(os, "preadv", raising(errno.EIO))
        bench.reactor.work_off()
    for request in (at_once, late):
        assert request.status is not None
        assert request.status.code is Code.READ_ERROR
        assert request.status.offset == request.offset


def test_a_transfer_that_stops_halfway_goes_on_from_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a write does that a nearly full disk, or a signal, cuts short."""
    whole, data = os.pwrite, bytes(range(256)) * 16
    monkeypatch.setattr(os, "pwrite", lambda fd, part, at: whole(fd, part[:1000], at))
    halting, seen = write(0, data), read(0)
    bench.submit(halting)
    assert code(halting) is None
    bench.reactor.work_off()
    bench.submit(seen)
    assert code(halting) is Code.GOOD
    assert bytes(seen.buffer or b"") == data


def test_a_disk_that_fills_up_halfway_is_no_space(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda _fd, _part, _at: 512)
    halting = write(0, b"a" * 4096)
    bench.submit(halting)
    monkeypatch.setattr(os, "pwrite", raising(errno.ENOSPC))
    bench.reactor.work_off()
    assert code(halting) is Code.NO_SPACE


def test_one_flush_is_under_way_and_those_that_come_meanwhile_share_the_next(
    bench: Bench,
) -> None:
    first, second, third = (Request(Op.FLUSH) for _ in range(3))
    bench.submit(first)
    bench.submit(second)
    bench.submit(third)
    assert len(bench.reactor.work) == 1
    bench.reactor.work_off()
    assert bench.late == [first]
    assert len(bench.reactor.work) == 1, "it began after the two came, and so covers them"
    bench.reactor.work_off()
    assert bench.late == [first, second, third]


def test_a_flush_holds_up_neither_reads_nor_writes(bench: Bench) -> None:
    bench.submit(write(0, b"a" * 4096))
    flush, seen, more = Request(Op.FLUSH), read(0), write(0, b"b" * 4096)
    bench.submit(flush, seen, more)
    assert [code(each) for each in (flush, seen, more)] == [None, Code.GOOD, Code.GOOD]


def test_where_holes_can_not_be_punched_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hole, "punch_hole", raising(errno.EOPNOTSUPP))
    bench = Bench(tmp_path)
    capabilities = bench.device.capabilities
    assert (capabilities.discard, capabilities.write_zeroes) == (False, False)
    bench.close()


def test_trying_to_punch_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.img"
    path.write_bytes(b"a" * SIZE)
    descriptor = os.open(path, os.O_RDWR)
    hole.can_punch_hole(descriptor, SIZE)
    os.close(descriptor)
    assert path.read_bytes() == b"a" * SIZE
