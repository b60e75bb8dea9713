"""The files of a target: what is durable when, and what a restart finds in them."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from iscsi.bench import Bench
from iscsi.initiator import LOGIN_KEYS, Answer, command, login, only, read_10

GOOD, RESTARTED = 0, (6, 0x2900)
OTHER = b"\x80\0\0\0\0\2"
MakeBench = Callable[..., Bench]


def first(bench: Bench, isid: bytes = b"\x80\0\0\0\0\1") -> Answer:
    """What a session's first command is answered."""
    answer: Answer = only(bench.session(isid=isid).ask(command(bytes(6), 1)))
    return answer


def test_a_session_costs_no_sync_and_a_reservation_is_synced(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    session = make_bench().session()
    monkeypatch.setattr(os, "fsync", note)
    other = make_bench().session(isid=OTHER)
    assert synced == []
    other.ask(register(1))
    # Its folder's name too: who has made it may have been killed before it was durable.
    assert synced == [tmp_path.name, "reservations.new", "frontend.iscsi"]
    session.close()


def register(number: int) -> bytes:
    cdb = struct.pack(">BBB2xIx", 0x5F, 0, 0, 24)
    return command(cdb, number, write=24, data=struct.pack(">QQ8x", 0, 7))


def test_nobody_is_told_at_the_first_start(bench: Bench) -> None:
    assert first(bench).status == GOOD


def test_who_had_a_session_is_told_of_the_restart_at_its_first_command(
    make_bench: MakeBench,
) -> None:
    make_bench().session()
    again = make_bench()
    session = again.session()
    assert only(session.ask(command(read_10(0, 1), 1, read=512))).sense == RESTARTED
    assert only(session.ask(command(read_10(0, 1), 2, read=512))).status == GOOD
    assert first(again, OTHER).status == GOOD, "who was not here has seen no restart"


def test_who_had_ended_its_session_is_not_told(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.session().close()
    bench.loop.turn()
    assert first(make_bench()).status == GOOD


def test_who_ends_its_session_with_the_bytes_that_begin_it_is_not_told(
    make_bench: MakeBench,
) -> None:
    bench = make_bench()
    broken = command(bytes(6), 7)
    hurried = bench.initiator()
    hurried.start(login(LOGIN_KEYS) + broken)
    assert hurried.is_closed, "a CmdSN that is not the next one"
    assert first(make_bench()).status == GOOD


def test_whose_session_the_target_ended_is_told(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.session()
    bench.frontend.close(lambda: None)
    bench.loop.turn()
    assert first(make_bench()).sense == RESTARTED


def test_who_does_not_come_back_is_told_after_the_next_restart(make_bench: MakeBench) -> None:
    make_bench().session()
    make_bench().session(isid=OTHER)
    third = make_bench()
    assert first(third).sense == RESTARTED
    assert first(third, OTHER).sense == RESTARTED


def test_who_leaves_before_it_was_told_is_told_when_it_comes_back(make_bench: MakeBench) -> None:
    make_bench().session()
    again = make_bench()
    again.session().close()
    again.loop.turn()
    assert first(again).sense == RESTARTED


@pytest.mark.parametrize("contents", [b"", None], ids=["damaged", "lost"])
def test_everyone_is_told_where_it_is_not_known_who_was_here(
    make_bench: MakeBench, tmp_path: Path, contents: bytes | None
) -> None:
    make_bench().session()
    file = tmp_path / "frontend.iscsi" / "sessions"
    if contents is None:
        file.unlink()
    else:
        file.write_bytes(contents)
    again = make_bench(created=1.0)
    assert first(again).sense == RESTARTED
    assert first(again, OTHER).sense == RESTARTED


def test_what_is_noted_is_there_the_moment_the_session_is(make_bench: MakeBench) -> None:
    bench = make_bench()
    # Nothing is done on worker threads any more, as when the process is killed now.
    bench.loop.by_hand = True
    bench.session()
    bench.session(isid=OTHER).close()
    bench.loop.turn()
    again = make_bench()
    assert first(again).sense == RESTARTED
    assert first(again, OTHER).status == GOOD


def test_a_note_that_can_not_be_written_any_more_is_taken_away(
    make_bench: MakeBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()

    def fail(*_args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        assert first(bench).status == GOOD
    assert first(bench, OTHER).status == GOOD
    codes = [event.code for event in bench.events]
    assert codes.count("iscsi.keeping.failed") == 1
    assert not (tmp_path / "frontend.iscsi" / "sessions").exists()


def test_a_disk_that_takes_nothing_is_told_once_and_stops_no_session(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    (tmp_path / "frontend.iscsi").write_bytes(b"")
    bench = make_bench()
    assert first(bench).status == GOOD
    assert first(bench, OTHER).status == GOOD
    assert [event.code for event in bench.told] == ["iscsi.keeping.failed"]
    assert os.strerror(errno.ENOTDIR) in bench.told[0].message
