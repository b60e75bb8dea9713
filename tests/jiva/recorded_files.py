"""A file system that remembers what was made durable, and can lose the rest.

The calls go to real files; beside that every one is recorded. `leave(k, ...)` builds in a fresh
folder what a loss of power after the first k calls may leave: what was synced, and of the rest any
subset: writes torn at sectors of 512 bytes, new names and renames there or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs

from tierce_jiva.files import OsFiles

SECTOR = 512


@attrs.define(eq=False)
class _Inode:
    durable: bytearray = attrs.field(factory=bytearray)
    pending: list[tuple[int, bytes]] = attrs.field(factory=list)

    def left(self, keep: float, random: Random) -> bytes:
        """Return what is left: each sector of each pending write with probability `keep`."""
        data = bytearray(self.durable)
        for offset, written in self.pending:
            if offset < 0:  # A truncation to len(written).
                if random.random() < keep:
                    data = (data + bytes(len(written)))[: len(written)]
                continue
            for at in range(0, len(written), SECTOR):
                if random.random() < keep:
                    part = written[at : at + SECTOR]
                    data.extend(bytes(max(0, offset + at + len(part) - len(data))))
                    data[offset + at : offset + at + len(part)] = part
        return bytes(data)

    def sync(self) -> None:
        self.durable = bytearray(self.left(1.0, Random(0)))
        self.pending.clear()


#: What changes at once: (name, what it names from now on, the name that this had).
_Change = tuple[tuple[str, _Inode, str | None], ...]


class RecordedFiles(OsFiles):
    """Real files, recorded.

    Args:
        ignored: Names of calls whose effect on durability is not recorded, as if the code did not
            make them: "fdatasync", "fsync", "sync_folder".
    """

    def __init__(self, ignored: tuple[str, ...] = ()) -> None:
        self.ignored = ignored
        #: (call, arguments) of every change, and of every note that the test takes.
        self.log: list[tuple[str, tuple[Any, ...]]] = []
        self._names: dict[int, str] = {}
        self._folders: dict[int, Path] = {}

    def note(self, what: str, *arguments: Any) -> None:
        """Remember where in the order of calls something happened."""
        self.log.append((what, arguments))

    def open(self, path: Path, flags: int) -> int:  # type: ignore[override]
        is_new = not path.exists()
        descriptor = OsFiles.open(path, flags)
        if flags & os.O_DIRECTORY:
            self._folders[descriptor] = path
            return descriptor
        self._names[descriptor] = path.name
        if is_new:
            self.note("create", path.name)
        elif flags & os.O_TRUNC:
            self.note("truncate", path.name, 0)
        return descriptor

    def open_in(self, folder: int, name: str, flags: int) -> int:  # type: ignore[override]
        return self.open(self._folders[folder] / name, flags)

    def exchange_in(self, folder: int, first: str, second: str) -> None:  # type: ignore[override]
        there = (self._folders[folder] / second).exists()
        self.note("exchange" if there else "rename", first, second)
        OsFiles.exchange_in(folder, first, second)

    def sync_open_folder(self, folder: int) -> None:  # type: ignore[override]
        if "sync_folder" not in self.ignored:
            self.note("sync_folder", self._folders[folder].name)

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:  # type: ignore[override]
        self.note("write", self._names[descriptor], offset, bytes(data))
        return os.pwrite(descriptor, data, offset)

    def punch_hole(self, descriptor: int, offset: int, length: int) -> None:
        self.note("write", self._names[descriptor], offset, bytes(length))
        OsFiles.punch_hole(descriptor, offset, length)

    def truncate(self, descriptor: int, length: int) -> None:
        self.note("truncate", self._names[descriptor], length)
        os.ftruncate(descriptor, length)

    def fdatasync(self, descriptor: int) -> None:  # type: ignore[override]
        if "fdatasync" not in self.ignored:
            self.note("sync", self._names[descriptor])

    def fsync(self, descriptor: int) -> None:  # type: ignore[override]
        if "fsync" not in self.ignored:
            self.note("sync", self._names[descriptor])

    def replace(self, source: Path, destination: Path) -> None:  # type: ignore[override]
        self.note("rename", source.name, destination.name)
        os.replace(source, destination)

    def sync_folder(self, folder: Path) -> None:
        if "sync_folder" not in self.ignored:
            self.note("sync_folder", folder.name)

    def leave(self, count: int, folder: Path, keep: float, random: Random) -> None:
        """Build what a loss of power after `count` entries of the log may leave in `folder`."""
        names: dict[str, _Inode] = {}
        durable_names: dict[str, _Inode] = {}
        changes: list[_Change] = []
        for call, arguments in self.log[:count]:
            if call == "create":
                names[arguments[0]] = _Inode()
                changes.append(((arguments[0], names[arguments[0]], None),))
            elif call == "write":
                names[arguments[0]].pending.append(arguments[1:])
            elif call == "truncate":
                names[arguments[0]].pending.append((-1, bytes(arguments[1])))
            elif call == "sync":
                names[arguments[0]].sync()
            elif call == "rename":
                names[arguments[1]] = names.pop(arguments[0])
                changes.append(((arguments[1], names[arguments[1]], arguments[0]),))
            elif call == "exchange":
                first, second = arguments
                names[first], names[second] = names[second], names[first]
                # Both names change at once, or neither.
                changes.append(((first, names[first], None), (second, names[second], None)))
            elif call == "sync_folder" and arguments[0] == self.folder_name:
                _apply(changes, durable_names)
                changes.clear()
        _apply([change for change in changes if random.random() < keep], durable_names)
        folder.mkdir()
        for name, inode in durable_names.items():
            (folder / name).write_bytes(inode.left(keep, random))

    folder_name = "replica"


def _apply(changes: Sequence[_Change], names: dict[str, _Inode]) -> None:
    for change in changes:
        for name, inode, former in change:
            names[name] = inode
            if former is not None:
                names.pop(former, None)
