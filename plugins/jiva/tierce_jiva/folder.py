"""A replica's folder: what it is, what it has promised, where the bytes lie.

==================  ==============================================================================
file                contents
==================  ==============================================================================
``volume.json``     identity: volume, uuid, replica, members, size, chain; written once
``record.json``     `Record`: promised ballot, accepted membership, boot id, marks; replaced often
``head-000.img``    the head: a sparse file as long as the volume
``lock``            held by the replica's process, the pid inside
==================  ==============================================================================

The two JSON files are *sealed*: a first line ``tierce-jiva KIND VERSION CRC32C`` (checksum in
hex, of the rest), then the object. Replacing one is write, fsync, rename, fsync the folder. A
version newer than ours is refused.

``volume.json`` names the chain as a list, newest last: today one entry, the head; snapshots and
the checksum files beside the data go into the same list. ``record.json`` keeps marks as a
region length and the set regions: today one region as long as the volume.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from crc32c import crc32c

from tierce import ConflictError, FormatError
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership, Record
from tierce_jiva.files import Files, OsFiles, lock_file

VERSION = 1
_SEAL = "tierce-jiva"
_VOLUME = "volume.json"
_RECORD = "record.json"
_LOCK = "lock"
HEAD = "head-000.img"
#: A sealed file is a few hundred bytes; more is damage.
SEALED_BYTES_MAX = 1 << 20
_VERSION_DIGITS_MAX = 9


@attrs.frozen
class Identity:
    """Whose folder it is. Never changes.

    Attributes:
        volume: The volume's name.
        uuid: The volume's uuid.
        replica: This replica's name.
        members: All replicas' names, sorted.
        size_bytes: The volume's size in bytes.
        block_size: The volume's logical block in bytes.
        created: Seconds since the epoch.
    """

    volume: str
    uuid: str
    replica: str
    members: tuple[str, ...]
    size_bytes: int
    block_size: int
    created: float


def write_sealed(files: Files, path: Path, kind: str, body: Mapping[str, Any]) -> None:
    """Replace `path` by a sealed file. On return the new contents survive loss of power; a crash
    leaves the old or the new, never a mixture."""
    text = json.dumps(body, indent=1).encode() + b"\n"
    data = f"{_SEAL} {kind} {VERSION} {crc32c(text):08x}\n".encode() + text
    fresh = path.with_name(path.name + ".new")
    descriptor = files.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        _write_all(files, descriptor, memoryview(data))
        files.fsync(descriptor)
    finally:
        files.close(descriptor)
    files.replace(fresh, path)
    files.sync_folder(path.parent)


def read_sealed(path: Path, kind: str) -> dict[str, Any]:
    """Read what `write_sealed` wrote.

    Raises:
        FormatError: It is missing, damaged, of another kind, or newer than this version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(SEALED_BYTES_MAX + 1)
    except OSError as error:
        raise FormatError(f"can't be read: {error.strerror}", path=path) from error
    line, _, text = data.partition(b"\n")
    words = line.decode("ascii", "replace").split(" ")
    is_ours = len(words) == 4 and words[0] == _SEAL and words[1] == kind
    if not is_ours or not words[2].isdecimal() or len(words[2]) > _VERSION_DIGITS_MAX:
        raise FormatError(f"is no {kind} file of a jiva replica", path=path)
    if int(words[2]) > VERSION:
        raise FormatError(
            f"has format {words[2]}, this version reads up to {VERSION}: upgrade Tierce", path=path
        )
    if words[3] != f"{crc32c(text):08x}":
        raise FormatError(
            "is damaged: its checksum does not match. The volume goes on with its other replicas; "
            "see docs/howto/operate.md, 'When a replica's folder is lost'",
            path=path,
        )
    try:
        body = json.loads(text)
    except ValueError as error:
        raise FormatError(f"holds no JSON: {error}", path=path) from error
    if not isinstance(body, dict):
        raise FormatError("holds JSON that is no object", path=path)
    return body


def _write_all(files: Files, descriptor: int, data: memoryview) -> None:
    done = 0
    while done < len(data):
        done += files.pwrite(descriptor, data[done:], done)


class ReplicaFolder:
    """An open folder: locked, its identity known, its record read and replaced.

    Args:
        path: The folder.
        files: The file system.

    Raises:
        FormatError: It is missing or not a replica's folder.
        ConflictError: Another process has it open.
    """

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self.path = path
        self.files: Files = files or OsFiles()
        if not path.is_dir():
            raise FormatError(
                "this replica's folder is missing. If its disk is not mounted, mount it; if it is "
                "lost, the volume goes on with its other replicas; see docs/howto/operate.md",
                path=path,
            )
        self._lock = _take_lock(path, self.files)
        try:
            self.identity = read_identity(path)
            self.record = _record_from(read_sealed(path / _RECORD, "record"), path / _RECORD)
        except BaseException:
            self.files.close(self._lock)
            raise

    @property
    def head(self) -> Path:
        """The file that holds the volume's bytes."""
        return self.path / HEAD

    def save(self, record: Record) -> None:
        """Replace the record. On return it survives loss of power. Waits for the disk."""
        write_sealed(
            self.files, self.path / _RECORD, "record", _record_to(record, self.identity.size_bytes)
        )
        self.record = record

    def close(self) -> None:
        """Let the folder go."""
        self.files.close(self._lock)


