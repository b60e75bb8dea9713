"""The system calls that a replica makes on its folder, gathered so that tests can record,
fail, tear and lose them. Methods are the functions of `os` themselves: no cost per call."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tierce import punch_hole, sync_folder

_RENAME_EXCHANGE = 2


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

    def open_in(self, folder: int, name: str, flags: int) -> int:
        """Open a file of an open folder, close-on-exec, mode 0600."""
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

    def exchange_in(self, folder: int, first: str, second: str) -> None:
        """Let two files of an open folder take each other's name, at once; where the file system
        can't, `first` takes the name of `second`, whose file is gone."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Make the folder's entries durable."""
        ...

    def sync_open_folder(self, folder: int) -> None:
        """Make an open folder's entries durable."""
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
    sync_open_folder = staticmethod(os.fsync)
    punch_hole = staticmethod(punch_hole)
    sync_folder = staticmethod(sync_folder)

    @staticmethod
    def open(path: Path, flags: int) -> int:
        """Open, close-on-exec, mode 0600."""
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    @staticmethod
    def open_in(folder: int, name: str, flags: int) -> int:
        """Open a file of the folder, close-on-exec, mode 0600."""
        return os.open(name, flags | os.O_CLOEXEC, 0o600, dir_fd=folder)

    @staticmethod
    def exchange_in(folder: int, first: str, second: str) -> None:
        """renameat2 with RENAME_EXCHANGE, or else renameat."""
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 is not None:
            names = os.fsencode(first), os.fsencode(second)
            if not renameat2(folder, names[0], folder, names[1], _RENAME_EXCHANGE):
                return
            number = ctypes.get_errno()
            if number not in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOENT}:
                raise OSError(number, os.strerror(number))
        os.rename(first, second, src_dir_fd=folder, dst_dir_fd=folder)

    @staticmethod
    def duplicate(descriptor: int, onto: int) -> None:
        """Dup2, close-on-exec."""
        os.dup2(descriptor, onto, inheritable=False)
