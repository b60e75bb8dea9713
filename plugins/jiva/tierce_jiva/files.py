"""The system calls that a replica makes on its folder, gathered so that tests can record,
fail, tear and lose them. Methods are the functions of `os` themselves: no cost per call."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tierce import punch_hole


class Files(Protocol):
    """What the folder and the store ask of a file system. Semantics are those of `os`."""

    @property
    def pwrite(self) -> Callable[[int, memoryview, int], int]:
        """As os.pwrite."""
        ...

    def open(self, path: Path, flags: int) -> int:
        """As os.open, close-on-exec, mode 0600."""
        ...

    def close(self, descriptor: int) -> None:
        """As os.close."""
        ...

    def duplicate(self, descriptor: int, onto: int) -> None:
        """As os.dup2, close-on-exec: `onto` names what `descriptor` names, at once."""
        ...

    def preadv(
        self, descriptor: int, buffers: Sequence[memoryview], offset: int, flags: int = 0
    ) -> int:
        """As os.preadv."""
        ...

    def punch_hole(self, descriptor: int, offset: int, length: int) -> None:
        """Make the extent a hole that reads as zeroes."""
        ...

    def truncate(self, descriptor: int, length: int) -> None:
        """As os.ftruncate."""
        ...

    def fdatasync(self, descriptor: int) -> None:
        """As os.fdatasync."""
        ...

    def fsync(self, descriptor: int) -> None:
        """As os.fsync."""
        ...

    def replace(self, source: Path, destination: Path) -> None:
        """As os.replace."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Make the folder's entries durable."""
        ...


class OsFiles:
    """The real thing."""

    pwrite = staticmethod(os.pwrite)
    close = staticmethod(os.close)
    preadv = staticmethod(os.preadv)
    truncate = staticmethod(os.ftruncate)
    fdatasync = staticmethod(os.fdatasync)
    fsync = staticmethod(os.fsync)
    replace = staticmethod(os.replace)
    punch_hole = staticmethod(punch_hole)

    @staticmethod
    def open(path: Path, flags: int) -> int:
        """Open, close-on-exec, mode 0600."""
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    @staticmethod
    def duplicate(descriptor: int, onto: int) -> None:
        """Dup2, close-on-exec."""
        os.dup2(descriptor, onto, inheritable=False)

    @staticmethod
    def sync_folder(folder: Path) -> None:
        """Fsync the folder."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def lock_file(descriptor: int) -> bool:
    """Take an exclusive lock that dies with the process; False if another one holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True
