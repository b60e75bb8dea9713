"""What may change of a volume that was made, and what may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tierce.config import Config, VolumeConfig, located_error
from tierce.config.quantity import format_size
from tierce.errors import ConflictError, UsageError
from tierce.node.engines import Engines, Served
from tierce.node.live_options import fixed_volume
from tierce.registry import resolve
from tierce.state import VolumeRecord


def check_change(
    config: Config, engines: Engines, record: VolumeRecord, volume: VolumeConfig
) -> None:
    """Refuse what would be another volume under this one's name.

    Args:
        config: The config file.
        engines: The engines.
        record: The volume as the state knows it.
        volume: As the config file wants it.

    Raises:
        ConfigError: What can't change differs.
        ConflictError: The options name something else than what was made.
    """
    _check_same(config, engines.parse(record), volume)
    lifecycle, was = engines.of(record)
    try:
        lifecycle.check_change(was, engines.spec(volume, record))
    except ConflictError as error:
        raise located_error(config, f"volumes.{volume.name}.options", str(error)) from error


def _check_same(config: Config, before: VolumeConfig, now: VolumeConfig) -> None:
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


def check_identity(config: Config, volume: VolumeConfig, served: Iterable[Served]) -> None:
    """Refuse a volume that its front end would serve as one that is served.

    Raises:
        UsageError: It would.
    """
    mine = _identity(config, volume)
    for other in served:
        if other.config.frontend != volume.frontend or other.spec.name == volume.name:
            continue
        if _identity(config, other.config) == mine:
            raise UsageError(f"volume {other.spec.name} is served as {mine} already")


def _identity(config: Config, volume: VolumeConfig) -> str:
    description = config.registry.frontends[volume.frontend]
    identity = resolve(description.identity)
    assert callable(identity), "a front end's identity is a function"
    section = config.frontends[volume.frontend]
    return str(identity(section, volume.name, volume.frontend_options))


def find_waiting(
    config: Config, before: Mapping[str, Served], after: Mapping[str, Served]
) -> Iterator[tuple[str, str]]:
    """Yield the volumes whose edited settings wait, because a restart would empty them, and why."""
    for name in sorted(after.keys() & before.keys()):
        volume = after[name].config
        is_edited = fixed_volume(volume) != fixed_volume(before[name].config)
        if is_edited and not config.registry.engines[volume.engine].durable:
            yield (
                name,
                f"volume {name} keeps the settings that it was started with, since a restart "
                "would empty it; the next start takes the edited ones",
            )
