"""Options that are changed while what they are about runs, and those that a restart is needed for.

A volume's target has parts, each with options of its own. A part is named as the config file names
its options: `options` is the engine, `filters[0]` the filter nearest the front end,
`frontend_options` and `frontends.NAME` the front end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from tierce.config import VolumeConfig, options_to_mapping, volume_to_mapping
from tierce.options import option_info


@attrs.frozen
class Part:
    """One part of a target, with its options.

    Attributes:
        key: As above.
        name: Name of the engine, filter or front end.
        options: Its options: an instance of its option class.
    """

    key: str
    name: str
    options: Any


def parts_of(volume: VolumeConfig, section: Any) -> Iterator[Part]:
    """Yield the parts of a volume's target; `section` is of its front end."""
    yield Part("options", volume.engine, volume.engine_options)
    for index, (name, options) in enumerate(volume.filters):
        yield Part(f"filters[{index}]", name, options)
    yield Part("frontend_options", volume.frontend, volume.frontend_options)
    yield Part(f"frontends.{volume.frontend}", volume.frontend, section)


def split(options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the plain values that a restart is needed for, and the live ones."""
    fixed, live = options_to_mapping(options), {}
    for field in attrs.fields(type(options)):
        if option_info(field).live:
            live[field.name] = fixed.pop(field.name)
    return fixed, live


def live_values(volume: VolumeConfig, section: Any) -> dict[str, Any]:
    """Return the live options of a target's parts as JSON values: by key, whose they are and the
    values. What has none is not there."""
    return {
        part.key: {"of": part.name, "values": live}
        for part in parts_of(volume, section)
        if (live := split(part.options)[1])
    }


def fixed_volume(volume: VolumeConfig) -> dict[str, Any]:
    """Return a volume's plain values without its live options."""
    mapping = volume_to_mapping(volume)
    mapping["options"] = split(volume.engine_options)[0]
    mapping["frontend_options"] = split(volume.frontend_options)[0]
    mapping["filters"] = [{"name": name, **split(options)[0]} for name, options in volume.filters]
    return mapping


def whole_volume(fixed: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return a volume's plain values again, from what `fixed_volume` and `live_values` returned."""

    def values(key: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = live.get(key, {}).get("values", {})
        return found

    return {
        **fixed,
        "options": {**fixed["options"], **values("options")},
        "frontend_options": {**fixed["frontend_options"], **values("frontend_options")},
        "filters": [
            {**one, **values(f"filters[{index}]")} for index, one in enumerate(fixed["filters"])
        ],
    }