def _take_lock(path: Path, files: Files) -> int:
    """Return the descriptor that holds the folder's lock.

    Raises:
        ConflictError: Another process holds it.
    """
    lock = files.open(path / _LOCK, os.O_RDWR | os.O_CREAT)
    if not lock_file(lock):
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        files.close(lock)
        raise ConflictError(f"{path}: another replica process (pid {holder}) has this folder open")
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock


def create_folder(identity: Identity, path: Path, boot_id: str, files: Files | None = None) -> None:
    """Make a new replica's folder, all zeroes, in sync with its peers that are made beside it.

    Repeating it for the same replica is success. On return the folder survives loss of power.

    Raises:
        ConflictError: The folder holds something else.
    """
    files = files or OsFiles()
    if (path / _VOLUME).exists():
        found = read_identity(path)
        if (found.uuid, found.replica) != (identity.uuid, identity.replica):
            raise ConflictError(
                f"{path} holds replica {found.replica!r} of volume {found.volume!r} "
                f"({found.uuid}); choose another folder, or `tierce volume adopt` its folders"
            )
        return
    path.mkdir(parents=True, exist_ok=True)
    ours = {_RECORD, f"{_RECORD}.new", HEAD, f"{_VOLUME}.new", _LOCK}
    strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in ours)
    if strangers:
        raise ConflictError(f"{path} is not empty (it holds {strangers[0]!r}); choose another")
    _refuse_used(path)
    head = files.open(path / HEAD, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        files.truncate(head, identity.size_bytes)
        files.fsync(head)
    finally:
        files.close(head)
    membership = Membership(NO_BALLOT, 0, identity.members, identity.members)
    record = _record_to(Record(NO_BALLOT, membership, boot_id), identity.size_bytes)
    write_sealed(files, path / _RECORD, "record", record)
    # The identity comes last: a folder that has one is whole.
    write_sealed(files, path / _VOLUME, "volume", _identity_to(identity))
    files.sync_folder(path.parent)


def _refuse_used(path: Path) -> None:
    """What a creation that was cut off left may be made anew; a replica that was used may not."""
    if not (path / _RECORD).exists():
        return
    try:
        record = _record_from(read_sealed(path / _RECORD, "record"), path / _RECORD)
        is_used = record.promised != NO_BALLOT
    except FormatError:
        is_used = True
    if is_used:
        raise ConflictError(
            f"{path} has been used by a replica and lacks {_VOLUME}: choose another folder, or "
            "remove what lies there if nothing of it is needed"
        )


def delete_folder(path: Path, uuid: str) -> None:
    """Remove what `create_folder` made, if it is that volume's; a missing folder is success.

    Raises:
        ConflictError: It belongs to another volume, or a process has it open.
    """
    if not (path / _VOLUME).exists():
        return
    found = read_identity(path)
    if found.uuid != uuid:
        raise ConflictError(
            f"{path} holds volume {found.volume!r} ({found.uuid}), not {uuid}: left alone"
        )
    files = OsFiles()
    files.close(_take_lock(path, files))
    # The identity goes last, so that what a crash leaves can be deleted again.
    for name in (HEAD, _RECORD, f"{_RECORD}.new", f"{_VOLUME}.new", _LOCK, _VOLUME):
        (path / name).unlink(missing_ok=True)
    if not any(path.iterdir()):
        path.rmdir()


def has_identity(path: Path) -> bool:
    """Return True if the folder is some replica's, whole or damaged."""
    return (path / _VOLUME).exists()


def read_identity(path: Path) -> Identity:
    """Return whose folder it is.

    Raises:
        FormatError: It is not a replica's folder, or damaged.
    """
    body = read_sealed(path / _VOLUME, "volume")
    try:
        return Identity(
            volume=str(body["volume"]),
            uuid=str(body["uuid"]),
            replica=str(body["replica"]),
            members=tuple(str(name) for name in body["members"]),
            size_bytes=int(body["size_bytes"]),
            block_size=int(body["block_size"]),
            created=float(body["created"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"lacks or has a wrong {error}", path=path / _VOLUME) from error


def _identity_to(identity: Identity) -> dict[str, Any]:
    chain = [{"file": HEAD, "kind": "head", "checksums": None}]
    return attrs.asdict(identity) | {"chain": chain}


def _record_to(record: Record, size_bytes: int) -> dict[str, Any]:
    return {
        "promised": record.promised.to_json(),
        "accepted": record.accepted.to_json(),
        "let_in_boot": record.let_in_boot,
        "marks": {"region_bytes": size_bytes, "regions": [0] if record.marked else []},
        "suspect": record.suspect,
    }


def _record_from(body: Mapping[str, Any], path: Path) -> Record:
    try:
        return Record(
            promised=Ballot.from_json(body["promised"]),
            accepted=Membership.from_json(body["accepted"]),
            let_in_boot=str(body["let_in_boot"]),
            marked=bool(body["marks"]["regions"]),
            suspect=bool(body["suspect"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"is not a record: {error}", path=path) from error
