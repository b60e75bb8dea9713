"""What every process is made of: it answers, shows, and outlives wrong messages."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tierce.process.messages import encode, receive, send
from tierce.process.paths import Paths, connect

PROCESS = """
import sys
from pathlib import Path
from tierce import Event
from tierce.process.messages import MESSAGE_BYTES_MAX, close_all
from tierce.process.paths import Paths
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process

class Body:
    def __init__(self, process):
        self.process = process
        process.show({"here": 1})
        self.commands = {"fail": self.fail, "shout": self.shout, "odd": self.odd}

    def fail(self, message, descriptors):
        close_all(descriptors)
        raise ZeroDivisionError("by zero")

    def shout(self, message, descriptors):
        self.process.emit(Event("loud", "x" * MESSAGE_BYTES_MAX, "process/x"))
        return {}

    def odd(self, message, descriptors):
        self.process.emit(Event("odd", "a field that is no JSON", "process/x", fields={"a": {1}}))
        return {}

    def close(self, closed):
        closed()

paths = Paths(Path(sys.argv[1]))
paths.make()
process = Process(paths, Plan("target.x", Role.TARGET, "x"), None)
sys.exit(process.run(lambda: Body(process)))
"""


class Scene:
    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.paths.make()
        self.log = folder / "stderr"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROCESS, str(folder)], stdout=subprocess.PIPE, stderr=log
            )
        self.connection = self._connect()

    def _connect(self) -> socket.socket:
        # Its socket is made under another name and renamed: from then on somebody listens.
        path = self.paths.socket("target.x")
        while not path.exists():
            assert self.process.poll() is None, self.log.read_text()
        connection = connect(path)
        connection.setblocking(True)
        return connection

    def ask(self, verb: str, **more: Any) -> dict[str, Any]:
        """Ask, and return the answer; what comes beside it is dropped."""
        send(self.connection, encode({"do": verb, "id": 5, **more}))
        while True:
            ready, _, _ = select.select([self.connection], [], [], 30)
            assert ready, f"no answer to {verb}"
            packet = receive(self.connection)
            assert packet is not None, self.log.read_text()
            if packet[0].get("id") == 5:
                return packet[0]

    def close(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "data")
    yield made
    made.close()


def test_a_process_answers_pings_and_shows_its_facts(scene: Scene) -> None:
    assert scene.ask("ping") == {"id": 5, "ok": {}}
    status = scene.ask("subscribe")["ok"]
    assert (status["phase"], status["facts"]) == ("up", {"here": 1})


def test_a_command_that_fails_or_is_unknown_ends_nobody(scene: Scene) -> None:
    assert scene.ask("fail")["error"] == "target.x failed on 'fail': ZeroDivisionError: by zero"
    assert "in fail" in scene.log.read_text()
    assert scene.ask("dance")["error"] == "target.x does not know 'dance' now"
    assert scene.ask("ping") == {"id": 5, "ok": {}}


def test_an_event_that_is_too_long_or_no_json_ends_nobody(scene: Scene) -> None:
    scene.ask("subscribe")
    assert scene.ask("shout")["ok"] == {}
    assert scene.ask("odd")["ok"] == {}
    assert '"a": "{1}"' in scene.log.read_text()
    assert scene.ask("ping") == {"id": 5, "ok": {}}


def test_it_ends_orderly_when_it_is_told(scene: Scene) -> None:
    scene.process.send_signal(signal.SIGTERM)
    assert scene.process.wait(30) == 0
    assert not scene.paths.socket("target.x").exists()
