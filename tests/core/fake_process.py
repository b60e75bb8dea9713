"""A process that is not there, as its role sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tierce import Event
from tierce.process.managing import Manager
from tierce.process.paths import Paths
from tierce.process.plan import Plan


class FakeProcess:
    """What a role sees of its process."""

    def __init__(self, reactor: Any, folder: Path, plan: Plan) -> None:
        self.reactor = reactor
        self.paths = Paths(folder)
        self.paths.make()
        self.plan = plan
        self.boot_id = "boot"
        self.events: list[Event] = []
        self.is_closed = False
        self.exit_code: int | None = None
        self.facts: dict[str, Any] = {}
        self.manager = Manager(plan.name, reactor, self.emit, lambda _error: None)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    log = emit

    def show(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    def end(self, code: int) -> None:
        self.exit_code = code

    def close(self) -> None:
        self.is_closed = True
