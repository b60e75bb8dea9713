"""The fork server: what it holds, and what it forks."""

from __future__ import annotations

import subprocess
import sys

from tierce.process.plan import fork_server_plan
from tierce.registry import Registry
from tierce.supervision.fork_server import factories

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
    assert fork_server_plan(("b", "a")) == fork_server_plan(("a", "b"))
    assert fork_server_plan(("a",)).digest != fork_server_plan(("a", "b")).digest


def test_it_warms_what_runs_in_data_processes() -> None:
    registry = Registry.load()
    named = set(factories(registry))
    for engine in registry.engines.values():
        assert not engine.factory or engine.factory in named
    for frontend in registry.frontends.values():
        assert {frontend.factory, frontend.router} <= named
        assert frontend.usage not in named
