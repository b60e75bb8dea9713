"""What a reload changes: what of it can be had, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.address import Address
from tierce.codec import to_json
from tierce.config import (
    Config,
    ServiceSection,
    load_config,
    portal_sections,
    volume_to_mapping,
)
from tierce.errors import (
    ConfigError,
    ConflictError,
    TemporaryError,
    TierceError,
    UsageError,
    explain,
)
from tierce.inventory.deciding import Foreseen, lacking
from tierce.inventory.differing import Change, Effect, Situation, compare, differences
from tierce.inventory.engines import Served
from tierce.inventory.planning import plan_all
from tierce.inventory.preflight import Findings, examine
from tierce.inventory.workers import TOLD_S
from tierce.process.listening import find_port_holder, open_listener
from tierce.process.plan import Role
from tierce.process.refusals import RefusedError
from tierce.registry import Unusable
from tierce.server.node import Node
from tierce.spec import Event
from tierce.state import Owner

#: What has an event of its own, with the reason.
_TOLD_BY_ITSELF = frozenset({Effect.NOTHING, Effect.REFUSED, Effect.WAITS})


def reload(
    node: Node,
    use: Callable[[Config, Findings, Callable[[], None]], None],
    note: Callable[[str], None],
    unusable: Unusable,
) -> None:
    """Read the config file again. One that is wrong changes nothing; of one that is right, what
    can't be done is refused, and what it is about keeps its settings.

    Args:
        node: What is served by it.
        use: Takes the new config; calls what it is given when all of it is applied.
        note: Tells the operator what works and yet should be known.
        unusable: What can't be used of the plugins.
    """
    before = situation_of(node)
    try:
        config, findings = _read_again(before, Path(before.config.file), unusable)
    except (TierceError, OSError) as error:
        _tell(node, "config.refused", f"reload: {explain(error)}; nothing was changed", "error")
        return
    config, ports = keep_ports(before.config, config, _portal_pid(node))
    for why in ports.values():
        _tell(node, "config.refused", f"reload: {why}", "error")
    running = _running(node)
    is_told = False

    def tell() -> None:
        nonlocal is_told
        if not is_told:
            is_told = True
            _tell_change(node, before, running, ports)

    use(config, findings, tell)
    # What an engine takes long for is told of when it is done.
    node.reactor.call_later(TOLD_S, tell)
    for text in (*config.advice, *findings.notes):
        note(text)


def _tell_change(
    node: Node, before: Situation, running: Mapping[str, str], ports: Mapping[str, str]
) -> None:
    """Tell what a reload has changed, and what of it is still under way."""
    after = situation_of(node)
    config = after.config
    change = describe_change(before.config, config, (before.served, after.served), after.refused)
    pending = node.inventory.pending
    if pending:
        change += f"; under way: {', '.join(sorted(pending))}"
    _tell(node, "config.reloaded", f"{config.file} was read again: {change}", "info")
    for one in compare(before, after, running, ports):
        if one.effect not in _TOLD_BY_ITSELF:
            _tell(node, "config.changed", f"{one.what}: {one.text}", "info")


def _tell(node: Node, code: str, message: str, severity: str) -> None:
    node.emit(Event(code, message, "process/serve", severity))


def foretell(
    node: Node, file: Path, done: Callable[[list[Change] | None, Exception | None], None]
) -> Callable[[str], None]:
    """Let `done` have what a reload of a file would do. Changes nothing.

    Returns: what gives it up.

    Raises:
        RefusedError: Nothing: it would be refused as a whole.
    """
    before = situation_of(node)
    try:
        config, findings = _read_again(before, file, before.config.registry.unusable)
    except ConfigError as error:
        # Here it is a config file that is wrong.
        why = f"{error}; a reload would change nothing"
        raise RefusedError(why, error.exit_code) from error
    config, ports = keep_ports(before.config, config, _portal_pid(node))

    def told(foreseen: Foreseen | None, error: Exception | None) -> None:
        if foreseen is None:
            done(None, error)
            return
        policy_set = node.policy_settings.settle(foreseen)
        after = Situation(
            config,
            foreseen.served,
            foreseen.refused,
            before.made | foreseen.made,
            {plan.name: plan for plan in plan_all(foreseen, policy_set)},
            policy_set,
        )
        done(compare(before, after, _running(node), ports), None)

    return node.inventory.foresee(config, findings.refused, told)


def situation_of(node: Node) -> Situation:
    """Return how things are."""
    inventory = node.inventory
    policy_set = node.policy_settings.settle(inventory)
    return Situation(
        inventory.config,
        dict(inventory.served),
        dict(inventory.refused),
        inventory.made,
        {plan.name: plan for plan in plan_all(inventory, policy_set)},
        policy_set,
    )


def _read_again(before: Situation, file: Path, unusable: Unusable) -> tuple[Config, Findings]:
    if file.exists() and not file.is_file():
        # A pipe would keep the supervisor waiting for whoever writes it.
        raise ConfigError("is no regular file any more", file=str(file))
    config = load_config(file, is_lenient=True, tried=lambda _registry: unusable)
    findings = examine(config)
    findings.check_general()
    if config.data_dir != before.config.data_dir:
        place = config.origins["data_dir"]
        raise UsageError(f"{place}: data_dir can't be changed while serving")
    for name, served in before.served.items():
        is_to_go_on = name in config.refused or served.record.owner is Owner.STATE
        missing = lacking(config, served.volume) if is_to_go_on else ""
        if missing:
            # Without its plugin it could not go on by its old settings either.
            raise config.refused.get(name) or UsageError(
                f"volume {name} is served with {missing}, which no plugin that {file} enables "
                "brings; enable it, or delete the volume"
            )
    return config, findings


def _portal_pid(node: Node) -> int:
    portal = node.children.get(Role.PORTAL.value)
    return portal.pid if portal is not None else 0


def _running(node: Node) -> dict[str, str]:
    return {child.plan.name: child.digest for child in node.children.all() if child.is_running}


def keep_ports(before: Config, after: Config, portal_pid: int) -> tuple[Config, dict[str, str]]:
    """Return the new config with the old addresses of each front end whose new ones can't be had:
    a portal that took them would serve nobody.

    Args:
        before: The config in force.
        after: The new one.
        portal_pid: The portal that runs, which holds its own ports; 0 if none does.

    Returns: The config, and for each front end that keeps its addresses a sentence, by its name.
    """
    frontends, refused = dict(after.frontends), dict[str, str]()
    listened = portal_sections(before)
    for name, section in portal_sections(after).items():
        old = listened.get(name)
        if old is None or set(section.listen) == set(old.listen):
            continue
        why = _why_not(set(section.listen) - set(old.listen), portal_pid)
        if why:
            frontends[name] = attrs.evolve(section, listen=old.listen)
            place = after.origins.get(f"frontends.{name}.listen", after.file)
            kept = ", ".join(old.listen)
            where = f"{place}: frontends.{name}.listen"
            refused[name] = f"{where}: {why}; it listens at {kept} still"
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
            if find_port_holder(Address.parse(address).port) != portal_pid:
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
        was, now = (volume_to_mapping(one[name].volume) for one in (before, after))
        keys = list(differences(was, now))
        if keys:
            yield f"changed {name} ({', '.join(keys)})"


def _describe_sections(before: Config, after: Config) -> Iterator[str]:
    for key in differences(_sections(before), _sections(after)):
        yield f"{key} has changed"
    plugins = [_enabled(config) for config in (before, after)]
    if plugins[0] != plugins[1]:
        yield f"plugins: {', '.join(plugins[1])}"


def _sections(config: Config) -> dict[str, Any]:
    return {
        "frontends": {name: to_json(one) for name, one in config.frontends.items()},
        "services": {name: _service(one) for name, one in config.services.items()},
        "policies": {one.name: to_json(one) for one in config.policies},
        "limits": to_json(config.limits),
    }


def _service(section: ServiceSection) -> dict[str, Any]:
    return {**to_json(section.options), "selector": list(section.volumes)}


def _enabled(config: Config) -> list[str]:
    return [one.name for one in config.registry.plugins if one.state == "enabled"]
