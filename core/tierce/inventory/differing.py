"""What a reload does, thing by thing: a pure function of how it was and how it will be.

`tierce config diff` tells it before it is done, a reload when it has been done.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from tierce.codec import to_json
from tierce.config import Config, portal_sections, volume_to_mapping
from tierce.inventory.engines import Served
from tierce.inventory.policy_settings import PolicySet
from tierce.process.live_options import split
from tierce.process.plan import Plan, Role


class Effect(enum.Enum):
    """What becomes of a thing."""

    NOTHING = "nothing"
    #: It takes its options while it runs.
    LIVE = "live"
    #: It is stopped and started anew.
    RESTART = "restart"
    #: A restart would lose its bytes: it keeps its settings until it is started anew.
    WAITS = "waits"
    MADE = "made"
    #: It was there, and is served from now on.
    SERVED = "served"
    GONE = "no longer served"
    REFUSED = "refused"


@attrs.frozen
class Change:
    """What becomes of one thing.

    Attributes:
        what: Its kind and name: "volume demo".
        effect: What becomes of it.
        options: Its options that differ, as the config file calls them.
        processes: The processes that are stopped; in RESTART they are started anew.
        wait_s_max: How long their stopping may take, in seconds; who uses them waits until then,
            and for their start.
        lost: What is lost by it.
        why: Why it is refused, or what else is to be said.
    """

    what: str
    effect: Effect
    options: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    wait_s_max: float = 0.0
    lost: str = ""
    why: str = ""

    @property
    def text(self) -> str:
        """Say it in a sentence, without the thing's name."""
        parts = [self.effect.value]
        if self.options:
            parts[0] += f": {', '.join(self.options)}"
        if self.processes:
            stops = f"stops {', '.join(self.processes)}"
            parts.append(f"{stops} (within {self.wait_s_max:g} s)")
        parts += [self.why] if self.why else []
        parts += [f"lost: {self.lost}"] if self.lost else []
        return "; ".join(parts)


@attrs.frozen
class Situation:
    """How things are, or will be.

    Attributes:
        config: The config file.
        served: The volumes that should be served, by name.
        refused: Why volumes are not served as the file says, by name.
        made: The volumes that were made.
        plans: The processes that should run, by name.
        policy_set: What policies set of the volumes.
    """

    config: Config
    served: Mapping[str, Served]
    refused: Mapping[str, str]
    made: frozenset[str]
    plans: Mapping[str, Plan]
    policy_set: PolicySet = attrs.field(factory=PolicySet)


def compare(
    before: Situation,
    after: Situation,
    running: Mapping[str, str],
    ports: Mapping[str, str],
) -> list[Change]:
    """Say what becomes of every volume, front end and process, and of what else has changed.

    Args:
        before: How things are.
        after: How they will be.
        running: Digests of the plans that living processes were started by, by name.
        ports: Why front ends keep the addresses that they listen at, by name.
    """
    return list(_Comparison(before, after, running).all(ports))


