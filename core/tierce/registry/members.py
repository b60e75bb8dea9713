"""What an engine's lifecycle says of a volume alone, without a look at any disk: a server asks for
it in its own process, and for nothing else."""

from __future__ import annotations

from tierce.member_lifecycle import MemberLifecycle
from tierce.registry.lifecycles import lifecycle_of
from tierce.registry.registry import Registry
from tierce.spec import MemberSpec, VolumeSpec


def members_of(registry: Registry, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
    """Name the processes that a volume needs beside its target.

    Raises:
        PluginError: Its engine's lifecycle is none, or has a bug.
    """
    return lifecycle_of(registry, volume.engine).members(volume)


def apart_of(registry: Registry, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
    """Name the members of a volume that are made, removed and read each by itself.

    Raises:
        PluginError: As `members_of`.
    """
    lifecycle = lifecycle_of(registry, volume.engine)
    return lifecycle.members(volume) if isinstance(lifecycle, MemberLifecycle) else ()


def reads_members(registry: Registry, engine: str) -> bool:
    """True if an engine reads folders one by one, and decides over what it found in all.

    Raises:
        PluginError: As `members_of`.
    """
    return isinstance(lifecycle_of(registry, engine), MemberLifecycle)


def parts_of(registry: Registry, volume: VolumeSpec) -> tuple[str, ...]:
    """Name what may be lost of a volume by itself.

    Raises:
        PluginError: As `members_of`.
    """
    return lifecycle_of(registry, volume.engine).parts(volume)
