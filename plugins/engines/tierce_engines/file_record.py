"""Whose a file is: the record of its making, and what tells one disk from another.

The record lies in the volume's own folder. A regular file carries the volume's uuid in an extended
attribute besides, where its file system has those, so that a file that was moved is known again and
one that was put in its place is not taken for it. A block device is known by what the kernel says
of it (a serial number, a world-wide name), if that is anything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Any

import attrs

from tierce import ConflictError, FormatError, LocalVolume, read_sealed, write_sealed

NAME = "file.json"
VERSION = 1
_KIND = "file"
#: The attribute that holds the volume's uuid.
TAG = "user.tierce.volume"
_NO_TAGS = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.EACCES})
#: Where the kernel says what a block device is.
_SYSFS = Path("/sys/dev/block")
_SYSFS_NAMES = ("dm/uuid", "wwid", "device/wwid", "device/serial", "loop/backing_file")


@attrs.frozen
class FileRecord:
    """What was made for a volume, or taken as it was.

    Attributes:
        uuid: The volume's uuid.
        path: The file or device.
        is_made: The file was made with the volume, and goes with it.
        folders_made: How many folders were made for it, its own and those above.
        disk: What the kernel says of a block device; empty for a file, or if it says nothing.
        is_deleted: The volume is to go.
    """

    uuid: str
    path: str
    is_made: bool
    folders_made: int = 0
    disk: str = ""
    is_deleted: bool = False


def has_record(folder: Path) -> bool:
    """True if there is a record, whole or damaged."""
    return (folder / NAME).exists()


def read_record(folder: Path) -> FileRecord:
    """Return the record in a volume's own folder, whosever it is.

    Raises:
        FormatError: It is missing or damaged.
    """
    path = folder / NAME
    body = read_sealed(path, _KIND, VERSION)
    try:
        return FileRecord(
            uuid=str(body["uuid"]),
            path=str(body["path"]),
            is_made=bool(body["is_made"]),
            folders_made=int(body["folders_made"]),
            disk=str(body["disk"]),
            is_deleted=bool(body["is_deleted"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"lacks or has a wrong {error}", path=path) from error


def record_of(volume: LocalVolume) -> FileRecord:
    """Return the record of a volume's making.

    Raises:
        FormatError: It is missing or damaged, or another volume's.
    """
    record = read_record(volume.folder)
    if record.uuid != volume.uuid:
        raise FormatError(
            f"is of a volume {record.uuid}, not of {volume.uuid}", path=volume.folder / NAME
        )
    return record


def write_record(folder: Path, record: FileRecord) -> None:
    """Put the record in place of the one before; durable on return."""
    body: dict[str, Any] = attrs.asdict(record)
    write_sealed(folder / NAME, _KIND, VERSION, body)


def tag(descriptor: int, uuid: str) -> bool:
    """Let a file carry the volume's uuid; return False if its file system can't."""
    try:
        os.setxattr(descriptor, TAG, uuid.encode())
    except OSError as error:
        if error.errno in _NO_TAGS:
            return False
        raise
    return True


def tag_of(descriptor: int) -> str:
    """Return the uuid that a file carries, empty if it carries none."""
    try:
        return os.getxattr(descriptor, TAG).decode("ascii", "replace")
    except OSError as error:
        if error.errno in _NO_TAGS:
            return ""
        raise


def untag(path: Path, uuid: str) -> None:
    """Take the uuid from a file that carries it."""
    with contextlib.suppress(OSError):
        if os.getxattr(path, TAG) == uuid.encode():
            os.removexattr(path, TAG)


def disk_of(descriptor: int, sysfs: Path = _SYSFS) -> str:
    """Return what the kernel says of an open block device, empty if it says nothing."""
    number = os.fstat(descriptor).st_rdev
    place = sysfs / f"{os.major(number)}:{os.minor(number)}"
    for name in _SYSFS_NAMES:
        try:
            said = (place / name).read_text(errors="replace").strip()
        except OSError:
            continue
        if said:
            return f"{name}={said}"
    return ""


def check_same(volume: LocalVolume, record: FileRecord, path: Path, descriptor: int) -> None:
    """Refuse what is not the disk that the volume was made on.

    Args:
        volume: The volume.
        record: The record of its making.
        path: What its options name now.
        descriptor: That, open.

    Raises:
        ConflictError: It is another one.
    """
    is_device = stat.S_ISBLK(os.fstat(descriptor).st_mode)
    mine = record.disk if is_device else record.uuid
    found = disk_of(descriptor) if is_device else tag_of(descriptor)
    if found and found == mine:
        return
    if found and mine:
        raise ConflictError(
            f"volume {volume.name}: {path} is another one than it was made on: it says {found}, "
            f"expected {mine}"
        )
    if str(path) != record.path:
        raise ConflictError(
            f"volume {volume.name} was made on {record.path}, and nothing says that {path} is the "
            f"same: say {record.path}"
        )
