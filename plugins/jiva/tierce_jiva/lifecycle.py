"""A jiva volume's folders: made once, described by themselves, removed on request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce import ConflictError, FormatError, MemberSpec, VolumeSpec
from tierce_jiva.boot import boot_id
from tierce_jiva.folder import Identity, has_identity, read_identity
from tierce_jiva.making import create_folder, delete_folder
from tierce_jiva.options import JivaOptions


def _members(volume: VolumeSpec) -> tuple[MemberSpec, ...]:
    options = volume.engine_options
    assert isinstance(options, JivaOptions)
    return tuple(
        MemberSpec(f"replica-{number}", Path(replica.folder), replica.address)
        for number, replica in enumerate(options.replicas, start=1)
    )


class JivaLifecycle:
    """What the supervisor asks of the engine. Replicas are named by their place in the config:
    replica-1, replica-2, ..."""

    def create(self, volume: VolumeSpec) -> None:
        """Make a folder for each replica; if one fails, those made just now are removed again.

        Raises:
            ConflictError: A folder holds something else.
        """
        members = _members(volume)
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
                )
                is_new = not has_identity(member.folder)
                create_folder(identity, member.folder, boot_id())
                if is_new:
                    made.append(member)
        except (OSError, ConflictError, FormatError):
            for member in made:
                delete_folder(member.folder, volume.uuid)
            raise

    def delete(self, volume: VolumeSpec) -> None:
        """Remove the replicas' folders, and nothing that is not theirs."""
        for member in _members(volume):
            delete_folder(member.folder, volume.uuid)

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        """Name the replica processes."""
        return _members(volume)

    def adopt(self, folders: tuple[Path, ...]) -> Mapping[str, Any]:
        """Read a volume back from its replicas' folders, in any order.

        Raises:
            FormatError: A folder is no replica's.
            ConflictError: They belong to different volumes, two hold one replica, or some are
                missing.
        """
        if not folders:
            raise ConflictError("name the folders of the volume's replicas")
        found = {folder: read_identity(folder) for folder in folders}
        first = next(iter(found.values()))
        by_name: dict[str, Path] = {}
        for folder, identity in found.items():
            if identity.uuid != first.uuid:
                raise ConflictError(
                    f"{folder} belongs to volume {identity.volume!r}, "
                    f"{folders[0]} to {first.volume!r}: adopt one volume at a time"
                )
            if identity.replica in by_name:
                raise ConflictError(
                    f"{by_name[identity.replica]} and {folder} both hold {identity.replica}: one "
                    "is a copy of the other; leave the older out"
                )
            by_name[identity.replica] = folder
        missing = [name for name in first.members if name not in by_name]
        if missing:
            raise ConflictError(
                f"volume {first.volume!r} has replicas {', '.join(first.members)}; name the "
                f"folders of {', '.join(missing)} too"
            )
        return {
            "name": first.volume,
            "uuid": first.uuid,
            "created": first.created,
            "size": first.size_bytes,
            "block_size": first.block_size,
            "engine": "jiva",
            "options": {"replicas": [{"folder": str(by_name[n])} for n in first.members]},
        }
