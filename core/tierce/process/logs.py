"""Log files of bounded size: NAME.log, and NAME.log.1 (the last one before) to NAME.log.4.

A log that has grown beyond its bound is put aside while its process goes on, and begins anew; the
oldest goes. So the logs of one process take 40 MiB at most, however long it runs.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

#: A log larger than this is put aside.
LOG_BYTES_MAX = 8 << 20
#: So many are kept beside the one that is written.
LOG_COUNT_KEPT = 4


def put_aside(log: Path) -> None:
    """Rename a log to NAME.log.1, that one to NAME.log.2, and so on; harmless where there is none.

    Raises:
        OSError: It can't be renamed.
    """
    for number in range(LOG_COUNT_KEPT, 0, -1):
        before = log if number == 1 else _kept(log, number - 1)
        with contextlib.suppress(FileNotFoundError):
            before.replace(_kept(log, number))


def is_full(descriptor: int) -> bool:
    """True if the log that is open there has reached its bound."""
    return os.fstat(descriptor).st_size >= LOG_BYTES_MAX


class RotatingLog:
    """A log that is written here, line by line. What can't be written, on a full or read-only disk,
    is lost and ends nobody.

    Args:
        path: NAME.log.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def write(self, lines: Iterable[str]) -> None:
        """Append lines, each with its line feed."""
        try:
            if self._file is None:
                trim(self._path)
                self._file = self._path.open("a", encoding="utf-8")
            self._file.writelines(lines)
            self._file.flush()
            if is_full(self._file.fileno()):
                self.close()
        except OSError:
            self.close()

    def close(self) -> None:
        """Close it; the next line opens it again."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


@contextlib.contextmanager
def opened_log(log: Path) -> Iterator[int]:
    """A descriptor to append to a log with. A log that can't be written is no reason not to work:
    then what is said is lost."""
    trim(log)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    try:
        descriptor = os.open(log, flags | os.O_CREAT, 0o600)
    except OSError:
        descriptor = os.open(os.devnull, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def redirect_output(log: Path) -> None:
    """Send stdout and stderr to a log; stdin reads nothing."""
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    os.close(nothing)
    with opened_log(log) as descriptor:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)


def rotate_output(log: Path) -> None:
    """Put a log aside if it is full and stderr leads to it, and go on in a new one."""
    with contextlib.suppress(OSError):
        if is_full(2) and os.path.samestat(os.fstat(2), log.stat()):
            redirect_output(log)


def trim(log: Path) -> None:
    """Put aside a log that is full, before somebody else opens it."""
    with contextlib.suppress(OSError):
        if log.stat().st_size >= LOG_BYTES_MAX:
            put_aside(log)


def _kept(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
