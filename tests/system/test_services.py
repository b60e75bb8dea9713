"""Services and policies of strangers beside real volumes, over restarts of everything."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.volumes import jiva, volume

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

BLOCK = b"strange!" * 64


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if "\n" in line]


def test_two_engines_find_the_socket_of_a_service_also_when_it_was_started_anew(
    server: Server,
) -> None:
    services = {"blobs": {"folder": "./blobs"}}
    volumes = [volume(name, "blob", "16 MiB") for name in ("left", "right")]
    server.lay_out("blobs")
    server.configure(*volumes, services=services)
    server.run("left", "right")
    sessions = {name: server.session(name) for name in ("left", "right")}
    for name, session in sessions.items():
        session.write_now(0, name.encode().ljust(512, b"."))
    server.kill(["service.blobs"])
    # The engines find the next one while a write waits.
    for name, session in sessions.items():
        session.write_now(512, BLOCK)
        assert session.read_now(0, 512) == name.encode().ljust(512, b".")
    for session in sessions.values():
        session.close()
    server.kill(["target.left"])
    session = server.session("left")
    assert session.read_now(512, 512) == BLOCK
    session.close()
    assert "service.blobs" in server.said()
    server.stop()


def test_a_service_exports_differences_and_events_over_restarts_of_what_it_watches(
    server: Server,
) -> None:
    ledger = server.folder / "ledger.jsonl"

    def writes(process: str, stage: str) -> int:
        found = [one for one in lines(ledger) if one.get("process") == process]
        assert all(count >= 0 for one in found for count in one["writes"].values())
        return sum(one["writes"].get(stage, 0) for one in found)

    def write(count: int) -> None:
        session = server.session("demo")
        for index in range(count):
            session.write_now(index * 512, BLOCK)
        session.close()

    server.lay_out("ledger")
    server.configure(jiva("demo"), services={"ledger": {"file": "./ledger.jsonl"}})
    server.run("demo")
    write(5)
    wait_until(lambda: writes("target.demo", "volume") == 5, "five writes are exported")
    server.kill(["target.demo"])
    write(3)
    wait_until(lambda: writes("target.demo", "volume") == 8, "a new target adds to the old one")
    server.kill(["member.demo.replica-1"])
    wait_until(lambda: is_told(ledger, "node.process.died", "replica-1"), "its end is exported")
    # The server goes, the volume and the service stay.
    session = server.session("demo")
    server.kill(["serve"])
    for index in range(2):
        session.write_now(index * 512, BLOCK)
    wait_until(lambda: writes("target.demo", "volume") == 10, "it needs no server to see")
    server.start()
    wait_until(lambda: "were taken over" in server.said(), "the next server is there")
    session.close()
    server.kill(["member.demo.replica-2"])
    wait_until(lambda: is_told(ledger, "node.process.died", "replica-2"), "events go on")
    # An event is exported once, whatever was restarted.
    numbers = [one["sequence"] for one in lines(ledger) if "sequence" in one]
    assert numbers == sorted(set(numbers))
    assert not [one for one in lines(ledger) if "lost" in one]
    log = (server.data / "logs" / "service.ledger.log").read_text()
    assert '"subject": "service/ledger", "message": "writing to ' in log
    server.stop()


def test_a_service_of_volumes_watches_each_alone_while_it_is_served(server: Server) -> None:
    seen = server.folder / "seen"
    seen.mkdir()
    services = {"watchman": {"folder": "./seen"}, "captain": {"folder": "./seen"}}
    volumes = [volume(name, "memory", "16 MiB") for name in ("left", "right")]
    server.lay_out("watchman")
    server.configure(*volumes, services=services)
    server.run("left", "right")
    session = server.session("left")
    for index in range(3):
        session.write_now(index * 512, BLOCK)
    session.close()
    wait_until(lambda: {"left": 3} in lines(seen / "left.jsonl"), "its watchman has seen them")
    assert all("left" not in one for one in lines(seen / "right.jsonl"))
    wait_until(
        lambda: any("left" in one for one in lines(seen / "all.jsonl")), "so has the captain"
    )
    done = server.command("volume", "act", "right", "service.watchman", "look", "--output", "json")
    assert json.loads(done.stdout) == {"volume": "right"}
    before = server.pids()
    server.configure(volumes[0], services=services)
    os.kill(before["serve"], signal.SIGHUP)
    wait_until(lambda: "service.watchman.right" not in server.pids(), "it went with its volume")
    kept = ("service.watchman.left", "service.captain", "target.left")
    assert [server.pids()[name] for name in kept] == [before[name] for name in kept]
    server.stop()


def is_told(ledger: Path, code: str, about: str) -> bool:
    return any(one.get("event") == code and one["about"].endswith(about) for one in lines(ledger))


def test_a_handler_has_its_action_every_second_beside_one_that_hangs(server: Server) -> None:
    shelf = server.folder / "shelf"
    shelf.mkdir()
    policies = [
        {"kind": "beat", "name": name, "parameters": parameters}
        for name, parameters in (("stuck", {"how": "hang"}), ("steady", {}))
    ]
    server.lay_out("engine-actions", "metronome")
    server.configure(volume("demo", "shelf", "1 MiB", shelf="./shelf"), policies=policies)
    server.run("demo")
    wait_until(lambda: list(shelf.glob("steady-*")), "there is a first snapshot")
    pid = server.pids()["policies"]
    wait_until(lambda: len(list(shelf.glob("steady-*"))) >= 4, "there are more")
    # One process for all of them.
    assert server.pids()["policies"] == pid
    log = server.data / "logs" / "serve.log"
    codes = [(one["code"], one["subject"]) for one in lines(log)]
    assert ("policy.failed", "policy/stuck") in codes
    assert ("policy.acted", "policy/steady") in codes
    assert ("policy.failed", "policy/steady") not in codes
    server.kill(["policies"])
    before = len(list(shelf.glob("steady-*")))
    wait_until(lambda: len(list(shelf.glob("steady-*"))) > before, "the next process goes on")
    server.stop()


def test_what_ends_whatever_imports_it_costs_its_own_volume_alone(server: Server) -> None:
    server.lay_out("brittle")
    server.configure(volume("bad", "brittle", "16 MiB"), volume("good", "memory", "16 MiB"))
    server.run("good")
    session = server.session("good")
    session.write_now(0, BLOCK)
    assert session.read_now(0, 512) == BLOCK
    session.close()
    assert "the engine 'brittle' can't be used" in server.said()
    assert "importing it ends its process (exit code 7)" in server.said()
    server.stop()
