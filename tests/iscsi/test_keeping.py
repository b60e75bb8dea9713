"""The files of a target: what is durable when, and what a restart finds in them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iscsi.bench import Bench
from iscsi.initiator import Answer, command, only, read_10
from tierce_iscsi.keeping import replace

GOOD, RESTARTED = 0, (6, 0x2900)
OTHER = b"\x80\0\0\0\0\2"
MakeBench = Callable[..., Bench]


def first(bench: Bench, isid: bytes = b"\x80\0\0\0\0\1") -> Answer:
    """What a session's first command is answered."""
    answer: Answer = only(bench.session(isid=isid).ask(command(bytes(6), 1)))
    return answer


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record what is done to disks, in order."""
    said: list[str] = []

    def wrap(name: str) -> None:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            what = Path(os.readlink(f"/proc/self/fd/{args[0]}") if name == "fsync" else args[0])
            said.append(f"{name} {what.name}")
            return real(*args, **kwargs)

        monkeypatch.setattr(os, name, call)

    for name in ("fsync", "rename", "mkdir"):
        wrap(name)
    return said


def test_a_durable_file_is_synced_before_it_takes_the_place_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = recorded(monkeypatch)
    replace(tmp_path / "volume" / "frontend" / "file", b"new", is_durable=True)
    assert said == [
        *("mkdir volume", f"fsync {tmp_path.name}", "mkdir frontend", "fsync volume"),
        *("fsync file.new", "rename file.new", "fsync frontend"),
    ]
    assert (tmp_path / "volume" / "frontend" / "file").read_bytes() == b"new"


def test_a_file_that_need_not_be_durable_costs_no_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = recorded(monkeypatch)
    replace(tmp_path / "file", b"new", is_durable=False)
    assert said == ["rename file.new"]


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


def test_a_storm_of_logins_makes_few_writes(bench: Bench) -> None:
    bench.loop.holds_work = True
    for number in range(8):
        bench.session(isid=bytes((0x80, 0, 0, 0, 1, number)))
    assert len(bench.loop.work) == 1
    bench.loop.work_off()
    assert bench.loop.work == []


def test_a_disk_that_takes_nothing_is_told_once_and_stops_no_session(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    (tmp_path / "frontend.iscsi").write_bytes(b"")
    bench = make_bench()
    assert first(bench).status == GOOD
    assert first(bench, OTHER).status == GOOD
    assert [event.code for event in bench.events] == ["iscsi.keeping.failed"]
    assert os.strerror(errno.ENOTDIR) in bench.events[0].message
