"""What the kernel does with processes for their supervisor; tests have a machine without any."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import Protocol

from tierce.libc import libc
from tierce.process.paths import Paths
from tierce.process.plan import Plan
from tierce.supervision.spawning import spawn_fork_server

#: prctl(2): orphans of our descendants become our children.
_PR_SET_CHILD_SUBREAPER = 36


class System(Protocol):
    """Starts, watches and signals processes."""

    def adopt_orphans(self) -> None:
        """From now on become the parent of what a descendant leaves behind."""

    def spawn(self, plan: Plan, paths: Paths, connection: socket.socket) -> int:
        """Start a fork server, and return its process id; it gets a copy of the connection.

        Raises:
            OSError: It can't be started.
        """
        ...

    def watch(self, pid: int) -> int:
        """Return a descriptor that is readable once the process has ended; the caller's to close.

        Raises:
            ProcessLookupError: It is gone.
            OSError: It can't be watched.
        """
        ...

    def signal(self, descriptor: int, number: signal.Signals) -> None:
        """Send a signal to a watched process; harmless where it has gone."""

    def reap(self, pid: int) -> None:
        """Take the exit status of a process that has ended, if it was ours."""


class Linux:
    """The kernel that we run on."""

    def adopt_orphans(self) -> None:
        """As System."""
        libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def spawn(self, plan: Plan, paths: Paths, connection: socket.socket) -> int:
        """As System."""
        return spawn_fork_server(plan, paths, connection)

    def watch(self, pid: int) -> int:
        """As System."""
        return os.pidfd_open(pid)

    def signal(self, descriptor: int, number: signal.Signals) -> None:
        """As System."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)

    def reap(self, pid: int) -> None:
        """As System."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
