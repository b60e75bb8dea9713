"""Making a replica's folder, and removing it: the two things that only `volume create` and `volume
delete` do."""

from __future__ import annotations

import os
from pathlib import Path

from tierce import ConflictError, FormatError
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership, Record
from tierce_jiva.file_identity import identity_of
from tierce_jiva.files import Files, OsFiles
from tierce_jiva.folder import (
    HEAD,
    LOCK,
    VOLUME,
    Identity,
    identity_to,
    read_identity,
    take_lock,
)
from tierce_jiva.record_file import RECORD, SPARE, VERSION, RecordFile, encode_record
from tierce_jiva.regions import Regions
from tierce_jiva.sealed import decode_sealed, write_sealed


def create_folder(identity: Identity, path: Path, boot_id: str, files: Files | None = None) -> None:
    """Make a new replica's folder, all zeroes, in sync with its peers that are made beside it.

    Repeating it for the same replica is success. On return the folder survives loss of power.

    Raises:
        ConflictError: The folder holds something else.
    """
    files = files or OsFiles()
    if (path / VOLUME).exists():
        found = read_identity(path)
        if (found.uuid, found.replica) != (identity.uuid, identity.replica):
            raise ConflictError(
                f"{path} holds replica {found.replica!r} of volume {found.volume!r} "
                f"({found.uuid}); choose another folder, or `tierce volume adopt` its folders"
            )
        return
    path.mkdir(parents=True, exist_ok=True)
    ours = {RECORD, SPARE, HEAD, f"{VOLUME}.new", LOCK}
    strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in ours)
    if strangers:
        raise ConflictError(f"{path} is not empty (it holds {strangers[0]!r}); choose another")
    _refuse_used(path)
    head = files.open(path / HEAD, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        files.truncate(head, identity.size_bytes)
        files.fsync(head)
        head_identity = identity_of(head)
    finally:
        files.close(head)
    membership = Membership(NO_BALLOT, 0, identity.members, identity.members)
    record = Record(NO_BALLOT, membership, boot_id, head=head_identity)
    _create_record(identity, path, record, files)
    # The identity comes last: a folder that has one is whole.
    write_sealed(files, path / VOLUME, "volume", identity_to(identity))
    files.sync_folder(path.parent)


def _create_record(identity: Identity, path: Path, record: Record, files: Files) -> None:
    regions = Regions(identity.size_bytes)
    folder = files.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        file = RecordFile(files, folder, path / RECORD)
        file.create(encode_record(record, identity.uuid, identity.replica, regions))
    finally:
        files.close(folder)


def _refuse_used(path: Path) -> None:
    """What a creation that was cut off left may be made anew; a replica that was used may not."""
    if not (path / RECORD).exists():
        return
    try:
        data = (path / RECORD).read_bytes()
        _, body = decode_sealed(data.rstrip(b" "), "record", VERSION, path / RECORD)
        is_used = Ballot.from_json(body.get("promised")) != NO_BALLOT
    except (FormatError, ValueError):
        is_used = True
    if is_used:
        raise ConflictError(
            f"{path} has been used by a replica and lacks {VOLUME}: choose another folder, or "
            "remove what lies there if nothing of it is needed"
        )


def delete_folder(path: Path, uuid: str) -> None:
    """Remove what `create_folder` made, if it is that volume's; a missing folder is success.

    Raises:
        ConflictError: It belongs to another volume, or a process has it open.
    """
    if not (path / VOLUME).exists():
        return
    found = read_identity(path)
    if found.uuid != uuid:
        raise ConflictError(
            f"{path} holds volume {found.volume!r} ({found.uuid}), not {uuid}: left alone"
        )
    files = OsFiles()
    folder = files.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        files.close(take_lock(folder, path, files))
    finally:
        files.close(folder)
    # The identity goes last, so that what a crash leaves can be deleted again.
    for name in (HEAD, RECORD, SPARE, f"{VOLUME}.new", LOCK, VOLUME):
        (path / name).unlink(missing_ok=True)
    if not any(path.iterdir()):
        path.rmdir()
