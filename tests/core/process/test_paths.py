"""Paths and sockets under a data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded_disk import RecordedDisk
from tierce import ConflictError, UsageError
from tierce.process.paths import Paths, connect, listen, replace_file


def test_a_socket_may_lie_deeper_than_an_address_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    path = folder / f"member.{'v' * 63}.{'r' * 63}.sock"
    listener = listen(path)
    with listener, connect(path) as connection:
        accepted, _address = listener.accept()
        with accepted:
            connection.send(b"hello")
            assert accepted.recv(10) == b"hello"


def test_a_dead_listener_is_replaced_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    listen(path).close()
    with pytest.raises(ConflictError, match="nobody listens"):
        connect(path)
    with listen(path), connect(path):
        assert [one.name for one in tmp_path.iterdir()] == ["a.sock"]


def test_nobody_listens_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="nobody listens"):
        connect(tmp_path / "a.sock")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "demo.replica-1.address"
    replace_file(path, b"127.0.0.1:1")
    replace_file(path, b"127.0.0.1:22")
    assert path.read_bytes() == b"127.0.0.1:22"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_run_and_logs_are_for_their_owner_alone(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data")
    paths.make()
    paths.make()
    assert paths.run.stat().st_mode & 0o77 == 0
    assert paths.logs.stat().st_mode & 0o77 == 0


def test_the_data_folder_is_durable_with_all_that_lies_above_it(tmp_path: Path) -> None:
    disk = RecordedDisk(tmp_path)
    with disk:
        Paths(tmp_path / "deep" / "data").make()
    done = [(what, str(places[0])) for what, places in disk.log]
    assert done[:4] == [("mkdir", "deep"), ("sync", "."), ("mkdir", "deep/data"), ("sync", "deep")]


def test_a_data_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"data folder .*file/data can't be made"):
        Paths(tmp_path / "file" / "data").make()


def test_pages_of_targets_and_members_differ() -> None:
    paths = Paths(Path("/data"))
    assert paths.page("demo").name == "demo.stats"
    assert paths.page("demo", "replica-1").name == "demo.replica-1.stats"
