"""Whether this machine has what a config file asks for: bytes on disks and in memory, descriptors,
and a disk for each replica. None of it is refused: what is promised need not be used at once."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from tierce.config import Config, leaves, origin_of
from tierce.descriptions import Scope
from tierce.process.descriptors import DESCRIPTOR_COUNT_MAX
from tierce.spec import MemberSpec, VolumeSpec

#: Descriptors of the supervisor beside those of its processes, and of each process.
_BASE_COUNT = 64
_PROCESS_COUNT = 2
_GIB = 1 << 30


@attrs.frozen
class Disk:
    """A file system.

    Attributes:
        number: Its number, which tells one from another.
        size_bytes: How large it is.
        place: A folder on it.
    """

    number: int
    size_bytes: int
    place: Path


def advise(config: Config, members: Mapping[str, tuple[MemberSpec, ...]]) -> Iterator[str]:
    """Yield what should be known: "FILE:LINE: sentence" each.

    Args:
        config: The config file.
        members: Of each volume.
    """
    yield from _advise_disks(config, members)
    yield from _advise_memory(config)
    yield from _advise_descriptors(config, members)


def _advise_disks(config: Config, members: Mapping[str, tuple[MemberSpec, ...]]) -> Iterator[str]:
    promised: dict[int, int] = {}
    disks: dict[int, Disk] = {}
    for volume in config.volumes:
        found = [disk for path in _folders(volume, members) if (disk := find_disk(path))]
        for disk in found:
            disks.setdefault(disk.number, disk)
            promised[disk.number] = promised.get(disk.number, 0) + volume.size_bytes
        count = len(members.get(volume.name, ()))
        numbers = [disk.number for disk in found]
        shared = max((numbers.count(one) for one in set(numbers)), default=0)
        if count > 1 and shared > 1:
            key = f"volumes.{volume.name}"
            yield (
                f"{origin_of(key, config.origins)}: {key}: {shared} of its {count} replicas lie on "
                "one file system: they survive the loss of a process, not that of the disk"
            )
    for number, size_bytes in promised.items():
        disk = disks[number]
        if size_bytes > disk.size_bytes:
            yield (
                f"{config.file}: the volumes on the file system of {disk.place} may grow to "
                f"{_amount(size_bytes)}, it has {_amount(disk.size_bytes)}: when it is full, "
                "writes are refused"
            )


def _folders(volume: VolumeSpec, members: Mapping[str, tuple[MemberSpec, ...]]) -> list[Path]:
    found = [member.folder for member in members.get(volume.name, ())]
    if found:
        return found
    return [
        Path(value)
        for _key, info, value in leaves(volume.engine_options, "")
        if info.unit in {"folder", "file"} and not Path(value).is_block_device()
    ]


def find_disk(path: Path) -> Disk | None:
    """Return the file system that a path lies on, or will; None if that can't be seen."""
    for place in (path, *path.parents):
        try:
            found = os.statvfs(place)
            return Disk(place.stat().st_dev, found.f_blocks * found.f_frsize, place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def _advise_memory(config: Config) -> Iterator[str]:
    engines = config.registry.engines
    kept = [volume for volume in config.volumes if not engines[volume.engine].durable]
    size_bytes = sum(volume.size_bytes for volume in kept)
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size_bytes > memory_bytes:
        names = ", ".join(volume.name for volume in kept)
        yield (
            f"{config.file}: volumes in memory ({names}) may grow to {_amount(size_bytes)}, this "
            f"machine has {_amount(memory_bytes)}: the kernel ends what takes more"
        )


def _advise_descriptors(
    config: Config, members: Mapping[str, tuple[MemberSpec, ...]]
) -> Iterator[str]:
    targets = len(config.volumes)
    services = sum(
        sum(section.is_for(volume.name) for volume in config.volumes)
        if section.scope is Scope.VOLUME
        else 1
        for section in config.services.values()
    )
    count = targets + sum(map(len, members.values())) + services + 2
    needed = _BASE_COUNT + _PROCESS_COUNT * count
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = DESCRIPTOR_COUNT_MAX if hard == resource.RLIM_INFINITY else hard
    if needed > most:
        yield (
            f"{config.file}: {count} processes take some {needed} descriptors, {most} may be open: "
            "the last volumes will not be served; raise the hard limit (`ulimit -Hn`; LimitNOFILE= "
            "of a systemd unit)"
        )


def _amount(size_bytes: int) -> str:
    return f"{size_bytes / _GIB:,.1f} GiB"
