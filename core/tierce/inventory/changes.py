"""What may change of a volume that was made, and what may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tierce.config import Config, identity_of, located_error, volume_to_mapping
from tierce.config.quantity import format_size
from tierce.errors import ConflictError, UsageError
from tierce.inventory.engines import Engines, Served
from tierce.inventory.errands import Errand
from tierce.process.live_options import fixed_volume
from tierce.process.works import Call, work_for
from tierce.spec import VolumeSpec
from tierce.state import VolumeRecord


def check_change(
    config: Config, engines: Engines, record: VolumeRecord, volume: VolumeSpec
) -> Errand[None]:
    """Refuse what would be another volume under this one's name. An engine is asked about its own
    options alone, and only where they are others.

    Args:
        config: The config file.
        engines: The engines.
        record: The volume as the state knows it.
        volume: As the config file wants it.

    Raises:
        ConfigError: What can't change differs.
        ConflictError: The options name something else than what was made.
    """
    was = engines.parse(record)
    _check_same(config, was, volume)
    if _engine_options(was) == _engine_options(volume):
        return
    try:
        yield work_for(Call.CHECK_CHANGE, engines.identify(volume, record), before=was)
    except ConflictError as error:
        raise located_error(config, f"volumes.{volume.name}.options", str(error)) from error


def _engine_options(volume: VolumeSpec) -> tuple[object, object]:
    """Return what the engine has made of the options. The state keeps no secrets of the file's."""
    mapping = volume_to_mapping(volume, hide_secrets=True)
    return mapping["options"], mapping.get("store_options")


def _check_same(config: Config, before: VolumeSpec, now: VolumeSpec) -> None:
    pairs = {
        "size": (format_size(before.size_bytes), format_size(now.size_bytes)),
        "block_size": (before.block_size, now.block_size),
        "engine": (before.engine, now.engine),
    }
    for key, (was, wanted) in pairs.items():
        if was != wanted:
            raise located_error(
                config,
                f"volumes.{now.name}.{key}",
                f"it was created with {was}, the file says {wanted}; that can't be changed. Say "
                f"{was}, or use another name",
            )


def check_identity(config: Config, volume: VolumeSpec, others: Iterable[VolumeSpec]) -> None:
    """Refuse a volume that its front end would serve as one that is served.

    Raises:
        UsageError: It would.
    """
    mine = _identities(config, volume)
    for other in others:
        if other.name != volume.name:
            for frontend, identity in _identities(config, other).items():
                if mine.get(frontend) == identity:
                    raise UsageError(f"volume {other.name} is served as {identity} already")


def _identities(config: Config, volume: VolumeSpec) -> dict[str, str]:
    return {
        one.frontend: identity_of(config.registry, config.frontends[one.frontend], volume.name, one)
        for one in volume.exports
    }


def find_waiting(
    config: Config, before: Mapping[str, Served], after: Mapping[str, Served]
) -> Iterator[tuple[str, str]]:
    """Yield the volumes whose edited settings wait, because a restart would empty them, and why."""
    for name in sorted(after.keys() & before.keys()):
        volume = after[name].volume
        is_edited = fixed_volume(volume) != fixed_volume(before[name].volume)
        if is_edited and not config.registry.engines[volume.engine].durable:
            yield (
                name,
                f"volume {name} keeps the settings that it was started with, since a restart "
                "would empty it; the next start takes the edited ones",
            )
