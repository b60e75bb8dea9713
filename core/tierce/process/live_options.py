"""Options that are changed while what they are about runs, and those that a restart is needed for.

A volume's target has parts, each with options of its own. A part is named as the config file names
its options: `options` is the engine, `filters[0]` the filter nearest the front end,
`frontend_options`, or `exports[0].options` in a list, and `frontends.NAME` a front end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from tierce.codec import to_json
from tierce.config import VolumeConfig, is_short, volume_to_mapping
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


def parts_of(volume: VolumeConfig, sections: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the parts of a volume's target; `sections` are of its front ends, by name."""
    yield Part("options", volume.engine, volume.engine_options)
    for index, (name, options) in enumerate(volume.filters):
        yield Part(f"filters[{index}]", name, options)
    for index, export in enumerate(volume.exports):
        key = "frontend_options" if is_short(volume.exports) else f"exports[{index}].options"
        yield Part(key, export.frontend, export.options)
        name = export.frontend
        yield Part(f"frontends.{name}", name, sections[name])


def split(options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the plain values that a restart is needed for, and the live ones."""
    fixed, live = to_json(options), {}
    for field in attrs.fields(type(options)):
        if option_info(field).live:
            live[field.name] = fixed.pop(field.name)
    return fixed, live


def live_values(volume: VolumeConfig, sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return the live options of a target's parts as JSON values: by key, whose they are and the
    values. What has none is not there."""
    return {
        part.key: {"of": part.name, "values": live}
        for part in parts_of(volume, sections)
        if (live := split(part.options)[1])
    }


def fixed_volume(volume: VolumeConfig) -> dict[str, Any]:
    """Return a volume's plain values without its live options."""
    mapping = volume_to_mapping(volume)
    mapping["options"] = split(volume.engine_options)[0]
    if is_short(volume.exports):
        mapping["frontend_options"] = split(volume.exports[0].options)[0]
    else:
        for one, export in zip(mapping["exports"], volume.exports, strict=True):
            one["options"] = split(export.options)[0]
    mapping["filters"] = [{"name": name, **split(options)[0]} for name, options in volume.filters]
    return mapping


def whole_volume(fixed: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return a volume's plain values again, from what `fixed_volume` and `live_values` returned."""

    def values(key: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = live.get(key, {}).get("values", {})
        return found

    whole = dict(fixed)
    if "exports" in fixed:
        whole["exports"] = [
            {**one, "options": {**one["options"], **values(f"exports[{index}].options")}}
            for index, one in enumerate(fixed["exports"])
        ]
    else:
        options = {**fixed["frontend_options"], **values("frontend_options")}
        whole["frontend_options"] = options
    return whole | {
        "options": {**fixed["options"], **values("options")},
        "filters": [
            {**one, **values(f"filters[{index}]")} for index, one in enumerate(fixed["filters"])
        ],
    }
