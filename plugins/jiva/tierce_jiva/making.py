"""Making a replica's folder, which only `volume create` does."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tierce import ConflictError, TierceError, make_folder, remove_folders
from tierce_jiva.ballot import NO_BALLOT, Membership, Record
from tierce_jiva.files import Files, OsFiles
from tierce_jiva.folder import VOLUME, Identity, identity_to, read_identity
from tierce_jiva.record_file import encode_record
from tierce_jiva.regions import Regions
from tierce_jiva.removing import (
    CONTENTS,
    DELETED,
    LEVELS,
    MAKING,
    entries,
    is_used_file,
    undo_folder,
)
from tierce_jiva.sealed import write_sealed
from tierce_jiva.stored import Stored, sparse_file


def create_folder(
    identity: Identity,
    path: Path,
    boot_id: str,
    files: Files | None = None,
    stored: Stored | None = None,
) -> None:
    """Make a new replica's folder, all zeroes, in sync with its peers that are made beside it.

    Repeating it for the same replica is success. On return the folder survives loss of power; if it
    fails, nothing is left that was made for this replica.

    Args:
        identity: Whose it is.
        path: The folder.
        boot_id: Of this machine.
        files: The file system.
        stored: Its bytes; a sparse file without.

    Raises:
        ConflictError: The folder holds something else.
    """
    files = files or OsFiles()
    stored = stored or sparse_file(path, identity.size_bytes, files)
    if _is_whole(identity, path, files):
        return
    made = make_folder(path, 0o755)
    try:
        if not (path / MAKING).exists():
            body = identity_to(identity) | {LEVELS: len(made)}
            write_sealed(files, path / MAKING, "volume", body)
        _fill(identity, boot_id, stored)
        # The identity's last name comes last: a folder that has it is whole.
        files.replace(path / MAKING, path / VOLUME)
        files.sync_folder(path)
    except (OSError, TierceError):
        with contextlib.suppress(OSError, TierceError):
            undo_folder(path, identity.uuid, identity.replica, files, stored)
            remove_folders(made)
        raise


def _is_whole(identity: Identity, path: Path, files: Files) -> bool:
    """Return True if the folder is made already, False if it can be made.

    Raises:
        ConflictError: It holds something else.
    """
    for name in (VOLUME, MAKING):
        if not (path / name).exists():
            continue
        found = read_identity(path, name)
        if (found.uuid, found.replica) != (identity.uuid, identity.replica):
            raise ConflictError(
                f"{path} holds replica {found.replica!r} of volume {found.volume!r} "
                f"({found.uuid}); choose another folder, or `tierce volume adopt` its folders"
            )
        return name == VOLUME
    if not path.is_dir():
        return False
    if (path / DELETED).exists():
        found = read_identity(path, DELETED)
        raise ConflictError(
            f"{path} holds what is left of volume {found.volume!r} ({found.uuid}), which was being "
            "deleted; remove it or choose another folder"
        )
    if is_used_file(path, files):
        raise ConflictError(
            f"{path} has been used by a replica and lacks {VOLUME}: choose another folder, or "
            "remove what lies there if nothing of it is needed"
        )
    strangers = [name for name in entries(path) if name not in CONTENTS]
    if strangers:
        raise ConflictError(f"{path} is not empty (it holds {strangers[0]!r}); choose another")
    return False


def _fill(identity: Identity, boot_id: str, stored: Stored) -> None:
    stored.create()
    membership = Membership(NO_BALLOT, 0, identity.members, identity.members)
    record = Record(NO_BALLOT, membership, boot_id, head=stored.identify())
    data = encode_record(record, identity.uuid, identity.replica, Regions(identity.size_bytes))
    with contextlib.closing(stored.open_record()) as place:
        place.keep(data)
        # What takes turns with another place has the space for both now.
        place.keep(data)
