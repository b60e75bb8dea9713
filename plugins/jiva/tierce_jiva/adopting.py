"""Reading a volume back from its replicas' folders, when the state has lost it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tierce import ConflictError, FormatError, RecordPlace, explain
from tierce_jiva.ballot import Membership
from tierce_jiva.folder import Identity, read_identity
from tierce_jiva.record_file import load_record, read_body
from tierce_jiva.removing import DELETED, entries


def adopt_folders(
    folders: tuple[Path, ...],
    without: tuple[str, ...],
    store: str,
    record_of: Callable[[Identity, Path], RecordPlace],
) -> Mapping[str, Any]:
    """Return the volume that these folders hold, whose replicas `without` have none any more.

    All its replicas stay its members, so that a majority of all decides as before. One whose folder
    is lost gets the name of a folder that is not there: it never votes, and is never made.

    Args:
        folders: The folders.
        without: The replicas that have none any more.
        store: What must keep their bytes.
        record_of: Opens the record of a replica in its folder.

    Raises:
        FormatError: A folder is no replica's.
        ConflictError: They belong to different volumes, two hold one replica, some are missing, or
            too few are left.
    """
    if not folders:
        raise ConflictError("name the folders of the volume's replicas")
    by_name = _by_name(folders)
    path, first = next(iter(by_name.values()))
    if first.store != store:
        raise FormatError(f"its bytes are kept by the store {first.store}, not {store}", path=path)
    _check_names(first, by_name, without)
    loss = _loss(first, by_name, record_of) if without else ""
    lost = {name: folders[0].with_name(f"{first.volume}-{name}-lost") for name in without}
    places = {name: path for name, (path, _one) in by_name.items()} | lost
    return {
        "name": first.volume,
        "uuid": first.uuid,
        "created": first.created,
        "size": first.size_bytes,
        "block_size": first.block_size,
        "options": {"replicas": [{"folder": str(places[name])} for name in first.members]},
        "loss": loss,
    }


def _by_name(folders: tuple[Path, ...]) -> dict[str, tuple[Path, Identity]]:
    """Return folder and identity of each replica, all of one volume."""
    by_name: dict[str, tuple[Path, Identity]] = {}
    for folder in folders:
        if (folder / DELETED).exists():
            found = read_identity(folder, DELETED)
            raise ConflictError(
                f"{folder} held {found.replica} of volume {found.volume!r}, which was being deleted"
            )
        if not entries(folder):
            raise ConflictError(
                f"{folder} is empty: mount its disk; if it is lost, leave the folder out and say "
                "--without and the replica's name"
            )
        found = read_identity(folder)
        if by_name:
            path, first = next(iter(by_name.values()))
            if found.uuid != first.uuid:
                raise ConflictError(
                    f"{folder} belongs to volume {found.volume!r}, {path} to "
                    f"{first.volume!r}: adopt one volume at a time"
                )
        if found.replica in by_name:
            raise ConflictError(
                f"{by_name[found.replica][0]} and {folder} both hold {found.replica}: one "
                "is a copy of the other; leave the older out"
            )
        by_name[found.replica] = (folder, found)
    return by_name


def _check_names(
    first: Identity, by_name: Mapping[str, tuple[Path, Identity]], without: tuple[str, ...]
) -> None:
    """Refuse what is neither there nor said to be lost, and what is both."""
    members = ", ".join(first.members)
    for name in without:
        if name not in first.members:
            raise ConflictError(f"volume {first.volume!r} has replicas {members}, not {name!r}")
        if name in by_name:
            raise ConflictError(f"{by_name[name][0]} holds {name}, which is said to be lost")
    missing = [name for name in first.members if name not in by_name and name not in without]
    if missing:
        words = " ".join(f"--without {name}" for name in missing)
        raise ConflictError(
            f"volume {first.volume!r} has replicas {members}; name the folders of "
            f"{', '.join(missing)} too, or say {words} if they are lost"
        )


def _loss(
    first: Identity,
    folders: Mapping[str, tuple[Path, Identity]],
    record_of: Callable[[Identity, Path], RecordPlace],
) -> str:
    """Say what may be lost with the replicas that have no folder.

    Raises:
        FormatError: A record is damaged.
        ConflictError: Too few are left for a majority.
    """
    accepted = {
        name: _accepted(folder, partial(record_of, identity, folder))
        for name, (folder, identity) in folders.items()
    }
    best = max(accepted.values(), key=lambda membership: membership.rank)
    if len(folders) < best.majority:
        raise ConflictError(
            f"volume {first.volume!r} has {len(first.members)} replicas and {len(folders)} are "
            f"left ({', '.join(sorted(folders))}): that is no majority, so that it could not open"
        )
    here = [name for name in best.in_sync if name in folders]
    lost = ", ".join(name for name in first.members if name not in folders)
    stays = f"{lost} is lost and stays a replica that is down"
    if here:
        return (
            f"{stays}. Nothing that was acknowledged is lost with it as far as the others know: "
            f"{', '.join(here)} held every acknowledged write"
        )
    return (
        f"{stays}. Only {', '.join(best.in_sync)} held every acknowledged write: what was written "
        "since the others fell behind is lost with it, and the volume does not open by itself"
    )


def _accepted(folder: Path, open_record: Callable[[], RecordPlace]) -> Membership:
    try:
        with contextlib.closing(open_record()) as place:
            _, body = read_body(load_record(place, folder), folder)
        return Membership.from_json(body["accepted"])
    except (FormatError, OSError, KeyError, ValueError) as error:
        raise FormatError(f"can't tell what it holds: {explain(error)}", path=folder) from error
