"""Every error that Tierce raises on purpose. Any other exception is a bug.

::

    TierceError
    ├── UsageError            the caller asked for what can't be; change the call
    │   └── ConfigError       the config file is wrong; carries file and line
    ├── PluginError           a plugin is broken or missing; carries plugin and package
    ├── ProtocolError         a peer sent what its protocol forbids; ends one connection
    ├── DeviceError           the medium failed; carries a Status
    ├── FormatError           something on disk is not what it should be; carries the path
    ├── TemporaryError        try again; carries the delay
    └── ConflictError         something else holds it (lock, port, name); carries the holder

    OSError
    └── UnreadableError       a store can't read some of what was asked; carries the extents

`exit_code` is what the CLI ends with (docs/reference/exit-codes.md).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from tierce.block.status import Status

#: What orders a terminal to do something, or the text around to run the other way: C0 but for line
#: feed and tab, DEL, C1, and Unicode's bidirectional controls.
_ORDERS = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(code) not in "\n\t"
}


class TierceError(Exception):
    """The root. Its message says what, where, and what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(TierceError):
    """The caller asked for what can't be: an unknown volume, a bad size, a taken name."""

    exit_code: ClassVar[int] = 2


class ConfigError(UsageError):
    """The config file is wrong, at one place.

    Args:
        message: What is wrong there, what was expected, the nearest valid name.
        file: The file's path as the user gave it.
        line: 1-based line, 0 where the whole file is meant.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, file: str, line: int = 0) -> None:
        super().__init__(f"{file}:{line}: {message}" if line else f"{file}: {message}")
        self.file = file
        self.line = line


class PluginError(TierceError):
    """A plugin can't be used.

    Args:
        message: Why, and what to do.
        plugin: Its entry-point name.
        package: The distribution that it came from, empty if unknown.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, plugin: str, package: str = "") -> None:
        origin = f"plugin {plugin!r}" + (f" (package {package})" if package else "")
        super().__init__(f"{origin}: {message}")
        self.why = message
        self.plugin = plugin
        self.package = package


class ProtocolError(TierceError):
    """A peer sent what its protocol forbids. At worst it ends that peer's connection."""


class DeviceError(TierceError):
    """The medium failed. `status` is what the initiator is told.

    Raises:
        ValueError: The status is good: who raises has not done what was asked.
    """

    def __init__(self, status: Status) -> None:
        if status.is_good:
            raise ValueError("a DeviceError needs a status that says what failed")
        super().__init__(status.reason or status.code.value)
        self.status = status


class FormatError(TierceError):
    """A file of ours is damaged, foreign, or of a newer format than this version reads."""

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


class TemporaryError(TierceError):
    """It may work later.

    Args:
        message: What is missing now.
        delay_s: When to try again, in seconds.
    """

    exit_code: ClassVar[int] = 6

    def __init__(self, message: str, *, delay_s: float = 1.0) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class ConflictError(TierceError):
    """Something else holds it: a lock, a port, a name. The message names the holder."""

    exit_code: ClassVar[int] = 7


class UnreadableError(OSError):
    """Some of what a store was asked to read can't be read, and it knows what.

    Args:
        extents: Offset and length of each, in bytes; what was not asked for is passed over. None
            may be left out.
        reason: What is wrong with them.
    """

    def __init__(self, extents: Iterable[tuple[int, int]], reason: str) -> None:
        super().__init__(errno.EIO, reason)
        self.extents = tuple(extents)


def harmless(text: str) -> str:
    """Return a text for a terminal: what a stranger said in it (a peer, a file's name) gives the
    terminal no orders, and does not turn round what stands beside it."""
    return text.translate(_ORDERS)


def explain(error: BaseException) -> str:
    """Return an error in the words of a message: an error of ours as it is, one of the system with
    its file and without its number, any other (a bug, ours or a plugin's) with its kind, on one
    line."""
    if isinstance(error, TierceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        files = (error.filename, error.filename2)
        named = [os.fsdecode(one) for one in files if isinstance(one, str | bytes | os.PathLike)]
        return ": ".join([" to ".join(named), error.strerror] if named else [error.strerror])
    return ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
