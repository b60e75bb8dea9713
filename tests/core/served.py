"""A whole supervisor in the test's own process: its loop is the test's, its processes are those of
a machine that has none (tests/core/fake_machine.py)."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from core.fake_machine import FakeMachine
from core.fake_reactor import FakeReactor
from tierce.config import load_config
from tierce.inventory.preflight import Findings, examine
from tierce.process.messages import Message, encode, receive, send
from tierce.process.paths import Paths, connect
from tierce.registry import Registry, Unusable
from tierce.server.event_log import Console
from tierce.server.importing import Imports
from tierce.server.supervisor import Supervisor
from tierce.state.store import StateStore
from tierce.supervision.child import Child


class Served:
    """A data folder, and the supervisors that serve it one after another."""

    def __init__(self, folder: Path, reactor: FakeReactor) -> None:
        self.folder = folder
        self.file = folder / "tierce.yaml"
        self.paths = Paths(folder / "data")
        self.paths.make()
        self.reactor = reactor
        self.machine = FakeMachine(reactor, self.paths)
        self.out = io.StringIO()
        #: What a child would find that can't be imported, of what it has not looked at before.
        self.unusable: dict[tuple[str, str], str] = {}
        #: How often one was asked.
        self.looked_count = 0
        self._imports = Imports(self._find_unusable)
        self._clients: list[Client] = []
        self._supervisor: Supervisor | None = None
        self.write()

    @property
    def supervisor(self) -> Supervisor:
        assert self._supervisor is not None
        return self._supervisor

    def write(self, *volumes: dict[str, Any], **more: Any) -> None:
        """Write the config file; JSON is YAML."""
        frontends = {"iscsi": {"listen": ["127.0.0.1:0"]}}
        config = {"data_dir": "./data", "frontends": frontends, "volumes": volumes, **more}
        self.file.write_text(json.dumps(config))

    def serve(self, script: Callable[[], None]) -> None:
        """Serve the config file while the script plays, then end orderly."""
        # As `tierce serve` does.
        self._imports = Imports(self._find_unusable)
        config = load_config(self.file, is_lenient=True, tried=self._imports.look)
        findings = examine(config)
        self.serve_with(script, findings, config)

    def serve_with(self, script: Callable[[], None], findings: Findings, config: Any) -> None:
        def play() -> None:
            self.reactor.turn()
            script()
            if not self.reactor.is_stopped:
                self.supervisor.stop()
                self.reactor.turn()

        self.reactor.script = play
        with StateStore(self.paths.state) as store:
            console = Console(self.out)
            self._supervisor = Supervisor(
                self.paths,
                config,
                store,
                self.reactor,  # type: ignore[arg-type]
                console,
                self.machine,
                self._imports,
            )
            self._supervisor.run(findings)

    def _find_unusable(self, _registry: Registry, _known: Container[str]) -> Unusable:
        self.looked_count += 1
        return self.unusable

    def vanish(self) -> None:
        """End the supervisor in the middle of a script, as SIGKILL does: nothing is told."""
        self.reactor.is_stopped = True
        # Nor is anything done by it later.
        self.reactor.timers.clear()

    def child(self, name: str) -> Child:
        found = self.supervisor.children.get(name)
        assert found is not None, f"nobody knows of {name}"
        return found

    def client(self) -> Client:
        made = Client(self)
        self._clients.append(made)
        return made

    def ask(self, verb: str, **values: Any) -> list[Message]:
        """Ask as a command does; return every reply that has come by now."""
        return self.client().ask(verb, **values)

    def told(self, code: str) -> list[str]:
        """Return the messages of the events of a kind."""
        self.reactor.turn()
        events = self.supervisor._store.events(1000)
        return [event["message"] for event in events if event["code"] == code]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.machine.close()


class Client:
    """A command's connection to the server."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._connection = connect(served.paths.socket("serve"))

    def ask(self, verb: str, **values: Any) -> list[Message]:
        self.send(do=verb, id=1, **values)
        return self.replies()

    def send(self, **message: Any) -> None:
        send(self._connection, encode(message))
        self._served.reactor.turn()

    def replies(self) -> list[Message]:
        found: list[Message] = []
        while True:
            try:
                packet = receive(self._connection)
            except BlockingIOError:
                return found
            assert packet is not None, "the server has hung up"
            found.append({key: value for key, value in packet[0].items() if key != "id"})

    def close(self) -> None:
        self._connection.close()


def while_serving(*volumes: dict[str, Any]) -> Callable[[Any], Any]:
    """Let a test play while a supervisor serves these volumes."""

    def around(test: Callable[[Served], None]) -> Callable[[Served], None]:
        @functools.wraps(test)
        def play(served: Served) -> None:
            served.write(*volumes)
            served.serve(lambda: test(served))

        return play

    return around
