"""A command that asks the server: what it makes of answers, of silence and of ends."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from core.scripted_server import ScriptedServer
from tierce import TemporaryError, UsageError
from tierce.process import client
from tierce.process.client import ask, is_running
from tierce.process.messages import Message
from tierce.process.paths import Paths, listen
from tierce.process.refusals import RefusedError

OK: dict[str, Any] = {"ok": {"a": 1}}


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., ScriptedServer]]:
    made: list[ScriptedServer] = []

    def make(*scripts: Any) -> ScriptedServer:
        made.append(ScriptedServer(tmp_path, *scripts))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_rows_come_before_the_answer(tmp_path: Path, scripted: Any) -> None:
    server = scripted([{"row": {"b": 1}}, {"row": {"b": 2}}, OK])
    assert ask(tmp_path, {"do": "list"}) == ([{"b": 1}, {"b": 2}], {"a": 1})
    assert server.asked == [{"do": "list", "id": 1}]


def test_rows_are_told_as_they_come_where_somebody_hears(tmp_path: Path, scripted: Any) -> None:
    scripted([{"row": {"b": 1}}, OK])
    told: list[dict[str, Any]] = []
    assert ask(tmp_path, {"do": "act"}, told.append) == ([], {"a": 1})
    assert told == [{"b": 1}]


def test_a_no_is_raised_with_its_code(tmp_path: Path, scripted: Any) -> None:
    scripted([{"error": "no", "exit_code": 6}], [{"error": "never"}])
    with pytest.raises(RefusedError, match="no") as caught:
        ask(tmp_path, {"do": "show"})
    assert caught.value.exit_code == 6
    with pytest.raises(RefusedError, match="never") as caught:
        ask(tmp_path, {"do": "show"})
    assert caught.value.exit_code == 1


def test_a_server_that_ends_or_speaks_nonsense_has_not_answered(
    tmp_path: Path, scripted: Any
) -> None:
    scripted([], [b"nonsense"])
    with pytest.raises(TemporaryError, match="ended before it had answered"):
        ask(tmp_path, {"do": "show"})
    with pytest.raises(TemporaryError, match="answer was cut off"):
        ask(tmp_path, {"do": "show"})


def test_one_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    # Nobody takes the connection: the kernel lets it wait.
    server = ScriptedServer(tmp_path)
    with pytest.raises(TemporaryError, match="has not answered for 0 s"):
        ask(tmp_path, {"do": "show"}, patience_s=0.0)
    server.close()


def test_where_no_server_runs_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no data folder"):
        ask(tmp_path / "none", {"do": "list"})
    with pytest.raises(TemporaryError, match="no server runs for data folder"):
        ask(tmp_path, {"do": "list"})
    assert not is_running(tmp_path)


def test_a_server_that_runs_is_found(tmp_path: Path, scripted: Any) -> None:
    scripted([])
    assert is_running(tmp_path)


@pytest.mark.parametrize(
    ("verb", "error", "said"),
    [
        ("list", KeyboardInterrupt, "^$"),
        ("act", RefusedError, "it is asked to stop"),
        ("create", RefusedError, "the server goes on with it"),
    ],
)
def test_an_interrupted_command_says_what_goes_on_without_it(
    tmp_path: Path, scripted: Any, verb: str, error: type[BaseException], said: str
) -> None:
    def interrupt(_row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    scripted([{"row": {}}, OK])
    with pytest.raises(error, match=said):
        ask(tmp_path, {"do": verb}, interrupt)


def test_the_server_s_patience_ends_before_the_command_s() -> None:
    assert client.ANSWER_TIMEOUT_S < client.PATIENCE_S


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
