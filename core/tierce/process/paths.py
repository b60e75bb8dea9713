"""Where things lie under a data folder, and how to reach a socket with a long path.

| path | what |
|---|---|
| serve.lock | held by the one `tierce serve` of this data folder |
| state/ | the state (tierce.state.store) |
| logs/NAME.log | what process NAME says, one JSON object a line; NAME.log.1 is the one before |
| volumes/VOLUME/ | what an engine keeps where its options name no other place |
| volumes/VOLUME/frontend.NAME/ | what the front end NAME keeps over restarts of the target |
| run/NAME.lock, run/NAME.sock | process NAME is alive, and here it listens |
| run/NAME.ended | why process NAME must not be started again |
| run/policies.json | the policy documents and their volumes, until their process has read it |
| run/policies.set | the live options that policy documents set |
| run/NAME.service | the socket that a service publishes under NAME |
| run/NAME.service-lock | held by the process that publishes NAME |
| run/service.NAME.place | which event service NAME was given last |
| run/policies.now | which document is being evaluated |
| run/VOLUME.stats | the statistics page of a volume's target |
| run/VOLUME.traces | the I/Os that it has written down one by one |
| run/VOLUME.MEMBER.stats, run/VOLUME.MEMBER.address | a member's page, and where it listens |

Process names: `serve`, `template`, `portal`, `target.VOLUME`, `member.VOLUME.MEMBER`,
`service.NAME`, `service.NAME.VOLUME`, `policies`, `work.NUMBER`. A volume's name has no dot, so
they can't meet.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import attrs

from tierce.durable import make_folder
from tierce.errors import ConflictError, UsageError, explain
from tierce.unix_socket import listen_at_path


@attrs.frozen
class Paths:
    """The paths under one data folder.

    Attributes:
        data: The data folder, absolute.
    """

    data: Path

    @property
    def run(self) -> Path:
        """What is only of use while processes run. Losing it loses no data."""
        return self.data / "run"

    @property
    def logs(self) -> Path:
        """The processes' logs."""
        return self.data / "logs"

    @property
    def state(self) -> Path:
        """The state's lmdb environment."""
        return self.data / "state"

    @property
    def serve_lock(self) -> Path:
        """The lock of `tierce serve`."""
        return self.data / "serve.lock"

    @property
    def policies(self) -> Path:
        """What the policy handlers are to look at, until they have read it."""
        return self.run / "policies.json"

    @property
    def policy_under_way(self) -> Path:
        """Names the document that is being evaluated: what ends the process is known by it."""
        return self.run / "policies.now"

    @property
    def policy_settings(self) -> Path:
        """What the policy documents set, as they have last said it."""
        return self.run / "policies.set"

    def volume(self, name: str) -> Path:
        """Return a volume's own folder."""
        return self.data / "volumes" / name

    def lock(self, process: str) -> Path:
        """Return a process's lock file."""
        return self.run / f"{process}.lock"

    def socket(self, process: str) -> Path:
        """Return a process's control socket."""
        return self.run / f"{process}.sock"

    def ended(self, process: str) -> Path:
        """Return the file that says why a process must stay down."""
        return self.run / f"{process}.ended"

    def why_ended(self, process: str) -> str:
        """Return why a process must stay down; empty if it need not."""
        try:
            return self.ended(process).read_text(errors="replace")
        except OSError:
            return ""

    def log(self, process: str) -> Path:
        """Return a process's log."""
        return self.logs / f"{process}.log"

    def page(self, volume: str, member: str = "") -> Path:
        """Return the statistics page of a target or of a member."""
        return self.run / (f"{volume}.{member}.stats" if member else f"{volume}.stats")

    def traces(self, volume: str) -> Path:
        """Return the ring of the I/Os of a volume that were written down one by one."""
        return self.run / f"{volume}.traces"

    def address(self, volume: str, member: str) -> Path:
        """Return the file in which a member says where it listens."""
        return self.run / f"{volume}.{member}.address"

    def published(self, name: str) -> Path:
        """Return the socket that a service publishes under a name."""
        return self.run / f"{name}.service"

    def published_lock(self, name: str) -> Path:
        """Return the lock of a published name."""
        return self.run / f"{name}.service-lock"

    def trace_places(self, process: str) -> Path:
        """Return the file that says which traces a service was given last."""
        return self.run / f"{process}.trace-places"

    def place(self, process: str) -> Path:
        """Return the file that says which event a service was given last."""
        return self.run / f"{process}.place"

    def make(self) -> None:
        """Make the folders, for this user alone.

        Raises:
            UsageError: They can't be made there.
        """
        try:
            make_folder(self.data, 0o755)
            for folder in (self.run, self.logs):
                make_folder(folder)
        except OSError as error:
            raise UsageError(f"data folder {self.data} can't be made: {explain(error)}") from error
        if not os.access(self.data, os.R_OK | os.W_OK | os.X_OK):
            is_read_only = os.statvfs(self.data).f_flag & os.ST_RDONLY
            why = "its file system is read-only" if is_read_only else "not by this user"
            raise UsageError(f"data folder {self.data} can't be written: {why}")


def listen(path: Path) -> socket.socket:
    """Listen on a Unix SOCK_SEQPACKET socket at `path`, in place of a dead process's."""
    return listen_at_path(path, socket.SOCK_SEQPACKET)


def connect(path: Path) -> socket.socket:
    """Connect to the control socket at `path`. The socket is non-blocking.

    Raises:
        ConflictError: Nobody listens there.
    """
    try:
        node = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise ConflictError(f"nobody listens at {path} ({error.strerror})") from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        connection.connect(f"/proc/self/fd/{node}")
    except OSError as error:
        connection.close()
        raise ConflictError(f"nobody listens at {path} ({error.strerror})") from error
    finally:
        os.close(node)
    return connection


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` in place of what `path` holds, at once as readers see it.

    Not durable: for files under run/, which mean nothing after a restart of the machine.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    scratch.rename(path)
