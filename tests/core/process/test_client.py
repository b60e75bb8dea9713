"""What a command hears of a server that is not there, or goes while it is asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tierce import TemporaryError, UsageError
from tierce.process.client import ask, is_running
from tierce.process.messages import Message
from tierce.process.paths import Paths, listen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    """What a server listens at."""
    paths = Paths(tmp_path)
    paths.make()
    with listen(paths.socket("serve")) as listener:
        yield listener


class LastWords(Mapping[str, Any]):
    """A message that is not written before its reader has gone."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    def __getitem__(self, key: str) -> Any:
        return {"do": "list"}[key]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        self._server.close()
        return iter(["do"])


def test_a_server_that_goes_before_it_has_heard_the_request_is_told_as_one_that_has_gone(
    server: socket.socket, tmp_path: Path
) -> None:
    with pytest.raises(TemporaryError, match="the server ended: "):
        ask(tmp_path, cast("Message", LastWords(server)))


def test_a_server_that_listens_no_more_is_told_as_one_that_does_not_run(
    server: socket.socket, tmp_path: Path
) -> None:
    assert is_running(tmp_path)
    server.shutdown(socket.SHUT_RDWR)
    assert not is_running(tmp_path)
    with pytest.raises(TemporaryError, match="no server runs for data folder"):
        ask(tmp_path, {"do": "list"})


def test_one_that_does_not_answer_is_given_up(server: socket.socket, tmp_path: Path) -> None:
    assert server.fileno() >= 0
    with pytest.raises(TemporaryError, match="the server has not answered for 0 s"):
        ask(tmp_path, {"do": "list"}, patience_s=0.001)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no data folder"):
        ask(tmp_path / "none", {"do": "list"})
