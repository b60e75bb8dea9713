"""A jiva volume's folders: made once, described by themselves, removed on request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tierce import (
    ConflictError,
    FormatError,
    Lifecycle,
    MemberSpec,
    RecordPlace,
    StoreChoice,
    StoreContext,
    TemporaryError,
    TierceError,
    UsageError,
    VolumeSpec,
)
from tierce_jiva.adopting import adopt_folders
from tierce_jiva.boot import boot_id
from tierce_jiva.files import Files, OsFiles
from tierce_jiva.folder import Identity, has_identity
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


class JivaLifecycle(Lifecycle):
    """What the supervisor asks of the engine. Replicas are named by their place in the config:
    replica-1, replica-2, ...

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

    def create(self, volume: VolumeSpec) -> None:
        """Make a folder for each replica; if one fails, those made just now are removed again.

        Raises:
            ConflictError: A folder holds something else.
        """
        members = self.members(volume)
        made: list[MemberSpec] = []
        names = tuple(member.name for member in members)
        try:
            for member in members:
                identity = Identity(
                    volume=volume.name,
                    uuid=volume.uuid,
                    replica=member.name,
                    members=names,
                    size_bytes=volume.size_bytes,
                    block_size=volume.block_size,
                    created=volume.created,
                    store=self._stored(volume, member).store,
                )
                is_new = not has_identity(member.folder)
                stored = self._stored(volume, member)
                create_folder(identity, member.folder, boot_id(), self._files, stored)
                if is_new:
                    made.append(member)
        except (OSError, TierceError):
            for member in made:
                self._undo(volume, member)
            raise

    def delete(self, volume: VolumeSpec) -> None:
        """Remove the folders of a creation that is given up, and nothing that is not theirs."""
        for member in self.members(volume):
            self._undo(volume, member)

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

    def condemn(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        """Let every folder say that it is to go, or none."""
        found = list(self._look(volume, without))
        lost = [member for member, place in found if place is Place.LOST]
        if lost:
            raise TemporaryError(_describe_lost(volume, lost))
        for member, place in found:
            if place is not Place.DELETED:
                condemn_folder(member.folder, place, self._files)

    def spare(self, volume: VolumeSpec) -> None:
        """Make the folders whole again.

        Raises:
            UsageError: Bytes of one are gone.
        """
        for member in self.members(volume):
            try:
                place = look(member.folder, volume.uuid, member.name)
            except TierceError:
                # What `condemn` did not touch.
                continue
            if place is Place.DELETED:
                if not has_bytes(self._stored(volume, member)):
                    raise UsageError(f"volume {volume.name}: the bytes of {member.name} are gone")
                spare_folder(member.folder, self._files)

    def empty(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        """Remove the bytes of the folders that are to go."""
        found = list(self._look(volume, without))
        for member, place in found:
            if place is Place.DELETED:
                empty_folder(member.folder, self._files, self._stored(volume, member))
        lost = [member for member, place in found if place is not Place.DELETED]
        if lost:
            raise TemporaryError(_describe_lost(volume, lost))

    def tidy(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        """Remove the folders that are empty now."""
        for member, place in self._look(volume, without):
            if place is Place.DELETED:
                drop_folder(member.folder, place, self._files)

    def adopt(self, folders: tuple[Path, ...], without: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """Read a volume back from its replicas' folders, in any order.

        Raises:
            FormatError: A folder is no replica's.
            ConflictError: They belong to different volumes, two hold one replica, or some are
                missing.
        """
        store = self._store.name if self._store else SPARSE_FILE
        return adopt_folders(folders, without, store, self._record_of)

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

    def _undo(self, volume: VolumeSpec, member: MemberSpec) -> None:
        stored = self._stored(volume, member)
        undo_folder(member.folder, volume.uuid, member.name, self._files, stored)

    def _is_moved(self, volume: VolumeSpec, old: MemberSpec, new: MemberSpec) -> bool:
        """True if the new folder holds the replica, or neither does: what is lost has no place."""
        try:
            place = look(new.folder, volume.uuid, new.name)
            return place is Place.WHOLE or (
                place is Place.LOST and look(old.folder, volume.uuid, old.name) is Place.LOST
            )
        except TierceError:
            return False

    def _look(
        self, volume: VolumeSpec, without: tuple[str, ...]
    ) -> Iterator[tuple[MemberSpec, Place]]:
        """Say of each replica that is to go what lies in its folder.

        Raises:
            ConflictError: A folder holds something else, or is damaged.
        """
        for member in self.members(volume):
            if member.name in without:
                continue
            try:
                yield member, look(member.folder, volume.uuid, member.name)
            except (ConflictError, FormatError) as error:
                raise ConflictError(f"{member.name}: {error}. {_rest(volume, [member])}") from error


def _describe_lost(volume: VolumeSpec, lost: list[MemberSpec]) -> str:
    folders = ", ".join(f"{member.name} in {member.folder}" for member in lost)
    return f"nothing is found of {folders}: mount its disk. If it is lost: {_rest(volume, lost)}"


def _rest(volume: VolumeSpec, members: list[MemberSpec]) -> str:
    words = " ".join(f"--without {member.name}" for member in members)
    return f"`tierce volume delete {volume.name} {words}` deletes the rest"
