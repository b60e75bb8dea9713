"""Reading a volume back from its replicas' folders, when the state has lost it: each folder is read
by itself, maybe on another machine, and what they say is put together without a look at any."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce import ConflictError, Finding, FormatError, RecordPlace, explain
from tierce_jiva.ballot import Membership
from tierce_jiva.folder import Identity, identity_of_values, read_identity
from tierce_jiva.record_file import load_record, read_body
from tierce_jiva.removing import DELETED, entries


@attrs.frozen
class _Found:
    """What one folder says.

    Attributes:
        folder: The folder.
        identity: Whose it is.
        accepted: The membership that it has accepted last; None if that can't be told.
        trouble: Why not.
    """

    folder: Path
    identity: Identity
    accepted: Membership | None
    trouble: str


def read_folder(
    folder: Path, store: str, record_of: Callable[[Identity, Path], RecordPlace]
) -> Mapping[str, Any]:
    """Return what a folder says of the replica that it holds, as JSON values for `adopt_found`.

    Args:
        folder: The folder.
        store: What must keep its bytes.
        record_of: Opens the record of a replica in its folder.

    Raises:
        FormatError: It is no replica's, or another store keeps its bytes.
        ConflictError: It is empty, or was being deleted.
    """
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
    identity = read_identity(folder)
    if identity.store != store:
        raise FormatError(
            f"its bytes are kept by the store {identity.store}, not {store}", path=folder
        )
    values: dict[str, Any] = {"identity": attrs.asdict(identity), "accepted": None, "trouble": ""}
    # Asked for only where a replica is lost: what can't be read keeps nothing else from being.
    try:
        with contextlib.closing(record_of(identity, folder)) as place:
            _, body = read_body(load_record(place, folder), folder)
        values["accepted"] = Membership.from_json(body["accepted"]).to_json()
    except (FormatError, OSError, KeyError, ValueError) as error:
        values["trouble"] = explain(error)
    return values


def adopt_found(findings: tuple[Finding, ...], without: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the volume of which these folders were found, whose replicas `without` have none any
    more.

    All its replicas stay its members, so that a majority of all decides as before. One whose folder
    is lost gets the name of a folder that is not there: it never votes, and is never made.

    Args:
        findings: What `read_folder` has returned, of each folder.
        without: The replicas that have none any more.

    Raises:
        FormatError: What is needed of a folder can't be read.
        ConflictError: They belong to different volumes, two hold one replica, some are missing, or
            too few are left.
    """
    if not findings:
        raise ConflictError("name the folders of the volume's replicas")
    by_name = _by_name([_found(finding) for finding in findings])
    first = next(iter(by_name.values())).identity
    _check_names(first, by_name, without)
    loss = _loss(first, by_name) if without else ""
    beside = findings[0].folder
    lost = {name: beside.with_name(f"{first.volume}-{name}-lost") for name in without}
    places = {name: found.folder for name, found in by_name.items()} | lost
    return {
        "name": first.volume,
        "uuid": first.uuid,
        "created": first.created,
        "size": first.size_bytes,
        "block_size": first.block_size,
        "options": {"replicas": [{"folder": str(places[name])} for name in first.members]},
        "loss": loss,
    }


def _found(finding: Finding) -> _Found:
    values = finding.found
    accepted = values["accepted"]
    return _Found(
        finding.folder,
        identity_of_values(values["identity"]),
        None if accepted is None else Membership.from_json(accepted),
        str(values["trouble"]),
    )


def _by_name(findings: list[_Found]) -> dict[str, _Found]:
    """Return what was found of each replica, all of one volume."""
    by_name: dict[str, _Found] = {}
    first = findings[0]
    for one in findings:
        if one.identity.uuid != first.identity.uuid:
            raise ConflictError(
                f"{one.folder} belongs to volume {one.identity.volume!r}, {first.folder} to "
                f"{first.identity.volume!r}: adopt one volume at a time"
            )
        name = one.identity.replica
        if name in by_name:
            raise ConflictError(
                f"{by_name[name].folder} and {one.folder} both hold {name}: one is a copy of the "
                "other; leave the older out"
            )
        by_name[name] = one
    return by_name


def _check_names(first: Identity, by_name: Mapping[str, _Found], without: tuple[str, ...]) -> None:
    """Refuse what is neither there nor said to be lost, and what is both."""
    members = ", ".join(first.members)
    for name in without:
        if name not in first.members:
            raise ConflictError(f"volume {first.volume!r} has replicas {members}, not {name!r}")
        if name in by_name:
            raise ConflictError(f"{by_name[name].folder} holds {name}, which is said to be lost")
    missing = [name for name in first.members if name not in by_name and name not in without]
    if missing:
        words = " ".join(f"--without {name}" for name in missing)
        raise ConflictError(
            f"volume {first.volume!r} has replicas {members}; name the folders of "
            f"{', '.join(missing)} too, or say {words} if they are lost"
        )


def _loss(first: Identity, by_name: Mapping[str, _Found]) -> str:
    """Say what may be lost with the replicas that have no folder.

    Raises:
        FormatError: A record is damaged.
        ConflictError: Too few are left for a majority.
    """
    accepted = [_accepted(found) for found in by_name.values()]
    best = max(accepted, key=lambda membership: membership.rank)
    if len(by_name) < best.majority:
        raise ConflictError(
            f"volume {first.volume!r} has {len(first.members)} replicas and {len(by_name)} are "
            f"left ({', '.join(sorted(by_name))}): that is no majority, so that it could not open"
        )
    here = [name for name in best.in_sync if name in by_name]
    lost = ", ".join(name for name in first.members if name not in by_name)
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


def _accepted(found: _Found) -> Membership:
    if found.accepted is None:
        raise FormatError(f"can't tell what it holds: {found.trouble}", path=found.folder)
    return found.accepted
