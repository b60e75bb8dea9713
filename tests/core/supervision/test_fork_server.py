"""The fork server: what it holds, whom it answers, what it forks by a fork that makes nobody."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tierce import ConflictError, EngineDescription, PluginError, hookimpl
from tierce.codec import to_json
from tierce.process.messages import Message, encode, receive, send
from tierce.process.paths import Paths, connect
from tierce.process.plan import EXIT_ORDERLY, FORK_SERVER, Plan, Role, fork_server_plan
from tierce.registry import Registry
from tierce.state import find_holder
from tierce.supervision.fork_server import (
    Forked,
    ForkServer,
    factories,
    main,
    reap,
    tell_end,
    warm,
)

PLAN = fork_server_plan(("engines",), "")
CHILD = Plan("target.demo", Role.TARGET, "demo", {"size": 5}, {"rate": 1})

LOADED = """
import sys
import tierce.supervision.fork_server
print(*sorted(sys.modules))
"""


def test_it_loads_neither_lmdb_nor_asyncio_nor_click() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "tierce.node.target" in loaded
    assert not loaded & {"lmdb", "grpc", "asyncio", "click", "tierce.server.supervisor"}


def test_it_is_another_fork_server_with_other_plugins_only() -> None:
    assert fork_server_plan(("b", "a"), "1") == fork_server_plan(("a", "b"), "1")
    assert fork_server_plan(("a",), "1").digest != fork_server_plan(("a", "b"), "1").digest
    without = fork_server_plan(("a",), "1", {("front end", "x"): "it raises"})
    assert without.digest != fork_server_plan(("a",), "1").digest
    assert fork_server_plan(("a",), "1").digest != fork_server_plan(("a",), "2").digest


def test_it_warms_what_runs_in_data_processes() -> None:
    registry = Registry.load()
    named = set(factories(registry))
    for engine in registry.engines.values():
        assert not engine.factory or engine.factory in named
    for frontend in registry.frontends.values():
        assert {frontend.factory, frontend.router} <= named
        assert frontend.usage not in named


# -- the loop --------------------------------------------------------------------------------------


class Scene:
    """A fork server, and a supervisor's end of its connection."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.paths.make()
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ends = [self.ours]
        self.forks: list[Callable[[], int]] = []
        self.server = ForkServer(self.paths, PLAN, theirs, self.fork)

    def fork(self) -> int:
        return self.forks.pop(0)()

    def ask(
        self, verb: str, *descriptors: int, end: socket.socket | None = None, **more: Any
    ) -> None:
        send(end or self.ours, encode({"do": verb, "id": 3, **more}), descriptors)

    def ask_fork(self, forks: Callable[[], int]) -> socket.socket:
        """Ask for a fork; return our end of what the child is given."""
        self.forks.append(forks)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ends.append(ours)
        with theirs:
            self.ask("fork", theirs.fileno(), plan=to_json(CHILD))
        return ours

    def end_it(self) -> None:
        """Let it end once it has done what was asked before."""

        def forks() -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            return 1

        self.ask_fork(forks)

    def answers(self, end: socket.socket | None = None) -> list[Message]:
        found: list[Message] = []
        end = end or self.ours
        while select.select([end], [], [], 0)[0] and (packet := receive(end)) is not None:
            found.append(packet[0])
        return found

    def connect(self) -> socket.socket:
        end = connect(self.paths.socket(FORK_SERVER))
        self.ends.append(end)
        return end

    def close(self) -> None:
        for end in self.ends:
            end.close()
        self.server.close()


@contextlib.contextmanager
def signals_as_they_were() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with signals_as_they_were():
        made = Scene(tmp_path)
        yield made
        made.close()


def test_it_tells_its_status_answers_pings_and_refuses_all_else(scene: Scene) -> None:
    for verb in ("status", "subscribe", "ping", "dance"):
        scene.ask(verb)
    scene.end_it()
    scene.server.run()
    status, subscribed, ping, dance, _forked = scene.answers()
    assert status["ok"]["digest"] == PLAN.digest
    assert (status["ok"]["phase"], status["ok"]["name"]) == ("up", FORK_SERVER)
    assert subscribed == status
    assert ping == {"id": 3, "ok": {}}
    assert dance == {"id": 3, "error": "a fork server forks and tells its status"}


def test_a_fork_is_answered_by_the_child_s_number_and_its_end_is_the_child_s_alone(
    scene: Scene,
) -> None:
    ours = scene.ask_fork(lambda: 4711)
    scene.end_it()
    scene.server.run()
    assert scene.answers()[0] == {"id": 3, "ok": {"pid": 4711}}
    # The child would hold it; the fork server keeps no copy.
    assert receive(ours) is None


