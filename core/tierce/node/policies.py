"""A short-lived process that hands policy documents to their handlers.

It is run when policies or volumes have changed. What the handlers return is recorded as events;
a handler that raises is reported and keeps no other from its work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tierce.errors import explain
from tierce.node.control import Command
from tierce.node.process import Process
from tierce.node.settings import load_policy_options
from tierce.registry import Registry, resolve
from tierce.spec import Event


def start_policies(process: Process, registry: Registry) -> PoliciesProcess:
    """Run every document's handler, then end."""
    documents = json.loads(process.layout.policies.read_bytes())
    # It may hold secrets.
    process.layout.policies.unlink()
    for document in documents:
        _apply(process, registry, document)
    process.reactor.call_soon(process.close)
    return PoliciesProcess()


class PoliciesProcess:
    """Nothing is left to do once it has started."""

    commands: Mapping[str, Command] = {}

    def close(self, closed: Callable[[], None]) -> None:
        """Be done."""
        closed()


def _apply(process: Process, registry: Registry, document: Mapping[str, Any]) -> None:
    kind, name = str(document["kind"]), str(document["name"])
    try:
        options = load_policy_options(registry, kind, document["parameters"])
        handler = resolve(registry.policy_handlers[kind].factory)
        assert callable(handler), "a policy handler's factory is a function"
        for event in handler(options, document["volumes"]):
            process.emit(event)
    except Exception as error:  # noqa: BLE001 - a plugin's handler must not end the others
        process.emit(
            Event("policy.failed", f"policy {name}: {explain(error)}", f"policy/{name}", "error")
        )
