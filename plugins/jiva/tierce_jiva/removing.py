"""What a replica's folder is, and removing it, which only `volume delete` does.

The name of the identity in a folder says what it is: ``making.json`` while it is being made,
``volume.json`` when it is whole, ``deleted.json`` when it is to go. A rename turns each into the
next, so that a crash leaves the one or the other, and all of them say whose it is. The identity
goes last, so that a folder without one is lost, not deleted.
"""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Callable
from pathlib import Path

from tierce import (
    ConflictError,
    FormatError,
    RecordPlace,
    StoreChoice,
    StoreContext,
    TemporaryError,
    remove_folders,
)
from tierce_jiva.ballot import NO_BALLOT, Ballot
from tierce_jiva.files import Files
from tierce_jiva.folder import LOCK, VOLUME, read_identity, take_lock
from tierce_jiva.record_file import RECORD, SPARE, open_record_file, read_body
from tierce_jiva.sealed import read_sealed
from tierce_jiva.stored import Stored, stored_by

#: The identity of a folder that is being made.
MAKING = "making.json"
#: The identity of a folder that is to go.
DELETED = "deleted.json"
#: What else is ever in a replica's folder, beside what its store keeps there.
CONTENTS = (RECORD, SPARE, LOCK)
#: The first thing of a making, while it is written: where only that is, nothing is.
DRAFT = f"{MAKING}.new"
#: What says nothing of a folder: that draft, and what a fresh file system has in its root.
NOBODYS = frozenset({DRAFT, "lost+found"})
#: Field of an identity: how many folders the making made, this one and those above it.
LEVELS = "folders_made"


class Place(enum.Enum):
    """What lies where a replica's folder should be."""

    #: Nothing: the folder was removed, or its disk is not mounted.
    LOST = "lost"
    MAKING = MAKING
    WHOLE = VOLUME
    DELETED = DELETED


def look(path: Path, uuid: str, replica: str) -> Place:
    """Return what lies there of this replica.

    Raises:
        ConflictError: Something else does.
        FormatError: It does not say what it is, or is damaged.
    """
    if not path.is_dir() or not set(entries(path)):
        return Place.LOST
    for place in (Place.WHOLE, Place.DELETED, Place.MAKING):
        if not (path / place.value).exists():
            continue
        found = read_identity(path, place.value)
        if (found.uuid, found.replica) != (uuid, replica):
            raise ConflictError(
                f"{path} holds {found.replica} of volume {found.volume!r} ({found.uuid}), not "
                f"{replica} of {uuid}: left alone"
            )
        return place
    raise FormatError(f"is not empty and lacks {VOLUME}: left alone", path=path)


def entries(path: Path) -> list[str]:
    """Return the names in a folder that somebody put there, sorted."""
    return sorted(entry.name for entry in path.iterdir() if entry.name not in NOBODYS)


def is_used_file(path: Path, files: Files) -> bool:
    """True if a target has been there, as a folder's own file says, or if that can't be told."""
    return _is_used(lambda: open_record_file(path, files), path)


def _is_used(open_record: Callable[[], RecordPlace], path: Path) -> bool:
    try:
        with contextlib.closing(open_record()) as place:
            data = place.load()
        if data is None:
            return False
        _, body = read_body(data, path)
        return Ballot.from_json(body.get("promised")) != NO_BALLOT
    except (FormatError, ValueError):
        return True


def condemn_folder(path: Path, place: Place, files: Files) -> None:
    """Let a folder say that it is to go; durable on return, and undone by `spare_folder`.

    Raises:
        TemporaryError: A process has it open.
    """
    try:
        lock = _lock(path, files)
    except ConflictError as error:
        raise TemporaryError(str(error)) from error
    try:
        files.replace(path / place.value, path / DELETED)
        files.sync_folder(path)
    finally:
        files.close(lock)


def _lock(path: Path, files: Files) -> int:
    """Return the descriptor that holds the folder's lock; raises ConflictError if another does."""
    folder = files.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return take_lock(folder, path, files)
    finally:
        files.close(folder)


def spare_folder(path: Path, files: Files) -> None:
    """Make a folder whole again that was to go and has all its bytes; durable on return."""
    files.replace(path / DELETED, path / VOLUME)
    files.sync_folder(path)


def take_back(context: StoreContext, choice: StoreChoice | None, files: Files) -> None:
    """Make a folder whole again that is to go though its replica is started: its deletion was taken
    back while it was out of reach. One of which anything is gone stays as it is.

    Args:
        context: Whose folder it is.
        choice: What keeps its bytes.
        files: The file system.

    Raises:
        ConflictError: It is another's, or a process has it open.
        FormatError: It is damaged.
    """
    path = context.folder
    if choice is None or not (path / DELETED).exists():
        return
    if look(path, context.uuid, context.member) is not Place.DELETED:
        return
    lock = _lock(path, files)
    try:
        if has_bytes(stored_by(choice, context, files)):
            spare_folder(path, files)
    finally:
        files.close(lock)


def has_bytes(stored: Stored) -> bool:
    """True if `empty_folder` has not begun, and the store finds its bytes."""
    try:
        stored.identify()
        with contextlib.closing(stored.open_record()) as place:
            return place.load() is not None
    except FormatError:
        return False


def empty_folder(path: Path, files: Files, stored: Stored) -> None:
    """Remove everything but the identity; durable on return."""
    # First what says that the bytes are whole: their store may remove them in several steps.
    # What is damaged says nothing any more.
    with contextlib.suppress(FormatError), contextlib.closing(stored.open_record()) as place:
        place.remove()
    stored.destroy()
    for name in (*CONTENTS, DRAFT):
        (path / name).unlink(missing_ok=True)
    files.sync_folder(path)


def drop_folder(path: Path, place: Place, files: Files) -> None:
    """Remove an emptied folder's identity, and the folders that the making made; durable on
    return. What others put there stays."""
    levels = int(read_sealed(path / place.value, "volume").get(LEVELS, 0))
    (path / place.value).unlink()
    files.sync_folder(path)
    remove_folders([path, *path.parents][:levels][::-1])


def undo_folder(path: Path, uuid: str, replica: str, files: Files, stored: Stored) -> None:
    """Remove what the making of this replica made; a folder that is not its own is left alone.

    Raises:
        ConflictError: It has been used since, or a process has it open.
        FormatError: It is damaged.
    """
    try:
        place = look(path, uuid, replica)
    except ConflictError:
        return
    if place is Place.LOST:
        (path / DRAFT).unlink(missing_ok=True)
        return
    if place is not Place.MAKING and _is_used(stored.open_record, path):
        raise ConflictError(f"{path} has been used by a replica: left alone")
    files.close(_lock(path, files))
    if place is not Place.MAKING:
        # A crash in between must not leave a folder that says it is whole: the making, gone on
        # with, would take it for one.
        files.replace(path / place.value, path / MAKING)
        files.sync_folder(path)
    empty_folder(path, files, stored)
    drop_folder(path, Place.MAKING, files)
