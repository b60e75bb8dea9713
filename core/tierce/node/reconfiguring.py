"""Live options of what runs: told to the parts of a target by `reconfigure`, on its data thread."""

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
from tierce.registry import Registry
from tierce.spec import Event
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
    """

    part: Part
    reconfigure: Reconfigure
    plugin: str


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
        before = dict(self._kept)
        for key, (name, values) in wanted.items():
            running = self._running.get(key)
            # Another part in its place is one that waits for the next start.
            if running is not None and running.part.name == name:
                self._take_part(running, values)
        if self._kept != before:
            self._show(dict(self._kept))

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
            if options == part.options:
                self._kept.pop(part.key, None)
                return
            running.reconfigure(options)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's bug ends no target
            self._refused(running, values, explain(error))
            return
        changed = _changed(part.options, options)
        running.part = attrs.evolve(part, options=options)
        self._kept.pop(part.key, None)
        self._tell("volume.reconfigured", f"{_where(part)} has taken {changed}", "info")

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
        if part.key == "options":
            family, running, method = "engine", pipeline.engine, "reconfigure"
        elif part.key == "frontend_options" or part.key.startswith("exports["):
            family, running, method = "front end", fronts.of(part.name), "reconfigure_volume"
        elif part.key.startswith("filters["):
            family, method = "filter", "reconfigure"
            running = pipeline.filters[int(part.key[len("filters[") : -1])]
        else:
            family, running, method = "front end", fronts.of(part.name), "reconfigure"
        found = getattr(running, method, None)
        take = found if callable(found) else _lacks(method)
        yield Running(part, take, owners[f"{family} {part.name}"])


def _lacks(method: str) -> Reconfigure:
    def refuse(_options: Any) -> None:
        raise TierceError(f"it has no method `{method}`")

    return refuse


def _where(part: Part) -> str:
    return f"{part.key} ({part.name})"


def _changed(before: Any, after: Any) -> str:
    was, now = split(before)[1], split(after)[1]
    return ", ".join(key for key in now if now[key] != was[key])
