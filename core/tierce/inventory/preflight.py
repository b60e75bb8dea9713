"""What a config file asks of this machine, looked at before anything is started.

The loader sees to it that each value is right by itself. Here they are held against each other
(two things in one folder, one port twice) and against the machine: folders that are files, more
bytes than there are, more processes than may be open.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from tierce.address import Address
from tierce.config import (
    Config,
    leaves,
    located_error,
    origin_of,
    portal_sections,
)
from tierce.errors import ConfigError, explain
from tierce.inventory import capacity
from tierce.registry import blaming, resolve
from tierce.registry.members import members_of
from tierce.spec import Export, MemberSpec, VolumeSpec

#: What the server itself keeps in the data folder.
_OWN_FOLDERS = ("run", "logs", "state", "volumes")


@attrs.frozen
class Findings:
    """What was found about a config file.

    Attributes:
        general: What is wrong with the file as a whole.
        refused: What is wrong with a volume, by its name: it can't be served so.
        notes: What works and yet should be known: "FILE:LINE: sentence" each.
    """

    general: tuple[ConfigError, ...] = ()
    refused: Mapping[str, ConfigError] = attrs.field(factory=dict)
    notes: tuple[str, ...] = ()

    def check_general(self) -> None:
        """Raise the first thing that is wrong with the file as a whole."""
        for error in self.general:
            raise error

    def check_all(self) -> None:
        """Raise the first thing that is wrong."""
        self.check_general()
        for error in self.refused.values():
            raise error


@attrs.frozen
class Place:
    """A folder or file that one thing keeps its bytes in.

    Attributes:
        key: Whose it is: a key of `Config.origins`.
        path: Where it is, symbolic links followed.
        volume: The volume that it belongs to, empty if to none.
        is_folder: It is a folder; else a file, or a device.
    """

    key: str
    path: Path
    volume: str
    is_folder: bool = True


def examine(config: Config) -> Findings:
    """Look at what a config file asks for. Starts nothing and changes nothing."""
    found = _Examination(config)
    found.examine()
    return Findings(tuple(found.general), found.refused, tuple(found.notes))


class _Examination:
    """One look.

    Args:
        config: The config file.
    """

    def __init__(self, config: Config) -> None:
        self.general: list[ConfigError] = []
        self.refused: dict[str, ConfigError] = dict(config.refused)
        self.notes: list[str] = []
        self._config = config
        self._members: dict[str, tuple[MemberSpec, ...]] = {}

    def examine(self) -> None:
        """Find everything."""
        for volume in self._config.volumes:
            self._ask_lifecycle(volume)
        self._check_places()
        self._check_ports()
        for volume in self._config.volumes:
            self._advise(volume)
        self.notes += capacity.advise(self._config, self._members)

    def _wrong(self, key: str, why: str, volume: str = "") -> None:
        """Note what is wrong, of a volume the first thing only."""
        error = located_error(self._config, key, why)
        if volume:
            self.refused.setdefault(volume, error)
        else:
            self.general.append(error)

    def _ask_lifecycle(self, volume: VolumeSpec) -> None:
        """Find the volume's members."""
        try:
            self._members[volume.name] = members_of(self._config.registry, volume)
        except Exception as error:  # noqa: BLE001 - the lifecycle is the plugin's
            self._wrong(f"volumes.{volume.name}", explain(error), volume.name)

    # -- folders and files -------------------------------------------------------------------------

    def _check_places(self) -> None:
        taken: list[Place] = []
        for place in self._places():
            why = _why_not(place) or next((why for one in taken if (why := _meet(place, one))), "")
            if why:
                self._wrong(place.key, why, place.volume)
            else:
                taken.append(place)

    def _places(self) -> Iterator[Place]:
        """Yield every place that something keeps its bytes in, those of the server itself first."""
        data = Path(os.path.realpath(self._config.data_dir))
        yield Place("data_dir", data, "")
        for service, section in self._config.services.items():
            yield from _places_of(section.options, f"services.{service}", "")
        for volume in self._config.volumes:
            path = f"volumes.{volume.name}"
            found = list(_places_of(volume.engine_options, f"{path}.options", volume.name))
            if volume.store_options is not None:
                store = f"{path}.store_options"
                found += _places_of(volume.store_options, store, volume.name)
            for index, (_name, options) in enumerate(volume.filters):
                found += _places_of(options, f"{path}.filters[{index}]", volume.name)
            yield from found
            known = {place.path for place in found}
            for member in self._members.get(volume.name, ()):
                folder = Path(os.path.realpath(member.folder))
                if folder not in known:
                    yield Place(path, folder, volume.name)

    # -- ports -------------------------------------------------------------------------------------

    def _check_ports(self) -> None:
        taken: dict[int, list[tuple[str, str]]] = {}
        for key, address, volume in self._ports():
            where_to = Address.parse(address)
            port = where_to.port
            for other_key, other_host in taken.get(port, ()) if port else ():
                if _overlap(where_to.host, other_host):
                    where = origin_of(other_key, self._config.origins)
                    why = f"{address} is taken by {other_key} ({where})"
                    self._wrong(key, why, volume)
                    break
            else:
                taken.setdefault(port, []).append((key, where_to.host))

    def _ports(self) -> Iterator[tuple[str, str, str]]:
        """Yield key, address and volume of everything that listens."""
        config = self._config
        used = {one.frontend for volume in config.volumes for one in volume.exports}
        for name, options in portal_sections(config).items():
            # One that nobody names and nobody uses has defaults that nobody chose.
            if name in used or f"frontends.{name}.listen" in config.origins:
                yield from _listening(options, f"frontends.{name}")
        for name, section in config.services.items():
            yield from _listening(section.options, f"services.{name}")
        for volume in config.volumes:
            path = f"volumes.{volume.name}"
            known = set()
            for key, info, value in leaves(volume.engine_options, f"{path}.options"):
                if info.unit == "address":
                    known.add(value)
                    yield key, value, volume.name
            for member in self._members.get(volume.name, ()):
                if member.address not in known:
                    yield path, member.address, volume.name

    # -- advice ------------------------------------------------------------------------------------

    def _advise(self, volume: VolumeSpec) -> None:
        for export in volume.exports:
            self._advise_export(volume, export)

    def _advise_export(self, volume: VolumeSpec, export: Export) -> None:
        description = self._config.registry.frontends[export.frontend]
        if not description.advice:
            return
        key = f"volumes.{volume.name}"
        section = self._config.frontends[export.frontend]
        try:
            with blaming(self._config.registry, "front end", export.frontend, "advice"):
                advise = resolve(description.advice)
                assert callable(advise), "a front end's advice is a function"
                advice = advise(section, volume.name, export.options)
        except Exception as error:  # noqa: BLE001 - the function is the plugin's
            advice = f"its front end's advice failed: {explain(error)}"
        if advice:
            self.notes.append(f"{origin_of(key, self._config.origins)}: {key}: {advice}")


