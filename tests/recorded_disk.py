"""A folder whose system calls are recorded, and what a loss of power would leave of it.

While it records, the functions of `os` that change files and folders are wrapped: the calls go to
the real folder, and each change below it is noted. `leave(count, keep, random)` then builds, in
place of the folder, what a loss of power after the first `count` changes may leave: of a file what
was synced, of a folder the names that were synced, and of the rest each change with probability
`keep`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import attrs

from tierce_jiva.files import OsFiles


@attrs.define(eq=False)
class _File:
    data: bytes = b""
    tags: dict[str, bytes] = attrs.field(factory=dict)
    #: What is not synced yet: functions of the data, and names and values of attributes.
    changes: list[Callable[[bytearray], None]] = attrs.field(factory=list)
    tag_changes: list[tuple[str, bytes]] = attrs.field(factory=list)

    def left(self, keep: float, random: Random) -> tuple[bytes, dict[str, bytes]]:
        data, tags = bytearray(self.data), dict(self.tags)
        for change in self.changes:
            if random.random() < keep:
                change(data)
        tags |= {name: value for name, value in self.tag_changes if random.random() < keep}
        return bytes(data), tags

    def sync(self) -> None:
        self.data, self.tags = self.left(1.1, Random(0))
        self.changes.clear()
        self.tag_changes.clear()


@attrs.define(eq=False)
class _Folder:
    names: dict[str, _File | _Folder] = attrs.field(factory=dict)
    durable: dict[str, _File | _Folder] = attrs.field(factory=dict)
    changes: list[Callable[[dict[str, _File | _Folder]], None]] = attrs.field(factory=list)

    def change(self, change: Callable[[dict[str, _File | _Folder]], None]) -> None:
        change(self.names)
        self.changes.append(change)

    def left(self, keep: float, random: Random) -> dict[str, _File | _Folder]:
        names = dict(self.durable)
        for change in self.changes:
            if random.random() < keep:
                change(names)
        return names

    def sync(self) -> None:
        self.durable = dict(self.names)
        self.changes.clear()


class LateFiles(OsFiles):
    """The system calls of a replica, looked up when they are made: so that they are recorded."""

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:  # type: ignore[override]
        return os.pwrite(descriptor, data, offset)

    def truncate(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def fsync(self, descriptor: int) -> None:  # type: ignore[override]
        os.fsync(descriptor)

    def fdatasync(self, descriptor: int) -> None:  # type: ignore[override]
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def replace(self, source: Path, destination: Path) -> None:  # type: ignore[override]
        os.replace(source, destination)

    def exchange_in(self, folder: int, first: str, second: str) -> None:  # type: ignore[override]
        # As where the file system can't exchange.
        os.rename(first, second, src_dir_fd=folder, dst_dir_fd=folder)

    def sync_open_folder(self, folder: int) -> None:  # type: ignore[override]
        os.fsync(folder)


class RecordedDisk:
    """Records in a `with`.

    Args:
        root: The folder; what lies in it at the beginning is durable.
        ignored: What is not taken as done though the code does it: "fsync" (of files),
            "sync_folder".
    """

    def __init__(self, root: Path, ignored: tuple[str, ...] = ()) -> None:
        self.root = root
        self.ignored = ignored
        #: Each change as (what, arguments), and what a test noted.
        self.log: list[tuple[str, tuple[Any, ...]]] = []
        self._first = _read(root)
        self._kept: dict[str, Any] = {}

    def note(self, what: str, *arguments: Any) -> None:
        """Remember where in the order of changes something happened."""
        self.log.append((what, arguments))

    def leave(self, count: int, keep: float, random: Random) -> None:
        """Put in place of the folder what a loss of power after `count` changes may leave."""
        root = _copy(self._first)
        for what, arguments in self.log[:count]:
            if what in _APPLY:
                _APPLY[what](root, *arguments)
        shutil.rmtree(self.root)
        _build(self.root, root, keep, random)

    def states(self, keeps: tuple[float, ...], random: Random) -> Iterator[int]:
        """Leave the folder after each change in each of these ways, and yield the count."""
        for count in range(len(self.log) + 1):
            for keep in keeps:
                self.leave(count, keep, random)
                yield count

    # -- recording ---------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        for name, wrap in _WRAPPERS.items():
            self._kept[name] = getattr(os, name)
            setattr(os, name, wrap(self, self._kept[name]))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, function in self._kept.items():
            setattr(os, name, function)

    def place(self, path: Any, folder: int | None = None) -> Path | None:
        """Return where a path lies below the root, None if it does not."""
        base = Path(os.readlink(f"/proc/self/fd/{folder}")) if folder is not None else Path.cwd()
        if isinstance(path, int):
            whole = Path(os.readlink(f"/proc/self/fd/{path}"))
        else:
            whole = Path(os.path.normpath(base / os.fsdecode(path)))
        return whole.relative_to(self.root) if whole.is_relative_to(self.root) else None

    def record(self, what: str, place: Path | None, *arguments: Any) -> None:
        """Note a change below the root."""
        if place is not None:
            self.log.append((what, (place, *arguments)))


Call = Callable[..., Any]


def _wrap_open(disk: RecordedDisk, call: Call) -> Call:
    def wrapped(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> Any:
        place = disk.place(path, dir_fd)
        was_there = place is None or os.path.lexists(disk.root / place)
        descriptor = call(path, flags, mode, dir_fd=dir_fd)
        if not was_there:
            disk.record("create", place)
        elif flags & os.O_TRUNC:
            disk.record("truncate", place, 0)
        return descriptor

    return wrapped


def _wrap_pwrite(disk: RecordedDisk, call: Call) -> Call:
    def wrapped(descriptor: int, data: Any, offset: int) -> Any:
        done = call(descriptor, data, offset)
        disk.record("write", disk.place(descriptor), offset, bytes(data[:done]))
        return done

    return wrapped


def _wrap_truncate(disk: RecordedDisk, call: Call) -> Call:
    def wrapped(descriptor: int, length: int) -> None:
        call(descriptor, length)
        disk.record("truncate", disk.place(descriptor), length)

    return wrapped


def _wrap_sync(disk: RecordedDisk, call: Call) -> Call:
    def wrapped(descriptor: int) -> None:
        place = disk.place(descriptor)
        is_folder = place is not None and (disk.root / place).is_dir()
        if ("sync_folder" if is_folder else "fsync") not in disk.ignored:
            disk.record("sync", place)

    return wrapped


def _wrap_rename(disk: RecordedDisk, call: Call) -> Call:
    def wrapped(source: Any, target: Any, **folders: int | None) -> None:
        places = (
            disk.place(source, folders.get("src_dir_fd")),
            disk.place(target, folders.get("dst_dir_fd")),
        )
        call(source, target, **folders)
        disk.record("rename", *places)

    return wrapped


def _wrap_name(what: str) -> Callable[[RecordedDisk, Call], Call]:
    def wrap(disk: RecordedDisk, call: Call) -> Call:
        def wrapped(path: Any, *arguments: Any, dir_fd: int | None = None) -> None:
            place = disk.place(path, dir_fd)
            call(path, *arguments, dir_fd=dir_fd)
            disk.record(what, place)

        return wrapped

    return wrap


def _wrap_tag(disk: RecordedDisk, call: Call) -> Call:
    def wrapped(path: Any, name: str, value: bytes, *arguments: Any) -> None:
        call(path, name, value, *arguments)
        disk.record("tag", disk.place(path), name, value)

    return wrapped


_WRAPPERS: dict[str, Callable[[RecordedDisk, Call], Call]] = {
    "open": _wrap_open,
    "pwrite": _wrap_pwrite,
    "ftruncate": _wrap_truncate,
    "fsync": _wrap_sync,
    "fdatasync": _wrap_sync,
    "rename": _wrap_rename,
    "replace": _wrap_rename,
    "unlink": _wrap_name("remove"),
    "mkdir": _wrap_name("mkdir"),
    "rmdir": _wrap_name("remove"),
    "setxattr": _wrap_tag,
}


# -- playing back ----------------------------------------------------------------------------------


def _find(root: _Folder, place: Path) -> _File | _Folder:
    found: _File | _Folder = root
    for part in place.parts:
        assert isinstance(found, _Folder)
        found = found.names[part]
    return found


def _file(root: _Folder, place: Path) -> _File:
    found = _find(root, place)
    assert isinstance(found, _File)
    return found


def _folder(root: _Folder, place: Path) -> _Folder:
    found = _find(root, place)
    assert isinstance(found, _Folder)
    return found


def _add(root: _Folder, place: Path, made: _File | _Folder) -> None:
    _folder(root, place.parent).change(lambda names: names.update({place.name: made}))


def _remove(root: _Folder, place: Path) -> None:
    _folder(root, place.parent).change(lambda names: _drop(names, place.name))


def _drop(names: dict[str, _File | _Folder], name: str) -> None:
    names.pop(name, None)


def _rename(root: _Folder, source: Path, target: Path) -> None:
    assert source.parent == target.parent, "renames stay in their folder"
    moved = _find(root, source)

    def change(names: dict[str, _File | _Folder]) -> None:
        names.pop(source.name, None)
        names[target.name] = moved

    _folder(root, source.parent).change(change)


def _write(root: _Folder, place: Path, offset: int, data: bytes) -> None:
    def change(whole: bytearray) -> None:
        whole.extend(bytes(max(0, offset + len(data) - len(whole))))
        whole[offset : offset + len(data)] = data

    _file(root, place).changes.append(change)


def _truncate(root: _Folder, place: Path, length: int) -> None:
    def change(whole: bytearray) -> None:
        whole.extend(bytes(max(0, length - len(whole))))
        del whole[length:]

    _file(root, place).changes.append(change)


_APPLY: dict[str, Callable[..., None]] = {
    "create": lambda root, place: _add(root, place, _File()),
    "mkdir": lambda root, place: _add(root, place, _Folder()),
    "remove": _remove,
    "rename": _rename,
    "write": _write,
    "truncate": _truncate,
    "sync": lambda root, place: _find(root, place).sync(),
    "tag": lambda root, place, *tag: _file(root, place).tag_changes.append(tag),
}


def _read(path: Path) -> _Folder:
    folder = _Folder()
    for entry in path.iterdir():
        if entry.is_dir():
            folder.names[entry.name] = _read(entry)
        else:
            tags = {name: os.getxattr(entry, name) for name in os.listxattr(entry)}
            folder.names[entry.name] = _File(entry.read_bytes(), tags)
    folder.sync()
    return folder


def _copy(folder: _Folder) -> _Folder:
    names: dict[str, _File | _Folder] = {
        name: _copy(one) if isinstance(one, _Folder) else _File(one.data, dict(one.tags))
        for name, one in folder.names.items()
    }
    return _Folder(names, dict(names))


def _build(path: Path, folder: _Folder, keep: float, random: Random) -> None:
    path.mkdir()
    for name, one in folder.left(keep, random).items():
        if isinstance(one, _Folder):
            _build(path / name, one, keep, random)
            continue
        data, tags = one.left(keep, random)
        # What was only made longer stays a hole.
        (path / name).write_bytes(data if any(data) else b"")
        os.truncate(path / name, len(data))
        for tag, value in tags.items():
            os.setxattr(path / name, tag, value)
