"""What a reload changes: what of it can be had, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tierce.config import Config, load_config, options_to_mapping, volume_to_mapping
from tierce.errors import (
    ConfigError,
    ConflictError,
    TemporaryError,
    TierceError,
    UsageError,
    explain,
)
from tierce.node.engines import Served
from tierce.node.listening import find_port_holder, open_listener, split_address
from tierce.node.plan import Role
from tierce.node.preflight import examine
from tierce.spec import Event

if TYPE_CHECKING:
    from tierce.node.supervisor import Supervisor


def reload(supervisor: Supervisor) -> None:
    """Read the config file again. One that is wrong changes nothing; of one that is right, what
    can't be done is refused, and what it is about keeps its settings."""

    def tell(code: str, message: str, severity: str) -> None:
        supervisor.journal.emit(Event(code, message, "process/serve", severity))

    before, served = supervisor.config, dict(supervisor.catalogue.served)
    try:
        file = Path(before.file)
        if file.exists() and not file.is_file():
            # A pipe would keep the supervisor waiting for whoever writes it.
            raise ConfigError("is no regular file any more", file=before.file)
        config = load_config(file)
        findings = examine(config)
        findings.check_general()
        if config.data_dir != before.data_dir:
            place = config.origins["data_dir"]
            raise UsageError(f"{place}: data_dir can't be changed while serving")
    except (TierceError, OSError) as error:
        tell("config.refused", f"reload: {explain(error)}; nothing was changed", "error")
        return
    portal = supervisor.children.get(Role.PORTAL.value)
    config, refused = keep_ports(before, config, portal.pid if portal is not None else 0)
    for why in refused:
        tell("config.refused", f"reload: {why}", "error")
    supervisor.use(config, findings)
    after, names = supervisor.catalogue.served, supervisor.catalogue.refused
    change = describe_change(before, config, (served, after), names)
    tell("config.reloaded", f"{config.file} was read again: {change}", "info")
    for note in (*config.advice, *findings.notes):
        supervisor.screen.note(note)


def keep_ports(before: Config, after: Config, portal_pid: int) -> tuple[Config, list[str]]:
    """Return the new config with the old addresses of each front end whose new ones can't be had:
    a portal that was started anew for them would serve nobody.

    Args:
        before: The config in force.
        after: The new one.
        portal_pid: The portal that runs, which holds its own ports; 0 if none does.

    Returns: The config, and a sentence for each front end that keeps its addresses.
    """
    frontends, refused = dict(after.frontends), []
    for name, section in after.frontends.items():
        old = before.frontends.get(name)
        if old is None or set(section.listen) == set(old.listen):
            continue
        why = _why_not(set(section.listen) - set(old.listen), portal_pid)
        if why:
            frontends[name] = attrs.evolve(section, listen=old.listen)
            place = after.origins.get(f"frontends.{name}.listen", after.file)
            kept = ", ".join(old.listen)
            refused.append(f"{place}: frontends.{name}.listen: {why}; it listens at {kept} still")
    return attrs.evolve(after, frontends=frontends), refused


def _why_not(addresses: Iterable[str], portal_pid: int) -> str:
    """Say why one of these addresses can't be listened at; empty if all can, now or later."""
    for address in sorted(addresses):
        try:
            open_listener(address).close()
        except TemporaryError:
            # Its network is not up: the portal tries again until it is.
            continue
        except ConflictError as error:
            if find_port_holder(split_address(address)[1]) != portal_pid:
                return str(error)
        except (TierceError, OSError) as error:
            return explain(error)
    return ""


def describe_change(
    before: Config,
    after: Config,
    served: tuple[Mapping[str, Served], Mapping[str, Served]],
    refused: Iterable[str],
) -> str:
    """Say what a reload has changed, in a few words.

    Args:
        before: The config as it was in force.
        after: The one in force now.
        served: The volumes that should be served, before and after.
        refused: Names of the volumes whose settings were refused.
    """
    parts = [*_describe_volumes(*served), *_describe_sections(before, after)]
    names = sorted(refused)
    if names:
        parts.append(f"refused {', '.join(names)}")
    return "; ".join(parts) or "nothing has changed"


def _describe_volumes(before: Mapping[str, Served], after: Mapping[str, Served]) -> Iterator[str]:
    for word, names in (
        ("added", after.keys() - before.keys()),
        ("removed", before.keys() - after.keys()),
    ):
        if names:
            yield f"{word} {', '.join(sorted(names))}"
    for name in sorted(before.keys() & after.keys()):
        was, now = (volume_to_mapping(one[name].config) for one in (before, after))
        keys = list(differences(was, now))
        if keys:
            yield f"changed {name} ({', '.join(keys)})"


def _describe_sections(before: Config, after: Config) -> Iterator[str]:
    for key in differences(_sections(before), _sections(after)):
        # The ring of events is as long as it was when the state was opened.
        later = " holds from the next start" if key == "limits.event_count_max" else " has changed"
        yield f"{key}{later}"
    plugins = [_enabled(config) for config in (before, after)]
    if plugins[0] != plugins[1]:
        yield f"plugins: {', '.join(plugins[1])}"


def _sections(config: Config) -> dict[str, Any]:
    return {
        "frontends": {name: options_to_mapping(one) for name, one in config.frontends.items()},
        "services": {name: options_to_mapping(one) for name, one in config.services.items()},
        "policies": {one.name: options_to_mapping(one) for one in config.policies},
        "limits": options_to_mapping(config.limits),
    }


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str = ""
) -> Iterator[str]:
    """Yield the path of every value that differs between two plain mappings."""
    for key in [*before, *(key for key in after if key not in before)]:
        was, now = before.get(key), after.get(key)
        where = f"{path}.{key}" if path else key
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from differences(was, now, where)
        elif was != now:
            yield where


def _enabled(config: Config) -> list[str]:
    return [one.name for one in config.registry.plugins if one.state == "enabled"]
