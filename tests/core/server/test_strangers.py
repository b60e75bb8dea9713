"""Strangers' services and policies, loaded as they lie in `tests/strangers`, without a server."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from core.fake_process import FakeProcess
from tierce.node.policies import PoliciesProcess
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.registry import Registry

STRANGERS = Path(__file__).parents[2] / "strangers"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    plugins = []
    for name in ("blobs", "ledger", "metronome"):
        module = f"tierce_{name}"
        spec = importlib.util.spec_from_file_location(module, STRANGERS / name / f"{module}.py")
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, module, loaded)
        spec.loader.exec_module(loaded)
        plugins.append((name, loaded, module))
    built = Registry.build(plugins)
    assert [one.reason for one in built.plugins] == ["", "", ""]
    return built


def test_a_handler_has_its_action_every_second_whatever_the_documents_beside_it_do(
    reactor: Any, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long for a handler that works, however busy the machine is; waited for once, by the one that
    # hangs.
    monkeypatch.setattr("tierce.node.policies.TIME_BOX_S", 0.5)
    process = FakeProcess(reactor, tmp_path, Plan("policies", Role.POLICIES))
    documents: list[dict[str, Any]] = [
        {"kind": "beat", "name": how or "good", "parameters": {"how": how}, "volumes": {"demo": {}}}
        for how in ("hang", "raise", "")
    ]
    process.paths.policies.write_text(json.dumps(documents))
    asked: list[tuple[dict[str, Any], float]] = []

    def ask(message: dict[str, Any], answered: Callable[[dict[str, Any]], None]) -> None:
        asked.append((message, reactor.now()))
        answered({"ok": {"count": len(asked)}})

    PoliciesProcess(cast("Process", process), registry, ask, reactor.now)
    reactor.turn()
    first = reactor.now()
    for _second in range(4):
        reactor.advance(1)
    assert [at - first for _, at in asked] == [0, 1, 2, 3, 4]
    assert {message["volume"] for message, _ in asked} == {"demo"}
    assert asked[0][0]["arguments"] == {"name": f"good-{first:.1f}"}
    failed = [event.subject for event in process.events if event.code == "policy.failed"]
    assert failed == ["policy/hang", "policy/raise"]
