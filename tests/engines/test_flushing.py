"""A failed flush is remembered, over every restart, until an operator accepts what it may have
lost; and nothing is in doubt but what was written since the flush before."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.file_bench import Bench, code, raising, read, write
from tierce import GOOD, Code, Op, Request, Status, UsageError, VolumeStatus
from tierce_engines.doubt import Doubt, DoubtNote
from tierce_engines.file_lifecycle import FileLifecycle

MIB = 1 << 20
SIZE = 8 * MIB


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, SIZE)
    yield made
    made.close()


def noted(bench: Bench) -> Doubt:
    return DoubtNote(bench.volume.folder, SIZE).read()


def accept(bench: Bench) -> None:
    """What `tierce volume accept-loss` does: nothing of the volume runs."""
    FileLifecycle().accept_loss(bench.volume, "")


def fail_flush(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Request:
    """A flush whose fdatasync fails, noted and answered; nothing is rewritten yet."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", raising(errno.EIO))
        failed = bench.flush()
        bench.reactor.work_off()
    bench.reactor.work_off()
    return failed


def test_a_failed_flush_is_answered_when_it_is_noted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", raising(errno.EIO))
        first, second = bench.flush(), bench.flush()
        bench.reactor.work_off()
    assert (code(first), noted(bench)) == (None, Doubt())
    bench.reactor.work_off()
    # Whoever came meanwhile is not told that it went well either.
    assert (code(first), code(second)) == (Code.WRITE_ERROR, Code.WRITE_ERROR)
    assert noted(bench).regions == {0}
    assert first.status is not None
    assert "x.img could not be flushed: Input/output error" in first.status.reason
    assert "1048576 bytes at 0" in first.status.reason
    assert "`tierce volume accept-loss model` lets it go on" in first.status.reason


def test_no_flush_succeeds_after_one_failed_not_even_after_kill_9_or_an_orderly_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    fail_flush(bench, monkeypatch)
    assert code(bench.flush()) is Code.WRITE_ERROR
    bench.kill()
    assert code(bench.flush()) is Code.WRITE_ERROR
    bench.work_off()
    assert code(bench.flush()) is Code.WRITE_ERROR
    assert bench.shut().code is Code.WRITE_ERROR
    bench.open()
    bench.work_off()
    assert code(bench.flush()) is Code.WRITE_ERROR
    # Reads and writes go on: what they are worth is for who checks the volume to say.
    asked = [write(4096, b"b" * 4096), read(4096)]
    for request in asked:
        bench.submit(request)
    assert [code(request) for request in asked] == [Code.GOOD, Code.GOOD]


def test_only_what_was_written_since_the_last_good_flush_began_is_in_doubt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    good = bench.flush()
    # While it is under way; and one that lies in two regions.
    bench.submit(write(2 * MIB, b"b" * 4096), write(5 * MIB - 4096, b"c" * 8192))
    bench.reactor.work_off()
    assert code(good) is Code.GOOD
    bench.submit(write(7 * MIB, b"d" * 4096))
    fail_flush(bench, monkeypatch)
    assert noted(bench).regions == {2, 4, 5, 7}


@pytest.mark.parametrize("is_done", [True, False])
def test_a_change_that_is_under_way_on_a_worker_thread_is_in_doubt_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    discard = Request(Op.DISCARD, 3 * MIB, MIB)
    bench.submit(discard)
    good = bench.flush()
    bench.reactor.work.rotate(1)
    bench.reactor.work_off()
    assert (code(good), code(discard)) == (Code.GOOD, None)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", raising(errno.EIO))
        failed = bench.flush()
        if is_done:
            bench.reactor.work_off()
        else:
            # It may have been applied, and not be known to be.
            bench.reactor.work.rotate(1)
        bench.reactor.work_off()
    bench.work_off()
    assert (code(discard), code(failed)) == (Code.GOOD, Code.WRITE_ERROR)
    assert noted(bench).regions == {3}


def test_an_end_makes_durable_what_was_written_while_a_flush_was_under_way(bench: Bench) -> None:
    flush = bench.flush()
    bench.submit(write(0, b"a" * 4096))
    closed: list[Status] = []
    bench.device.close(closed.append)
    bench.reactor.work_off()
    assert (code(flush), closed) == (Code.GOOD, []), "that one began before the write"
    bench.reactor.work_off()
    assert closed == [GOOD]
    bench.open()