class _Comparison:
    def __init__(self, before: Situation, after: Situation, running: Mapping[str, str]) -> None:
        self._before = before
        self._after = after
        self._running = running

    def all(self, ports: Mapping[str, str]) -> Iterator[Change]:
        for name in _both(self._before.served, self._after.served, self._after.refused):
            yield self._with_policies(name, self._volume(name))
        yield from self._frontends(ports)
        for name, plan in _union(self._before.plans, self._after.plans).items():
            if plan.role is Role.SERVICE:
                yield self._service(name, plan)
        yield from self._rest()

    # -- volumes -----------------------------------------------------------------------------------

    def _volume(self, name: str) -> Change:
        what = f"volume {name}"
        was, now = self._before.served.get(name), self._after.served.get(name)
        if name in self._after.refused:
            kept = "it keeps the settings that it has" if now is not None else "it is not served"
            return Change(what, Effect.REFUSED, why=f"{kept}: {self._after.refused[name]}")
        if was is None:
            is_made = name in self._after.made - self._before.made
            return Change(what, Effect.MADE if is_made else Effect.SERVED)
        names = [plan.name for plan in self._before.plans.values() if _serves(plan, name)]
        if now is None:
            return self._stop(what, Effect.GONE, names, lost=self._lost(was))
        changed = self._changed([*names, *self._new(name)])
        options = tuple(self._options(was, now))
        if any(not self._plan(one).is_volatile for one in changed):
            why = "sessions log in again, I/O waits until then"
            stopped = [one for one in changed if one in self._before.plans]
            return self._stop(what, Effect.RESTART, stopped, options=options, why=why)
        if changed:
            why = "a restart would empty it: it keeps its settings until its next start"
            return Change(what, Effect.WAITS, options, why=why)
        is_told = any(self._is_told(one) for one in names)
        is_told |= was.volume.labels != now.volume.labels
        return Change(what, Effect.LIVE if is_told else Effect.NOTHING, options if is_told else ())

    def _with_policies(self, name: str, change: Change) -> Change:
        """Name what policies set: what the file says of it is not what the volume has."""
        said = self._after.policy_set.said_of(name)
        return attrs.evolve(change, why="; ".join(filter(None, (change.why, said))))

    def _new(self, volume: str) -> Iterator[str]:
        for name, plan in self._after.plans.items():
            if _serves(plan, volume) and name not in self._before.plans:
                yield name

    def _lost(self, was: Served) -> str:
        is_durable = self._before.config.registry.engines[was.volume.engine].durable
        engine = was.volume.engine
        return "" if is_durable else f"its bytes (engine {engine} keeps nothing)"

    def _options(self, was: Served, now: Served) -> Iterator[str]:
        was_set, now_set = self._before.policy_set.of(was), self._after.policy_set.of(now)
        yield from differences(volume_to_mapping(was_set), volume_to_mapping(now_set))
        before = {export.frontend for export in was.volume.exports}
        for export in now.volume.exports:
            if export.frontend in before:
                yield from self._section(export.frontend)

    def _section(self, frontend: str) -> Iterator[str]:
        was, now = (one.config.frontends.get(frontend) for one in (self._before, self._after))
        if was is not None and now is not None:
            path = f"frontends.{frontend}"
            yield from differences(to_json(was), to_json(now), path)

    # -- processes ---------------------------------------------------------------------------------

    def _plan(self, name: str) -> Plan:
        return self._after.plans.get(name) or self._before.plans[name]

    def _changed(self, names: Iterable[str]) -> list[str]:
        """Name those that run, or would, by another plan."""
        plans = self._after.plans
        return [
            name for name in names if name not in plans or plans[name].digest != self._digest(name)
        ]

    def _digest(self, name: str) -> str:
        before = self._before.plans.get(name)
        return self._running.get(name, before.digest if before is not None else "")

    def _is_told(self, name: str) -> bool:
        return self._before.plans[name].live != self._after.plans[name].live

    def _stop(self, what: str, effect: Effect, names: Iterable[str], **more: Any) -> Change:
        processes = tuple(names)
        # One rank after the other, each with its time.
        ranks = {self._plan(name).role.rank for name in processes}
        wait_s = self._after.config.limits.stop_timeout_s * len(ranks)
        return Change(what, effect, processes=processes, wait_s_max=wait_s, **more)

    def _service(self, name: str, plan: Plan) -> Change:
        """A service's process: no volume stops with it."""
        of_volume = f" of volume {plan.volume}" if plan.volume else ""
        what = f"service {plan.settings['service']}{of_volume}"
        if name not in self._before.plans:
            return Change(what, Effect.MADE)
        if name not in self._after.plans:
            return self._stop(what, Effect.GONE, [name])
        was, now = self._before.plans[name], self._after.plans[name]
        keys = (
            f"options.{key}"
            for part in ("settings", "live")
            for key in differences(*(getattr(one, part).get("options", {}) for one in (was, now)))
        )
        options = tuple(keys)
        if self._changed([name]):
            return self._stop(
                what, Effect.RESTART, [name], options=options, why="no volume stops with it"
            )
        return Change(what, Effect.LIVE if self._is_told(name) else Effect.NOTHING, options)

    def _frontends(self, ports: Mapping[str, str]) -> Iterator[Change]:
        for name in self._after.config.frontends:
            what = f"front end {name}"
            if name in ports:
                yield Change(what, Effect.REFUSED, why=ports[name])
            options = tuple(self._section(name))
            if options:
                yield self._frontend(what, name, options)
            elif name not in ports:
                yield Change(what, Effect.NOTHING)

    def _frontend(self, what: str, name: str, options: tuple[str, ...]) -> Change:
        """One whose section has changed."""
        portal = Role.PORTAL.value
        if name in portal_sections(self._after.config) and self._changed([portal]):
            why = "the portal starts anew: sessions go on, new ones wait"
            return self._stop(what, Effect.RESTART, [portal], options=options, why=why)
        was, now = (split(one.config.frontends[name])[0] for one in (self._before, self._after))
        if was != now:
            # It listens itself, in the targets, which are told by their volumes.
            return Change(what, Effect.RESTART, options, why="with the volumes that it serves")
        return Change(what, Effect.LIVE, options)

    # -- what else there is ------------------------------------------------------------------------

    def _rest(self) -> Iterator[Change]:
        before, after = self._before.config, self._after.config
        limits = tuple(differences(to_json(before.limits), to_json(after.limits)))
        if limits:
            yield Change("limits", Effect.LIVE, limits)
        policies = [
            {one.name: to_json(one) for one in config.policies} for config in (before, after)
        ]
        for name in _both(*policies):
            if policies[0].get(name) != policies[1].get(name):
                yield Change(f"policy {name}", _came_or_went(name, *policies))
        fork_server = Role.FORK_SERVER.value
        plugins = [
            tuple(one.name for one in config.registry.plugins if one.state == "enabled")
            for config in (before, after)
        ]
        if plugins[0] != plugins[1]:
            why = f"from now on {', '.join(plugins[1])}; what runs goes on"
            yield self._stop("plugins", Effect.RESTART, [fork_server], why=why)


