"""Lock files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tierce import ConflictError
from tierce.state import acquire, find_holder

HOLD = """
import sys, time
from pathlib import Path
from tierce.state import acquire
lock = acquire(Path(sys.argv[1]), {"name": "other"}, what="it")
print("held", flush=True)
sys.stdin.read()
"""


def test_nobody_holds_a_lock_that_does_not_exist(tmp_path: Path) -> None:
    assert find_holder(tmp_path / "a.lock") is None


def test_a_held_lock_says_who_holds_it(tmp_path: Path) -> None:
    lock = acquire(tmp_path / "a.lock", {"name": "me"}, what="it")
    holder = find_holder(tmp_path / "a.lock")
    assert holder is not None
    assert holder.pid == os.getpid()
    assert holder.note["name"] == "me"
    lock.release()
    assert find_holder(tmp_path / "a.lock") is None


def test_a_second_holder_is_refused_naming_the_first(tmp_path: Path) -> None:
    lock = acquire(tmp_path / "a.lock", {}, what="data folder X")
    with pytest.raises(ConflictError, match=rf"data folder X is held by process {os.getpid()} "):
        acquire(tmp_path / "a.lock", {}, what="data folder X")
    lock.release()


def test_a_lock_can_be_taken_again_after_release(tmp_path: Path) -> None:
    for name in ("one", "two"):
        lock = acquire(tmp_path / "a.lock", {"name": name}, what="it")
        assert json.loads((tmp_path / "a.lock").read_text())["name"] == name
        lock.release()
        lock.release()


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"pid": "x"}'])
def test_a_note_that_is_being_written_names_no_process(tmp_path: Path, note: bytes) -> None:
    lock = acquire(tmp_path / "a.lock", {}, what="it")
    (tmp_path / "a.lock").write_bytes(note)
    holder = find_holder(tmp_path / "a.lock")
    assert holder is not None
    assert holder.pid == 0
    lock.release()


@pytest.mark.system
def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        holder = find_holder(path)
        assert holder is not None
        assert holder.pid == other.pid
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert find_holder(path) is None
    acquire(path, {}, what="it").release()