def test_what_is_in_doubt_is_written_again_as_it_reads_and_only_then_called_completed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(MIB, b"a" * 4096))
    fail_flush(bench, monkeypatch)
    written: list[tuple[int, int]] = []
    whole = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if descriptor == bench.device._descriptor:
            written.append((offset, len(data)))
        return whole(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    overlapping, elsewhere = write(MIB, b"b" * 4096), write(0, b"c" * 4096)
    bench.submit(overlapping)
    bench.submit(elsewhere)
    assert (code(overlapping), code(elsewhere)) == (None, Code.GOOD)
    assert written == [(0, 4096)]
    assert not noted(bench).is_rewritten
    bench.reactor.work_off()
    # Holes stay holes; what overlapped comes after it.
    assert written == [(0, 4096), (MIB, 4096)]
    bench.work_off()
    assert written == [(0, 4096), (MIB, 4096), (MIB, 4096)]
    assert code(overlapping) is Code.GOOD
    assert noted(bench).is_rewritten
    assert code(bench.flush()) is Code.WRITE_ERROR


def test_what_was_completed_and_accepted_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    fail_flush(bench, monkeypatch)
    bench.work_off()
    assert "1048576 bytes at 0" in FileLifecycle().loss(bench.volume, "")
    bench.shut()
    accept(bench)
    assert not noted(bench)
    bench.open()
    bench.work_off()
    good = bench.flush()
    bench.work_off()
    assert code(good) is Code.GOOD
    with pytest.raises(UsageError, match="nothing is in doubt"):
        FileLifecycle().loss(bench.volume, "")


def test_what_was_accepted_before_it_could_be_written_again_is_so_before_a_flush_succeeds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    fail_flush(bench, monkeypatch)
    os.close(bench.device._descriptor)
    accept(bench)
    assert noted(bench).is_accepted
    bench.open()
    flush = bench.flush()
    assert code(flush) is None
    bench.reactor.work_off()
    assert code(flush) is None, "it is rewritten, not yet durable"
    bench.work_off()
    assert code(flush) is Code.GOOD
    assert not noted(bench)
    assert bench.codes()[-1] == "file.doubt-over"
    assert bench.shown == VolumeStatus()


def test_a_disk_that_still_fails_when_it_was_accepted_is_in_doubt_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    fail_flush(bench, monkeypatch)
    os.close(bench.device._descriptor)
    accept(bench)
    bench.codes()
    bench.open()
    flush = bench.flush()
    failing = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        if descriptor == bench.device._descriptor:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        failing(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    bench.work_off()
    assert code(flush) is Code.WRITE_ERROR
    assert (noted(bench).is_accepted, noted(bench).regions) == (False, frozenset({0}))
    assert bench.codes() == ["file.not-rewritten"]


def test_what_a_killed_process_left_unflushed_is_in_doubt_if_the_next_can_not_flush_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(0, b"a" * 4096))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", raising(errno.EIO))
        bench.kill()
        bench.reactor.work_off()
    bench.reactor.work_off()
    assert noted(bench).regions == frozenset(range(8))
    assert code(bench.flush()) is Code.WRITE_ERROR


def test_a_flush_at_the_end_that_fails_is_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(write(MIB, b"a" * 4096))
    with monkeypatch.context() as patch:
        whole, left = os.fdatasync, [errno.EIO]

        def fdatasync(descriptor: int) -> None:
            if left:
                number = left.pop()
                raise OSError(number, os.strerror(number))
            whole(descriptor)

        patch.setattr(os, "fdatasync", fdatasync)
        assert bench.shut().code is Code.WRITE_ERROR
    assert noted(bench).regions == {1}
    bench.open()
    bench.work_off()
    assert code(bench.flush()) is Code.WRITE_ERROR


def test_an_end_while_it_is_written_again_waits_for_no_more_than_a_flush(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit(*(write(number * MIB, b"a" * 4096) for number in range(8)))
    fail_flush(bench, monkeypatch)
    assert bench.shut().code is Code.WRITE_ERROR
    assert not noted(bench).is_rewritten
    bench.open()


def test_an_operator_is_told_and_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.submit(write(0, b"a" * 4096))
    fail_flush(bench, monkeypatch)
    assert [event.code for event in bench.events] == ["file.in-doubt"]
    assert "1048576 bytes at 0" in bench.events[0].message
    assert bench.shown.state == "degraded"
    assert "may still change from newer to older" in bench.shown.medium
    bench.work_off()
    assert "stay like that" in bench.shown.medium


def test_a_note_that_can_not_be_written_is_told_and_the_flush_fails_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", raising(errno.EIO))
        failed = bench.flush()
        bench.reactor.work_off(2)
    assert code(failed) is Code.WRITE_ERROR
    assert bench.codes() == ["file.doubt-not-noted", "file.in-doubt"]
    # What a process wrote before it was killed is there, if the machine goes on.
    bench.kill()
    assert code(bench.flush()) is Code.WRITE_ERROR


def test_a_full_disk_keeps_no_failure_from_being_noted(bench: Bench) -> None:
    """The note has its full length from the beginning, and is written in place."""
    before = os.stat(bench.volume.folder / "doubt")
    DoubtNote(bench.volume.folder, SIZE).save(Doubt(frozenset({0}), "why", 1.0))
    after = os.stat(bench.volume.folder / "doubt")
    assert (before.st_ino, before.st_size, before.st_blocks) == (
        after.st_ino,
        after.st_size,
        after.st_blocks,
    )
    DoubtNote(bench.volume.folder, SIZE).save(Doubt())
