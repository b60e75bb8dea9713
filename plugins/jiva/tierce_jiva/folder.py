"""A replica's folder: what it is, what it has promised, where the bytes lie.

==================  ==============================================================================
file                contents
==================  ==============================================================================
``volume.json``     identity: volume, uuid, replica, members, size, chain; written once
``record.json``     `Record`: promised ballot, accepted membership, boot id, marks; replaced often
``head-000.img``    the head: a sparse file as long as the volume
``lock``            held by the replica's process, the pid inside
==================  ==============================================================================

The two JSON files are sealed (`sealed.py`).

``volume.json`` names the chain as a list, newest last: today one entry, the head; snapshots and
the checksum files beside the data go into the same list. ``record.json`` keeps marks as a
region length and the set regions: today one region as long as the volume.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce import ConflictError, FormatError
from tierce_jiva.ballot import Ballot, Membership, Record
from tierce_jiva.files import Files, OsFiles, lock_file
from tierce_jiva.sealed import read_sealed, write_sealed

VOLUME = "volume.json"
RECORD = "record.json"
LOCK = "lock"
HEAD = "head-000.img"


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
        self._lock = take_lock(path, self.files)
        try:
            self.identity = read_identity(path)
            self.record = record_from(read_sealed(path / RECORD, "record"), path / RECORD)
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
            self.files, self.path / RECORD, "record", record_to(record, self.identity.size_bytes)
        )
        self.record = record

    def close(self) -> None:
        """Let the folder go."""
        self.files.close(self._lock)


def take_lock(path: Path, files: Files) -> int:
    """Return the descriptor that holds the folder's lock.

    Raises:
        ConflictError: Another process holds it.
    """
    lock = files.open(path / LOCK, os.O_RDWR | os.O_CREAT)
    if not lock_file(lock):
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        files.close(lock)
        raise ConflictError(f"{path}: another replica process (pid {holder}) has this folder open")
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock


def has_identity(path: Path) -> bool:
    """Return True if the folder is some replica's, whole or damaged."""
    return (path / VOLUME).exists()


def read_identity(path: Path, name: str = VOLUME) -> Identity:
    """Return whose folder it is, as its file of that name says.

    Raises:
        FormatError: It is not a replica's folder, or damaged.
    """
    body = read_sealed(path / name, "volume")
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
        raise FormatError(f"lacks or has a wrong {error}", path=path / name) from error


def identity_to(identity: Identity) -> dict[str, Any]:
    """Return what `volume.json` holds."""
    chain = [{"file": HEAD, "kind": "head", "checksums": None}]
    return attrs.asdict(identity) | {"chain": chain}


def record_to(record: Record, size_bytes: int) -> dict[str, Any]:
    """Return what `record.json` holds."""
    return {
        "promised": record.promised.to_json(),
        "accepted": record.accepted.to_json(),
        "let_in_boot": record.let_in_boot,
        "marks": {"region_bytes": size_bytes, "regions": [0] if record.marked else []},
        "suspect": record.suspect,
    }


def record_from(body: Mapping[str, Any], path: Path) -> Record:
    """Read what `record_to` returned.

    Raises:
        FormatError: It is something else; `path` is named.
    """
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
