"""What the plugin brings, and where it is imported."""

from __future__ import annotations

import subprocess
import sys

from tierce.registry import Registry, resolve

#: What a data process and the fork server import, and what a service that serves HTTP does.
SCRIPT = """
import sys
import tierce.cli.main, tierce.node.table, tierce.server.supervisor
import tierce.supervision.fork_server as fork_server
from tierce.registry import Registry
registry = Registry.load()
for factory in fork_server.factories(registry):
    fork_server.resolve(factory)
print(*(name for name in sys.modules if name.startswith(("tierce_exporters", "http."))))
"""


def test_the_service_can_be_started() -> None:
    description = Registry.load().services["prometheus"]
    assert callable(resolve(description.factory))


def test_no_process_but_the_exporters_own_imports_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    light = {"tierce_exporters", "tierce_exporters.options", "tierce_exporters.plugin"}
    assert set(done.stdout.split()) == light
