"""Lock files: one holder at a time, who says inside who it is.

A lock is a flock on a file that stays for ever: unlinking it would let two processes hold two
files of one name. The kernel lets go of the lock when its holder dies, however it dies; what the
file says is therefore only believed while somebody holds the lock.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.errors import ConflictError
from tierce.locking import lock_file

#: A prober takes the lock shared for an instant, so a refusal counts only when it repeats.
ATTEMPT_COUNT = 5
ATTEMPT_PAUSE_S = 0.02
#: What a lock file says is read up to here.
NOTE_BYTES_MAX = 64 << 10


@attrs.frozen
class Holder:
    """Who holds a lock.

    Attributes:
        pid: Its process.
        note: What it wrote into the file when it took the lock.
    """

    pid: int
    note: dict[str, Any]


@attrs.define
class Lock:
    """A lock that this process holds until `release` or its end.

    Attributes:
        path: The file.
        descriptor: The open file that carries the flock. A forked child shares it and must close
            it at once.
    """

    path: Path
    descriptor: int

    def release(self) -> None:
        """Let go of it. The file stays."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def acquire(path: Path, note: Mapping[str, Any], *, what: str) -> Lock:
    """Take the lock at `path`, or refuse.

    Args:
        path: The file; made if absent.
        note: JSON values about this process; its pid is added.
        what: What the lock stands for, for the message: "data folder /var/lib/tierce".

    Raises:
        ConflictError: Another process holds it; the message names it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path, what)
        data = json.dumps({**note, "pid": os.getpid()}).encode()
        assert len(data) <= NOTE_BYTES_MAX, "a lock's note is a few names"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, data, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return Lock(path, descriptor)


def find_holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path`, None if nobody does or the file is absent."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if lock_file(descriptor, is_shared=True) else _read_holder(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, what: str) -> None:
    for attempt in range(ATTEMPT_COUNT):
        if lock_file(descriptor):
            return
        if attempt + 1 < ATTEMPT_COUNT:
            time.sleep(ATTEMPT_PAUSE_S)
    holder = _read_holder(descriptor)
    raise ConflictError(
        f"{what} is held by process {holder.pid}{_command(holder.pid)} (lock {path}); "
        "stop that one first"
    )


def _read_holder(descriptor: int) -> Holder:
    """Read the note; one that is being written just now reads as empty."""
    try:
        note = json.loads(os.pread(descriptor, NOTE_BYTES_MAX, 0))
    except ValueError:
        note = {}
    if not isinstance(note, dict):
        note = {}
    pid = note.get("pid")
    return Holder(pid if isinstance(pid, int) else 0, note)


def _command(pid: int) -> str:
    """Return " (its command line)" of a process, empty if it can't be read."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return f" ({b' '.join(words).decode(errors='replace')[:120]})"
