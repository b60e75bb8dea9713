"""A jiva volume's folders: each made once, described by itself, removed on request, apart from the
others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce import (
    ConflictError,
    Finding,
    FormatError,
    MemberLifecycle,
    MemberSpec,
    RecordPlace,
    StoreChoice,
    StoreContext,
    TemporaryError,
    TierceError,
    UsageError,
    VolumeSpec,
)
from tierce_jiva.adopting import adopt_found, read_folder
from tierce_jiva.boot import boot_id
from tierce_jiva.files import Files, OsFiles
from tierce_jiva.folder import Identity
from tierce_jiva.forcing import Replica, describe_loss, force
from tierce_jiva.making import create_folder
from tierce_jiva.options import JivaOptions
from tierce_jiva.record_file import open_record_file
from tierce_jiva.removing import (
    Place,
    condemn_folder,
    drop_folder,
    empty_folder,
    has_bytes,
    look,
    spare_folder,
    undo_folder,
)
from tierce_jiva.store import SPARSE_FILE
from tierce_jiva.stored import Stored, sparse_file, stored_by


class JivaLifecycle(MemberLifecycle):
    """What core asks of the engine beside the I/O path. Replicas are named by their place in the
    config: replica-1, replica-2, ...

    Args:
        store: What keeps the replicas' bytes; sparse files without.
        files: The file system.
    """

    def __init__(self, store: StoreChoice | None = None, files: Files | None = None) -> None:
        self._store = store
        self._files = files or OsFiles()

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        """Name the replica processes."""
        options = volume.engine_options
        assert isinstance(options, JivaOptions)
        return tuple(
            MemberSpec(f"replica-{number}", Path(replica.folder), replica.address)
            for number, replica in enumerate(options.replicas, start=1)
        )

    def create_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Make the replica's folder.

        Raises:
            ConflictError: It holds something else.
        """
        stored = self._stored(volume, member)
        identity = Identity(
            volume=volume.name,
            uuid=volume.uuid,
            replica=member.name,
            members=tuple(one.name for one in self.members(volume)),
            size_bytes=volume.size_bytes,
            block_size=volume.block_size,
            created=volume.created,
            store=stored.store,
        )
        create_folder(identity, member.folder, boot_id(), self._files, stored)

    def delete_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Remove the folder of a creation that is given up, and nothing that is not its own."""
        stored = self._stored(volume, member)
        undo_folder(member.folder, volume.uuid, member.name, self._files, stored)

    def check_change(self, before: VolumeSpec, now: VolumeSpec) -> None:
        """Refuse other replicas, and folders that don't hold them.

        Raises:
            ConflictError: The options don't name this volume's replicas.
        """
        was, wanted = self.members(before), self.members(now)
        if len(was) != len(wanted):
            raise ConflictError(
                f"volume {now.name} was made with {len(was)} replicas, `replicas:` names "
                f"{len(wanted)}; this can't be changed"
            )
        for old, new in zip(was, wanted, strict=True):
            if old.folder != new.folder and not self._is_moved(now, old, new):
                raise ConflictError(
                    f"volume {now.name}: {new.name} lies in {old.folder}, and {new.folder} does "
                    f"not hold it: say {old.folder}, or move the folder there first"
                )

    def condemn_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Let the folder say that it is to go."""
        place = _look(volume, member)
        if place is Place.LOST:
            raise TemporaryError(_describe_lost(volume, member))
        if place is not Place.DELETED:
            condemn_folder(member.folder, place, self._files)

    def spare_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Make the folder whole again.

        Raises:
            UsageError: Bytes of it are gone.
        """
        try:
            place = look(member.folder, volume.uuid, member.name)
        except TierceError:
            # What `condemn_member` did not touch.
            return
        if place is Place.DELETED:
            if not has_bytes(self._stored(volume, member)):
                raise UsageError(f"volume {volume.name}: the bytes of {member.name} are gone")
            spare_folder(member.folder, self._files)

    def empty_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Remove the bytes of the folder that is to go."""
        if _look(volume, member) is not Place.DELETED:
            raise TemporaryError(_describe_lost(volume, member))
        empty_folder(member.folder, self._files, self._stored(volume, member))

    def tidy_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Remove the folder that is empty now."""
        place = _look(volume, member)
        if place is Place.DELETED:
            drop_folder(member.folder, place, self._files)

    def adopt_member(self, folder: Path) -> Mapping[str, Any]:
        """Read whose folder it is, and which membership it has accepted last.

        Raises:
            FormatError: It is no replica's, or another store keeps its bytes.
            ConflictError: It is empty, or was being deleted.
        """
        store = self._store.name if self._store else SPARSE_FILE
        return read_folder(folder, store, self._record_of)

    def adopt_found(
        self, findings: tuple[Finding, ...], without: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """Put a volume together from what its replicas' folders say, in any order.

        Raises:
            ConflictError: They belong to different volumes, two hold one replica, or some are
                missing.
        """
        return adopt_found(findings, without)

    def loss(self, volume: VolumeSpec, keep: str) -> str:
        """Say what may be lost if the volume opens from the replica `keep`, whatever the others
        know.

        Raises:
            UsageError: No replica, or none of this volume, is named.
            ConflictError: It can't be reached, or too few can.
        """
        return describe_loss(volume, self._replicas(volume), keep, self._files)

    def accept_loss(self, volume: VolumeSpec, keep: str) -> None:
        """Let the next opening serve from the replica `keep` alone; the others are copied from
        it."""
        force(volume, self._replicas(volume), keep, self._files)

    # -- inside ------------------------------------------------------------------------------------

    def _stored(self, volume: VolumeSpec, member: MemberSpec) -> Stored:
        if self._store is None:
            return sparse_file(member.folder, volume.size_bytes, self._files)
        context = StoreContext(
            options=volume.store_options,
            folder=member.folder,
            size_bytes=volume.size_bytes,
            block_size=volume.block_size,
            uuid=volume.uuid,
            member=member.name,
        )
        return stored_by(self._store, context, self._files)

    def _record_of(self, identity: Identity, folder: Path) -> RecordPlace:
        """Open the record of a replica of which nothing but its folder is known."""
        if self._store is None:
            return open_record_file(folder, self._files)
        context = StoreContext(
            options=self._store.options(),
            folder=folder,
            size_bytes=identity.size_bytes,
            block_size=identity.block_size,
            uuid=identity.uuid,
            member=identity.replica,
        )
        return stored_by(self._store, context, self._files).open_record()

    def _replicas(self, volume: VolumeSpec) -> tuple[Replica, ...]:
        return tuple(
            Replica(member, self._stored(volume, member)) for member in self.members(volume)
        )

    def _is_moved(self, volume: VolumeSpec, old: MemberSpec, new: MemberSpec) -> bool:
        """True if the new folder holds the replica, or neither does: what is lost has no place."""
        try:
            place = look(new.folder, volume.uuid, new.name)
            return place is Place.WHOLE or (
                place is Place.LOST and look(old.folder, volume.uuid, old.name) is Place.LOST
            )
        except TierceError:
            return False


def _look(volume: VolumeSpec, member: MemberSpec) -> Place:
    """Return what lies in the folder of a replica that is to go.

    Raises:
        ConflictError: It holds something else, or is damaged.
    """
    try:
        return look(member.folder, volume.uuid, member.name)
    except (ConflictError, FormatError) as error:
        raise ConflictError(f"{error}. {_rest(volume, member)}") from error


def _describe_lost(volume: VolumeSpec, member: MemberSpec) -> str:
    folder = member.folder
    return f"nothing is found in {folder}: mount its disk. If it is lost: {_rest(volume, member)}"


def _rest(volume: VolumeSpec, member: MemberSpec) -> str:
    return f"`tierce volume delete {volume.name} --without {member.name}` deletes the rest"
