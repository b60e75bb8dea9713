"""Letting a volume open from one replica that an operator names, whatever the others know.

For what no rule can decide: the replicas that held every acknowledged write are lost, or say less
than they did. While no process of the volume runs, a majority of the folders is made to accept a
membership of a ballot above all that they have promised, whose in-sync set is that one replica.
The next opening finds it, as it would find any other. A folder that can't be reached now comes
back as one that was away, and is compared.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from tierce import ConflictError, FormatError, MemberSpec, UsageError, VolumeSpec, explain
from tierce_jiva.ballot import Ballot, Membership, Order, Record
from tierce_jiva.boot import boot_id
from tierce_jiva.files import Files
from tierce_jiva.folder import ReplicaFolder
from tierce_jiva.stored import Stored


@attrs.frozen
class Replica:
    """One replica: where it is, and its bytes."""

    member: MemberSpec
    stored: Stored

    @property
    def name(self) -> str:
        """Its name."""
        return self.member.name

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.member.folder


def describe_loss(volume: VolumeSpec, members: tuple[Replica, ...], keep: str, files: Files) -> str:
    """Say what may be lost if the volume opens from `keep`.

    Raises:
        UsageError: No such replica is named, or it holds everything that the others know of.
        ConflictError: Its folder, or a majority of them, can't be reached.
    """
    if not keep:
        names = ", ".join(member.name for member in members)
        raise UsageError(f"say which replica is to count: --keep, one of {names}")
    if keep not in {member.name for member in members}:
        raise UsageError(f"volume {volume.name} has no replica {keep!r}")
    records, troubles = _read(volume, members, files)
    _check_reach(volume, members, keep, records, troubles)
    newest = max((record.accepted for record in records.values()), key=lambda m: m.rank)
    kept, others = records[keep], [name for name in newest.in_sync if name != keep]
    away = "".join(f" {name} can't be read: {why}." for name, why in sorted(troubles.items()))
    if keep in newest.in_sync and kept.order >= max(r.settled for r in records.values()):
        those = ", ".join(newest.in_sync)
        return (
            f"{keep} is one of those that held every acknowledged write ({those}); what the others "
            f"were sent after it was last heard of may be lost.{away}"
        )
    return (
        f"{keep} did not hold every acknowledged write when the replicas were last served: "
        f"{', '.join(others) or 'none that can be read'} did. What was written since it fell "
        f"behind, or since its folder was copied, is lost for good.{away}"
    )


def force(volume: VolumeSpec, members: tuple[Replica, ...], keep: str, files: Files) -> None:
    """Let the next opening serve from `keep`. Nothing of the volume runs.

    Raises:
        As `describe_loss`; OSError where a record can't be written.
    """
    describe_loss(volume, members, keep, files)
    with _opened(volume, members, files) as folders:
        highest = max(folder.record.promised.number for folder in folders.values())
        ballot = Ballot(max(highest + 1, time.time_ns() // 1_000_000), secrets.randbits(64))
        names = folders[keep].record.accepted.members
        (head,) = (member.stored.identify() for member in members if member.name == keep)
        membership = Membership(ballot, 1, names, (keep,))
        # The one that is kept first: the others must not know of a set whose member does not.
        for name in sorted(folders, key=lambda name: name != keep):
            folder = folders[name]
            record = folder.record.promise(ballot).accept(membership)
            if name == keep:
                record = _as_the_only_one(record, head, ballot)
            folder.save(record)


def _as_the_only_one(record: Record, head: str, ballot: Ballot) -> Record:
    order = Order(ballot, 0)
    return attrs.evolve(
        record,
        let_in_boot=boot_id(),
        order=order,
        settled=order,
        head=head,
    )


def _check_reach(
    volume: VolumeSpec,
    members: tuple[Replica, ...],
    keep: str,
    records: Mapping[str, Record],
    troubles: Mapping[str, str],
) -> None:
    if keep not in records:
        raise ConflictError(f"{keep} can't be kept: {troubles[keep]}")
    majority = len(members) // 2 + 1
    if len(records) < majority:
        raise ConflictError(
            f"volume {volume.name}: {len(records)} of {len(members)} replicas can be reached, "
            f"{majority} must: a volume that has lost more is copied from {keep} to a "
            "new one (a head file is raw); see docs/howto/operate.md"
        )


def _read(
    volume: VolumeSpec, members: tuple[Replica, ...], files: Files
) -> tuple[dict[str, Record], dict[str, str]]:
    """Return the records that can be read, and why the others can't."""
    records: dict[str, Record] = {}
    troubles: dict[str, str] = {}
    for member in members:
        try:
            folder = _open(member, files, is_locked=False)
            folder.close()
            member.stored.identify()
        except (FormatError, OSError) as error:
            troubles[member.name] = explain(error)
            continue
        if (folder.identity.uuid, folder.identity.replica) == (volume.uuid, member.name):
            records[member.name] = folder.record
        else:
            troubles[member.name] = f"{member.folder} holds another replica"
    return records, troubles


def _open(member: Replica, files: Files, *, is_locked: bool) -> ReplicaFolder:
    return ReplicaFolder(
        member.folder,
        files,
        is_locked=is_locked,
        open_record=lambda _identity: member.stored.open_record(),
    )


@contextlib.contextmanager
def _opened(
    volume: VolumeSpec, members: tuple[Replica, ...], files: Files
) -> Iterator[dict[str, ReplicaFolder]]:
    """Open and lock every folder that can be read.

    Raises:
        ConflictError: A process has one open.
    """
    found: dict[str, ReplicaFolder] = {}
    readable, _troubles = _read(volume, members, files)
    try:
        for member in members:
            if member.name in readable:
                found[member.name] = _open(member, files, is_locked=True)
        yield found
    finally:
        for folder in found.values():
            folder.close()