def _listening(options: object, path: str) -> Iterator[tuple[str, str, str]]:
    for index, address in enumerate(getattr(options, "listen", ())):
        yield f"{path}.listen[{index}]", address, ""


def _places_of(options: object, path: str, volume: str) -> Iterator[Place]:
    for key, info, value in leaves(options, path):
        if info.unit in {"folder", "file"}:
            real = Path(os.path.realpath(str(value)))
            yield Place(key, real, volume, is_folder=info.unit == "folder")


def _why_not(place: Place) -> str:
    """Say why a place can't be one; empty if it can."""
    for parent in place.path.parents:
        if os.path.lexists(parent):
            if not parent.is_dir():
                return f"{place.path} would lie in {parent}, which is no folder"
            break
    if place.is_folder and place.path.exists() and not place.path.is_dir():
        return f"{place.path} is no folder"
    if not place.is_folder and place.path.is_dir():
        return f"{place.path} is a folder; expected a file or a block device"
    return ""


def _meet(place: Place, other: Place) -> str:
    """Say how a place meets another's; empty if they don't meet."""
    path, taken = place.path, other.path
    if other.key == "data_dir":
        # Volumes may lie in the data folder, but not among what the server keeps there.
        own = next((one for one in _OWN_FOLDERS if (taken / one) in (path, *path.parents)), "")
        if own:
            return f"{path} is the server's own: data_dir/{own}"
        if path == taken:
            return f"{path} is the data folder itself; take a folder in it, or another"
        return f"{path} holds the data folder {taken}" if path in taken.parents else ""
    if path == taken:
        return f"{path} is taken by {other.key}"
    if taken in path.parents:
        return f"{path} lies in {taken}, which is taken by {other.key}"
    return f"{path} holds {taken}, which is taken by {other.key}" if path in taken.parents else ""


def _overlap(host: str, other: str) -> bool:
    """True if one machine can't listen on both with one port."""
    if host == other:
        return True
    is_v6 = ":" in host
    return is_v6 == (":" in other) and bool({host, other} & {"0.0.0.0", "::"})  # noqa: S104
