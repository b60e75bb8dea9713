"""Live options of what runs: told to the parts of a target by `reconfigure`, where each is called.

A part that is called on a thread of its own takes them in its turn. What is wanted of it meanwhile
is asked of it after that: what it was asked for last is what it comes to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.config import options_from_mapping
from tierce.errors import ProtocolError, TierceError, explain
from tierce.node.fronts import Fronts
from tierce.process.live_options import Part, parts_of, split
from tierce.process.settings import TargetSettings
from tierce.registry import Registry, is_promise
from tierce.spec import Event
from tierce.volume.calling import HERE, Caller
from tierce.volume.pipeline import Pipeline

#: Takes an instance of the part's option class.
Reconfigure = Callable[[Any], Any]


@attrs.define
class Running:
    """A part that runs.

    Attributes:
        part: It, with the options that are in force.
        reconfigure: Its method, or what raises in its place.
        plugin: The plugin that brings it.
        caller: Calls it where it is called.
        asked: The options that it was asked for last, if it has not answered; else those in force.
    """

    part: Part
    reconfigure: Reconfigure
    plugin: str
    caller: Caller = HERE
    asked: Any = attrs.field()

    @asked.default
    def _in_force(self) -> Any:
        return self.part.options


class LiveParts:
    """The parts of one target.

    Args:
        volume: The volume's name.
        running: The parts.
        emit: Reports an event.
        show: Called with why parts keep options that the config file no longer has, by key.
    """

    def __init__(
        self,
        volume: str,
        running: Iterable[Running],
        *,
        emit: Callable[[Event], None],
        show: Callable[[dict[str, str]], None],
    ) -> None:
        self._volume = volume
        self._running = {one.part.key: one for one in running}
        self._emit = emit
        self._show = show
        self._kept: dict[str, str] = {}
        self._shown: dict[str, str] = {}

    def take(self, live: Any) -> None:
        """Take the live options of a plan. What a part refuses becomes an event, and that part goes
        on as it was; the others take theirs.

        Raises:
            ProtocolError: They are no live options.
        """
        try:
            wanted = {key: (str(one["of"]), dict(one["values"])) for key, one in live.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"not live options: {error}") from error
        for key, (name, values) in wanted.items():
            running = self._running.get(key)
            # Another part in its place is one that waits for the next start.
            if running is not None and running.part.name == name:
                self._take_part(running, values)
        self._show_kept()

    def _take_part(self, running: Running, values: Mapping[str, Any]) -> None:
        part = running.part
        try:
            options = options_from_mapping(
                type(part.options),
                {**split(part.options)[0], **values},
                # Paths in a plan are absolute already.
                base=Path("/"),
                origin="the config file",
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's bug ends no target
            self._refused(running, values, explain(error))
            return
        if options == running.asked:
            if options == part.options:
                self._kept.pop(part.key, None)
            return
        running.asked = options
        running.caller.call(
            lambda: running.reconfigure(options),
            lambda result, error: self._answered(running, options, values, result, error),
        )

    def _answered(
        self,
        running: Running,
        options: Any,
        values: Mapping[str, Any],
        result: Any,
        error: BaseException | None,
    ) -> None:
        if error is None and is_promise(result):
            error = TierceError("its `reconfigure` is an `async def`; nobody would await it")
        if error is not None:
            if running.asked is options:
                running.asked = running.part.options
            self._refused(running, values, explain(error))
        else:
            part, changed = running.part, _changed(running.part.options, options)
            running.part = attrs.evolve(part, options=options)
            self._kept.pop(part.key, None)
            self._tell("volume.reconfigured", f"{_where(part)} has taken {changed}", "info")
        self._show_kept()

    def _show_kept(self) -> None:
        if self._kept != self._shown:
            self._shown = dict(self._kept)
            self._show(dict(self._kept))

    def _refused(self, running: Running, values: Mapping[str, Any], why: str) -> None:
        part = running.part
        before = split(part.options)[1]
        names = ", ".join(f"{part.key}.{key}" for key in values if values[key] != before.get(key))
        self._kept[part.key] = f"{names}: the plugin {running.plugin} refused: {why}"
        self._tell(
            "volume.reconfigure-refused",
            f"{_where(part)}, of the plugin {running.plugin}, keeps the old {names} until its next "
            f"start: {why}",
            "error",
        )

    def _tell(self, code: str, message: str, severity: str) -> None:
        text = f"volume {self._volume}: {message}"
        self._emit(Event(code, text, f"volume/{self._volume}", severity))


def running_parts(
    settings: TargetSettings, registry: Registry, pipeline: Pipeline, fronts: Fronts
) -> Iterable[Running]:
    """Yield the parts of a target that has just been opened."""
    owners = {thing: one.name for one in registry.plugins for thing in one.provides}
    for part in parts_of(settings.volume, settings.sections):
        caller: Caller = HERE
        if part.key == "options":
            family, running, method = "engine", pipeline.engine, "reconfigure"
            caller = pipeline.caller
        elif part.key == "frontend_options" or part.key.startswith("exports["):
            family, running, method = "front end", fronts.of(part.name), "reconfigure_volume"
        elif part.key.startswith("filters["):
            family, method = "filter", "reconfigure"
            index = int(part.key[len("filters[") : -1])
            running, caller = pipeline.filters[index], pipeline.filter_callers[index]
        else:
            family, running, method = "front end", fronts.of(part.name), "reconfigure"
        found = getattr(running, method, None)
        take = found if callable(found) else _lacks(method)
        yield Running(part, take, owners[f"{family} {part.name}"], caller)


def _lacks(method: str) -> Reconfigure:
    def refuse(_options: Any) -> None:
        raise TierceError(f"it has no method `{method}`")

    return refuse


def _where(part: Part) -> str:
    return f"{part.key} ({part.name})"


def _changed(before: Any, after: Any) -> str:
    was, now = split(before)[1], split(after)[1]
    return ", ".join(key for key in now if now[key] != was[key])
