"""What engines do for volumes hangs, crashes and ends its process, on a real server: it costs the
volume that it is done for, and the server goes on with everything else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from serving.processes import is_alive, wait_until
from serving.server import COMMAND, COMMAND_S, Server
from serving.volumes import volume

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

BLOCK = b"strange!" * 64


@pytest.fixture(autouse=True)
def stranger(server: Server) -> None:
    server.lay_out("mistaken")


def mistaken(mistake: str, name: str = "odd") -> dict[str, Any]:
    return volume(name, "mistaken", "1 MiB", mistake=mistake)


def rows(server: Server) -> dict[str, dict[str, Any]]:
    done = server.command("volume", "list", "--output", "json")
    assert done.stdout, done.stderr
    return {str(row["name"]): row for row in json.loads(done.stdout)}


class Asked:
    """A command that is not waited for."""

    def __init__(self, server: Server, *words: str) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=server.folder,
            env={**server.env, "TIERCE_DATA_DIR": str(server.data)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ended(self) -> tuple[int, str]:
        """Return its exit code, and what it says."""
        said, _nothing = self._process.communicate(timeout=COMMAND_S)
        return self._process.returncode, said


def create(server: Server, name: str, engine: str, option: str) -> Asked:
    what = ("--size", "1MiB", "--engine", engine, "--option", option)
    return Asked(server, "volume", "create", name, *what)


def goes_on(server: Server) -> None:
    """Everything else works: commands, restarts, I/O, volumes that are made and deleted."""
    before = server.pids()["target.good"]
    os.kill(before, signal.SIGKILL)
    wait_until(
        lambda: server.pids().get("target.good", before) != before, "its target is started again"
    )
    session = server.session("good")
    session.write_now(0, BLOCK)
    assert session.read_now(0, 512) == BLOCK
    session.close()
    code, said = create(server, "other", "file", "path=./other.img").ended()
    assert code == 0, said
    assert rows(server)["other"]["health"] == "healthy"
    assert server.command("volume", "delete", "other", "--yes").returncode == 0
    assert "other" not in rows(server)


@pytest.mark.parametrize("what", ["hangs", "exits", "ends the process", "crashes"])
def test_a_creation_that_never_returns_costs_its_own_volume(server: Server, what: str) -> None:
    server.configure(mistaken(f"create: {what}"), volume("good", "memory", "1 MiB"))
    server.run("good")
    if what == "hangs":
        assert rows(server)["odd"]["why"].startswith("it waits for create of the engine mistaken")
        goes_on(server)
        wait_until(lambda: "has not returned for 5 s" in server.said(), "it is told")
        (line,) = [one for one in server.said().splitlines() if "has not returned" in one]
        assert "volume odd: create of the engine mistaken (plugin 'mistaken'" in line
        assert ", it is in does of tierce_mistaken.py, line " in line
    else:
        wait_until(lambda: "volume odd: plugin 'mistaken'" in server.said(), "it is told")
        goes_on(server)
    server.stop()


@pytest.mark.parametrize("what", ["prints", "leaks"])
def test_what_a_creation_leaves_in_its_process_goes_with_it(server: Server, what: str) -> None:
    server.configure(mistaken(f"create: {what}"), volume("good", "memory", "1 MiB"))
    server.run("good", "odd")
    goes_on(server)
    wait_until(lambda: "work.1" not in server.pids(), "its process has ended")
    assert "screen" not in server.said()
    server.stop()


def test_a_creation_that_hangs_is_given_up_by_its_deletion(server: Server) -> None:
    server.configure(volume("good", "memory", "1 MiB"))
    server.run("good")
    asked = create(server, "odd", "mistaken", "mistake=create: hangs")
    wait_until(lambda: "odd" in rows(server), "it is begun")
    pid = server.pids()["work.1"]
    deleted = server.command("volume", "delete", "odd", "--yes")
    assert deleted.returncode == 0, deleted.stderr
    assert not is_alive(pid)
    code, said = asked.ended()
    assert code == 6
    assert "volume odd is to be deleted" in said
    assert list(rows(server)) == ["good"]
    goes_on(server)
    server.stop()


@pytest.mark.parametrize("step", ["condemn", "empty"])
def test_a_deletion_that_hangs_waits_and_its_server_goes_on(server: Server, step: str) -> None:
    server.configure(volume("good", "memory", "1 MiB"))
    server.run("good")
    code, said = create(server, "odd", "mistaken", f"mistake={step}: hangs").ended()
    assert code == 0, said
    asked = Asked(server, "volume", "delete", "odd", "--yes")
    wait_until(lambda: "work.1" in server.pids(), "it is begun")
    goes_on(server)
    # The next server does it anew.
    server.kill(["serve"])
    left = server.pids()["work.1"]
    asked.ended()
    server.start()
    wait_until(lambda: not is_alive(left), "what was left has ended")
    wait_until(lambda: "work.1" in server.pids(), "it is begun again")
    assert rows(server)["odd"]["state"] == "deleting"
    goes_on(server)
    server.stop()


@pytest.mark.parametrize("what", ["exits", "hangs", "crashes"])
def test_adopting_what_an_engine_fails_on_holds_nobody_up(server: Server, what: str) -> None:
    folder = server.folder / what
    folder.mkdir()
    server.configure(volume("good", "memory", "1 MiB"))
    server.run("good")
    asked = Asked(server, "volume", "adopt", str(folder), "--engine", "mistaken")
    goes_on(server)
    if what == "hangs":
        wait_until(lambda: "work.1" in server.pids(), "it is begun")
        os.kill(server.pids()["work.1"], signal.SIGKILL)
    code, said = asked.ended()
    assert code == 2
    assert "adopt of its lifecycle" in said
    goes_on(server)
    server.stop()


def test_a_server_that_is_killed_while_an_engine_makes_a_volume_has_it_made_by_the_next(
    server: Server,
) -> None:
    server.configure(mistaken("create: hangs"), volume("good", "memory", "1 MiB"))
    server.run("good")
    uuid = json.loads(server.command("volume", "show", "odd", "--output", "json").stdout)["uuid"]
    server.kill(["serve"])
    left = server.pids()["work.1"]
    server.start()
    wait_until(lambda: server.pids().get("work.1", left) != left, "it is made anew")
    assert not is_alive(left)
    shown = json.loads(server.command("volume", "show", "odd", "--output", "json").stdout)
    assert shown["uuid"] == uuid
    goes_on(server)
    server.stop()


def test_a_server_that_finds_its_volumes_starts_no_process_for_them(server: Server) -> None:
    server.configure(*[volume(f"v{n}", "file", "1 MiB", path=f"./{n}.img") for n in range(3)])
    server.run("v0", "v1", "v2")
    log = server.data / "logs" / "work.1.log"
    assert log.exists()
    server.stop()
    log.unlink()
    server.run("v0", "v1", "v2")
    assert not log.exists()
    server.stop()
