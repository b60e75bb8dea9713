"""What the plugin brings, and where it is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tierce.registry import Registry, resolve

#: What a data process and the fork server import; what exporters use besides is theirs alone.
SCRIPT = """
import sys
import tierce.cli.main, tierce.node.table, tierce.server.supervisor
import tierce.supervision.fork_server as fork_server
from tierce.registry import Registry
registry = Registry.load()
for factory in fork_server.factories(registry):
    fork_server.resolve(factory)
strangers = ("http.", "opentelemetry", "grpc", "google.", "requests", "urllib3", "msgpack")
print(*(name for name in sys.modules if name.startswith(("tierce_exporters", *strangers))))
"""


@pytest.mark.parametrize("name", ["forward", "otlp", "prometheus"])
def test_the_service_can_be_started(name: str) -> None:
    description = Registry.load().services[name]
    assert callable(resolve(description.factory))


def test_no_process_but_the_exporters_own_imports_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    light = {"events", "options", "plugin"}
    assert set(done.stdout.split()) == {
        "tierce_exporters",
        *(f"tierce_exporters.{name}" for name in light),
    }
