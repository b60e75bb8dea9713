"""What is done to a node's folders is what the soak's rounds say that it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from system.nodes import Node, mounted

MIB = 1 << 20


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(1, tmp_path / "node-1")
    made.replica.mkdir(parents=True)
    (made.replica / "record.json").write_text("first")
    with (made.replica / "head-000.img").open("wb") as head:
        head.truncate(MIB)
        head.seek(MIB // 2)
        head.write(b"data")
    return made


def record(node: Node) -> str:
    return (node.replica / "record.json").read_text()


def test_an_old_copy_holds_what_was_there_then_and_its_holes(node: Node) -> None:
    old = node.copy(node.replica, "old")
    (node.replica / "record.json").write_text("second")
    node.misplace(old)
    assert record(node) == "first"
    head = node.replica / "head-000.img"
    assert head.stat().st_size == MIB
    assert head.stat().st_blocks * 512 < MIB // 4
    assert head.stat().st_ino != (node.aside / "head-000.img").stat().st_ino


def test_what_was_set_aside_comes_back_as_the_very_files(node: Node) -> None:
    before = (node.replica / "head-000.img").stat().st_ino
    wrong = node.copy(node.replica, "wrong")
    (wrong / "record.json").write_text("wrong")
    node.misplace(wrong)
    assert record(node) == "wrong"
    node.put_back()
    assert record(node) == "first"
    assert (node.replica / "head-000.img").stat().st_ino == before
    assert os.listdir(node.folder) == ["demo"]


def test_no_folder_is_a_wrong_folder_too(node: Node) -> None:
    node.misplace(None)
    assert not node.replica.exists()
    node.put_back()
    assert record(node) == "first"


def test_a_wrong_folder_that_is_kept_is_the_only_one(node: Node) -> None:
    node.misplace(node.copy(node.replica, "copy"))
    node.keep_wrong()
    assert os.listdir(node.folder) == ["demo"]


@pytest.mark.system
@pytest.mark.needs("root", "mount")
def test_a_full_file_system_has_room_for_nothing_until_it_is_emptied(tmp_path: Path) -> None:
    node = Node(1, tmp_path / "node-1")
    node.folder.mkdir()
    probe = node.folder / "probe"
    with mounted([node], MIB):
        with node.full(), pytest.raises(OSError, match="No space") as caught:
            probe.write_bytes(bytes(4096))
        assert caught.value.errno == errno.ENOSPC
        probe.write_bytes(bytes(4096))
    assert not probe.exists()
