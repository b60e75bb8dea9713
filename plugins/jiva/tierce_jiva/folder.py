"""A replica's folder: what it is, what it has promised, where the bytes lie.

==================  ==============================================================================
file                contents
==================  ==============================================================================
``volume.json``     identity: volume, uuid, replica, members, size, chain; written once
``record.json``     `Record`: promised ballot, accepted membership, boot id, marks; replaced often;
                    not there if the store keeps it
``head-000.img``    the head, if the store is `sparse-file`: as long as the volume
``lock``            held by the replica's process, the pid inside
==================  ==============================================================================

The two JSON files are sealed (`sealed.py`).

``volume.json`` names the store, which owns the bytes and the files that they lie in; without a name
it is `sparse-file`. For that one it names the chain as a list, newest last: today one entry, the
head; snapshots and the checksum files beside the data go into the same list. ``record.json`` and
its spare,
``record.json.new``, are told in `record_file.py`.

A folder that is open is known by its descriptor: whatever its path leads to meanwhile, lock,
record and head are those of one folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce import ConflictError, FormatError, RecordPlace, Store, lock_file
from tierce_jiva.ballot import Record
from tierce_jiva.files import Files, OsFiles
from tierce_jiva.record_file import (
    RECORD,
    RecordFile,
    decode_record,
    encode_record,
    load_record,
)
from tierce_jiva.regions import Regions
from tierce_jiva.sealed import read_sealed
from tierce_jiva.store import HEAD, SPARSE_FILE

VOLUME = "volume.json"
LOCK = "lock"


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
        store: What keeps the bytes.
    """

    volume: str
    uuid: str
    replica: str
    members: tuple[str, ...]
    size_bytes: int
    block_size: int
    created: float
    store: str = SPARSE_FILE


def no_other_place(_identity: Identity) -> RecordPlace | None:
    """The record lies in the folder itself."""
    return None


class ReplicaFolder:
    """An open folder: locked, its identity known, its record read and replaced.

    Args:
        path: The folder.
        files: The file system.
        is_locked: Take its lock; without, it is only looked at.
        open_record: Returns where the store keeps the record, if it does; raises what keeps the
            folder from being opened. None: the record is opened later, by `load`.

    Raises:
        FormatError: It is missing or not a replica's folder.
        ConflictError: Another process has it open.
    """

    def __init__(
        self,
        path: Path,
        files: Files | None = None,
        *,
        is_locked: bool = True,
        open_record: Callable[[Identity], RecordPlace | None] | None = no_other_place,
    ) -> None:
        self.path = path
        self.files: Files = files or OsFiles()
        if not path.is_dir():
            raise FormatError(
                "this replica's folder is missing. If its disk is not mounted, mount it; if it is "
                "lost, the volume goes on with its other replicas; see docs/howto/operate.md",
                path=path,
            )
        self._folder = self.files.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._lock = -1
        self._place: RecordPlace | None = None
        self.record: Record
        try:
            if is_locked:
                self._lock = take_lock(self._folder, path, self.files)
            self.identity = read_identity(path)
            self.regions = Regions(self.identity.size_bytes)
            if open_record is not None:
                self.load(open_record(self.identity))
        except BaseException:
            self.close()
            raise

    def load(self, found: RecordPlace | None) -> None:
        """Open the record and read it.

        Args:
            found: Where the store keeps it; None if the folder does.

        Raises:
            FormatError: It is missing or damaged.
        """
        self._place = found or self._open_file()
        where = self.path if found else self.path / RECORD
        identity = self.identity
        data = load_record(self._place, where)
        self.record = decode_record(data, identity.uuid, identity.replica, self.regions, where)

    def _open_file(self) -> RecordFile:
        # By the descriptor: it is the very folder that is locked.
        folder = self.files.open_in(self._folder, ".", os.O_RDONLY | os.O_DIRECTORY)
        return RecordFile(self.files, folder, self.path / RECORD)

    def is_at_path(self) -> bool:
        """True if the path still leads to the folder that is open."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._folder))
        except OSError:
            return False

    def save(self, record: Record) -> None:
        """Replace the record. On return it survives loss of power. Waits for the disk.

        Raises:
            OSError: The medium failed.
        """
        identity = self.identity
        assert self._place is not None
        self._place.keep(encode_record(record, identity.uuid, identity.replica, self.regions))
        self.record = record

    def let_go(self, store: Store | None) -> None:
        """Close the store that was opened in it, if one was, then the folder. Until a store's
        opening is over its folder stays locked, at the longest until the process is gone: what
        opens it may still be at it."""
        if store is not None:
            store.close()
        self.close()

    def close(self) -> None:
        """Let the folder go."""
        if self._place is not None:
            self._place.close()
            self._place = None
        for descriptor in (self._lock, self._folder):
            if descriptor >= 0:
                self.files.close(descriptor)
        self._lock = self._folder = -1


def take_lock(folder: int, path: Path, files: Files) -> int:
    """Return the descriptor that holds an open folder's lock.

    Args:
        folder: Its descriptor.
        path: Its path, for errors.
        files: The file system.

    Raises:
        ConflictError: Another process holds it.
    """
    lock = files.open_in(folder, LOCK, os.O_RDWR | os.O_CREAT)
    if not lock_file(lock):
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        files.close(lock)
        raise ConflictError(f"{path}: another replica process (pid {holder}) has this folder open")
    pid = b"%d\n" % os.getpid()
    # Over what the last one left, so that a full disk keeps nobody out.
    with contextlib.suppress(OSError):
        os.pwrite(lock, pid.ljust(os.fstat(lock).st_size), 0)
    return lock


def read_identity(path: Path, name: str = VOLUME) -> Identity:
    """Return whose folder it is, as its file of that name says.

    Raises:
        FormatError: It is not a replica's folder, or damaged.
    """
    body = read_sealed(path / name, "volume")
    try:
        return identity_of_values(body)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"lacks or has a wrong {error}", path=path / name) from error


def identity_of_values(body: Mapping[str, Any]) -> Identity:
    """Return whose folder it is, from values as a folder's file has them.

    Raises:
        KeyError, TypeError or ValueError: One is missing, or is none.
    """
    return Identity(
        volume=str(body["volume"]),
        uuid=str(body["uuid"]),
        replica=str(body["replica"]),
        members=tuple(str(name) for name in body["members"]),
        size_bytes=int(body["size_bytes"]),
        block_size=int(body["block_size"]),
        created=float(body["created"]),
        store=str(body.get("store", SPARSE_FILE)),
    )


def identity_to(identity: Identity) -> dict[str, Any]:
    """Return what `volume.json` holds."""
    chain = []
    if identity.store == SPARSE_FILE:
        chain = [{"file": HEAD, "kind": "head", "checksums": None}]
    return attrs.asdict(identity) | {"chain": chain}