def _serves(plan: Plan, volume: str) -> bool:
    """True for the target and the members of a volume."""
    return plan.volume == volume and plan.role is not Role.SERVICE


def _came_or_went(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Effect:
    if name not in before:
        return Effect.MADE
    return Effect.LIVE if name in after else Effect.GONE


def _both(*mappings: Mapping[str, Any]) -> Iterable[str]:
    """Return the keys of all, each once, in order."""
    return dict.fromkeys(key for one in mappings for key in one)


def _union(before: Mapping[str, Plan], after: Mapping[str, Plan]) -> dict[str, Plan]:
    return {**before, **after}


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], path: str = ""
) -> Iterator[str]:
    """Yield the path of every value that differs between two plain mappings."""
    for key in _both(before, after):
        was, now = before.get(key), after.get(key)
        where = f"{path}.{key}" if path else key
        yield from _difference(was, now, where)


def _difference(was: Any, now: Any, where: str) -> Iterator[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        yield from differences(was, now, where)
    elif _are_alike(was, now):
        for index, pair in enumerate(zip(was, now, strict=True)):
            yield from _difference(*pair, f"{where}[{index}]")
    elif was != now:
        yield where


def _are_alike(was: Any, now: Any) -> bool:
    """True for two lists of as many mappings: filters, replicas."""
    return (
        isinstance(was, list)
        and isinstance(now, list)
        and len(was) == len(now)
        and all(isinstance(one, Mapping) for one in [*was, *now])
    )
