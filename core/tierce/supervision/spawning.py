"""Starting a fork server: the one process that no other is forked from."""

from __future__ import annotations

import os
import socket
import sys

from tierce.process.logs import opened_log
from tierce.process.paths import Paths
from tierce.process.plan import Plan

#: The descriptor under which the fork server finds its control connection.
_CONTROL_FD = 3


def spawn_fork_server(plan: Plan, paths: Paths, connection: socket.socket) -> int:
    """Start a fork server in a fresh interpreter, and return its process id.

    Args:
        plan: Its plan.
        paths: Where things lie.
        connection: Its end of the control connection; it gets a copy.

    Raises:
        OSError: It can't be started.
    """
    arguments = [sys.executable, "-m", "tierce.supervision.fork_server", str(paths.data)]
    for name in plan.settings["plugins"]:
        arguments += ["--plugin", name]
    for thing in plan.settings.get("without", ()):
        arguments += ["--without", thing]
    arguments += ["--code", plan.settings["code"], "--control-fd", str(_CONTROL_FD)]
    with opened_log(paths.log(plan.name)) as output:
        return os.posix_spawn(
            sys.executable,
            arguments,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                # Last: the log may be open under that number.
                (os.POSIX_SPAWN_DUP2, connection.fileno(), _CONTROL_FD),
            ],
            setsid=True,
        )
