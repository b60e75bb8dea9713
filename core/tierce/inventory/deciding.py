"""What is to be done with each volume when a config file is read: decided here, done elsewhere.

A reload does it, `tierce config diff` only tells it; both decide by the same functions.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from tierce.config import Config, origin_of
from tierce.errors import TemporaryError, explain
from tierce.inventory.changes import check_change, check_identity
from tierce.inventory.engines import Engines, Served
from tierce.inventory.errands import Errand
from tierce.inventory.making import has_secrets, to_keep
from tierce.spec import NO_UUID, VolumeSpec
from tierce.state import Owner, Phase, VolumeRecord


class Step(enum.Enum):
    """What is done with a volume that the config file names."""

    MAKE = "make it"
    #: It is being deleted; the file decides, while it can.
    TAKE_BACK = "take it back"
    #: A crash cut its making off.
    RESUME = "go on making it"
    SERVE = "serve it"


def decide(
    config: Config,
    engines: Engines,
    volume: VolumeSpec,
    record: VolumeRecord | None,
    refused: Exception | None = None,
) -> Errand[Step]:
    """Say what is to be done with a volume that the file names.

    Args:
        config: The config file.
        engines: The engines.
        volume: The volume as the file wants it.
        record: What the state says of it.
        refused: What was found wrong with it already.

    Raises:
        ConfigError: It can't be as the file wants it.
        ConflictError: Its options name something else than what was made.
        TemporaryError: Bytes of it are gone.
    """
    if refused is not None:
        raise refused
    if record is None:
        return Step.MAKE
    if record.phase is Phase.CREATING:
        return Step.RESUME
    if record.phase.is_removal and record.phase is not Phase.DELETING:
        origin = origin_of(f"volumes.{volume.name}", config.origins)
        raise TemporaryError(
            f"{origin} names it, but it is being deleted and bytes of it are gone: reload when "
            "`tierce volume list` no longer shows it, and it is made anew"
        )
    if record.phase.is_removal:
        return Step.TAKE_BACK
    yield from check_change(config, engines, record, volume)
    return Step.SERVE


def owned_by_file(config: Config, volume: VolumeSpec, record: VolumeRecord) -> VolumeRecord:
    """Return what the state is to say of a volume that the file names."""
    origin = origin_of(f"volumes.{volume.name}", config.origins)
    return attrs.evolve(
        record, owner=Owner.FILE, mapping=to_keep(volume, Owner.FILE), origin=origin
    )


def with_old_settings(
    config: Config,
    engines: Engines,
    record: VolumeRecord | None,
    served: Mapping[str, Served],
) -> Served | None:
    """Return a volume as the state knows it, whose new settings are refused; None if it can't be
    served so."""
    if record is None or record.phase is not Phase.READY:
        return None
    try:
        volume = engines.parse(record)
        check_identity(config, volume, [one.volume for one in served.values()])
        # The state keeps no secrets of the file's: without them it is another volume.
        return None if has_secrets(volume) else engines.serve(volume, record)
    except Exception:  # noqa: BLE001 - that its new settings are refused is what is told
        return None


@attrs.define
class Foreseen:
    """What would be served by a config file; shaped as the inventory is for planning.

    Attributes:
        config: The config file.
        served: The volumes that would be served, by name.
        refused: Why volumes can't be served as the file says, in words, by name.
        made: The volumes that would be made.
    """

    config: Config
    served: dict[str, Served] = attrs.field(factory=dict)
    refused: dict[str, str] = attrs.field(factory=dict)
    made: set[str] = attrs.field(factory=set)

    def refuse(
        self,
        name: str,
        error: Exception,
        now: Served | None,
        engines: Engines,
        record: VolumeRecord | None,
    ) -> None:
        """Note that a volume keeps the settings that it has, if it has any."""
        self.refused[name] = explain(error)
        kept = now or with_old_settings(self.config, engines, record, self.served)
        if kept is not None:
            self.served[name] = kept


def lacking(config: Config, volume: VolumeSpec) -> str:
    """Name what a volume needs and no plugin of a config file brings; empty if it has all."""
    registry = config.registry
    parts: list[tuple[str, str, Mapping[str, Any]]] = [("engine", volume.engine, registry.engines)]
    parts += [("filter", name, registry.filters) for name, _options in volume.filters]
    parts += [("front end", one.frontend, config.frontends) for one in volume.exports]
    return next(
        (f"the {family} {name!r}" for family, name, known in parts if name not in known), ""
    )


def foresee(
    config: Config,
    engines: Engines,
    records: Mapping[str, VolumeRecord],
    served: Mapping[str, Served],
    refused: Mapping[str, Exception],
) -> Errand[Foreseen]:
    """Say what a config file would make of what there is. Changes nothing, and so can't know what
    only making a volume shows.

    Args:
        config: The config file.
        engines: The engines of its plugins.
        records: What the state says, by name.
        served: What is served now.
        refused: What is wrong with volumes of the file already, by name.
    """
    found = Foreseen(config)
    for volume in config.volumes:
        name, record = volume.name, records.get(volume.name)
        try:
            step = yield from decide(config, engines, volume, record, refused.get(name))
            if step is Step.MAKE:
                found.made.add(name)
            elif step is Step.TAKE_BACK and record is not None:
                yield from check_change(config, engines, record, volume)
            known = record or VolumeRecord(name=name, uuid=NO_UUID, **_NEW)
            found.served[name] = engines.serve(volume, owned_by_file(config, volume, known))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, others are fine
            found.refuse(name, error, served.get(name), engines, record)
    for name, wrong in config.refused.items():
        found.refuse(name, wrong, served.get(name), engines, records.get(name))
    for name, record in records.items():
        if name in config.names or record.owner is Owner.FILE or record.phase.is_removal:
            continue
        try:
            found.served[name] = engines.serve(engines.parse(record), record)
        except Exception as error:  # noqa: BLE001 - as above
            found.refused[name] = explain(error)
    return found


_NEW: dict[str, Any] = {
    "created": 0.0,
    "owner": Owner.FILE,
    "phase": Phase.CREATING,
    "mapping": {},
    "origin": "",
}