def test_in_the_child_the_fork_server_is_left_behind_with_the_plan_and_the_connection(
    scene: Scene,
) -> None:
    ours = scene.ask_fork(lambda: 0)
    with pytest.raises(Forked) as caught:
        scene.server.run()
    forked = caught.value
    assert forked.plan == CHILD
    send(forked.connection, encode({"phase": "up"}))
    assert scene.answers(ours) == [{"phase": "up"}]
    # Nothing of the fork server's is the child's: its connections, its lock, its signals.
    assert receive(scene.ours) is None
    assert find_holder(scene.paths.lock(FORK_SERVER)) is None
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, set())
    forked.connection.close()


def test_a_fork_that_the_kernel_refuses_is_told_and_it_forks_and_ends_as_before(
    scene: Scene,
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    scene.ask_fork(refuse)
    scene.end_it()
    scene.server.run()
    refused, forked = scene.answers()
    assert refused["error"] == "Resource temporarily unavailable"
    assert "ok" in forked


def test_a_plan_that_is_none_is_refused(scene: Scene) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        scene.ask("fork", theirs.fileno(), plan={"name": "x"})
    scene.end_it()
    scene.server.run()
    assert "not a Plan" in scene.answers()[0]["error"]


def test_others_may_ask_too_and_who_hangs_up_or_talks_nonsense_is_forgotten(scene: Scene) -> None:
    first, second, third = scene.connect(), scene.connect(), scene.connect()
    scene.ask("ping", end=first)
    second.close()
    third.send(b"nonsense")

    rounds = iter(range(8))

    def go_on() -> int:
        # It takes one connection, and one message of each, in a round.
        (scene.end_it if next(rounds, None) is None else lambda: scene.ask_fork(go_on))()
        return 5

    scene.ask_fork(go_on)
    scene.server.run()
    assert scene.answers(first) == [{"id": 3, "ok": {}}]
    assert receive(third) is None


def test_it_reaps_what_has_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    reap()
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, 0)
    # There is nobody left: that is no error.
    reap()
    child.returncode = 0


# -- before and after ------------------------------------------------------------------------------


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    return [EngineDescription(name="bad", summary="Bad.", factory="no_module:x", contract=2)]


def test_an_import_that_fails_is_logged_and_left_to_who_needs_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    warm(Registry.build([("tests", sys.modules[__name__], "")]))
    line = capsys.readouterr().err
    assert '"node.template.import-failed"' in line
    assert "no_module" in line


def test_why_a_process_can_not_be_is_its_last_words(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        tell_end(theirs, "target.demo", ConflictError("no engine"))
        packet = receive(ours)
        assert packet is not None
        assert packet[0]["event"]["message"] == "target.demo: no engine"
    # Whether anybody hears it or not, the log has it.
    tell_end(None, "target.demo", ConflictError("nobody hears"))
    assert "nobody hears" in capsys.readouterr().err


def test_it_serves_from_its_start_until_it_is_told_to_end(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make()
    answers: list[Message] = []

    def ask() -> None:
        while not paths.socket(FORK_SERVER).exists():
            assert threading.main_thread().is_alive()
        with connect(paths.socket(FORK_SERVER)) as connection:
            connection.setblocking(True)
            send(connection, encode({"do": "status", "id": 1}))
            packet = receive(connection)
            assert packet is not None
            answers.append(packet[0])
        os.kill(os.getpid(), signal.SIGTERM)

    comm = Path("/proc/self/comm").read_text().strip()
    with signals_as_they_were():
        asking = threading.Thread(target=ask)
        asking.start()
        code = main([str(tmp_path), "--plugin", "engines"])
        asking.join()
    gc.unfreeze()
    Path("/proc/self/comm").write_text(comm)
    assert code == EXIT_ORDERLY
    assert answers[0]["ok"]["digest"] == PLAN.digest
    assert not paths.socket(FORK_SERVER).exists()
    assert find_holder(paths.lock(FORK_SERVER)) is None


def test_one_that_can_not_start_says_why_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Paths(tmp_path).make()
    comm = Path("/proc/self/comm").read_text().strip()
    with pytest.raises(PluginError, match="strangers"):
        main([str(tmp_path), "--plugin", "strangers"])
    Path("/proc/self/comm").write_text(comm)
    assert '"node.process.failed"' in capsys.readouterr().err


def test_one_that_is_to_do_without_something_does_not_import_it_and_is_of_that_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    paths.make()
    comm = Path("/proc/self/comm").read_text().strip()
    made: list[tuple[Registry, Plan]] = []

    class StopError(Exception):
        """Before anything is forked."""

    def make(_paths: Paths, plan: Plan, _connection: object) -> None:
        made.append((warmed[0], plan))
        raise StopError

    warmed: list[Registry] = []
    monkeypatch.setattr("tierce.supervision.fork_server.warm", warmed.append)
    monkeypatch.setattr("tierce.supervision.fork_server.ForkServer", make)
    with pytest.raises(StopError):
        main([str(tmp_path), "--plugin", "engines", "--without", "engine:file"])
    Path("/proc/self/comm").write_text(comm)
    ((registry, plan),) = made
    assert list(registry.engines) == ["memory"]
    assert plan == fork_server_plan(("engines",), "", [("engine", "file")])
