"""Options that are changed while what they are about runs, and those that a restart is needed for.

A volume's target has parts, each with options of its own. A part is named as the config file names
its options: `options` is the engine, `filters[0]` the filter nearest the front end,
`frontend_options`, or `exports[0].options` in a list, and `frontends.NAME` a front end.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import attrs

from tierce.codec import to_json
from tierce.config import is_short, volume_to_mapping
from tierce.options import option_info
from tierce.spec import VolumeSpec

V = TypeVar("V", bound=VolumeSpec)

#: What the keys of front ends' sections start with.
_SECTION = "frontends."


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


def parts_of(volume: VolumeSpec, sections: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the parts of a volume's target; `sections` are of its front ends, by name."""
    yield from own_parts(volume)
    for export in volume.exports:
        name = export.frontend
        yield Part(f"{_SECTION}{name}", name, sections[name])


def own_parts(volume: VolumeSpec) -> Iterator[Part]:
    """Yield the parts whose options are the volume's own."""
    yield Part("options", volume.engine, volume.engine_options)
    for index, (name, options) in enumerate(volume.filters):
        yield Part(f"filters[{index}]", name, options)
    for index, export in enumerate(volume.exports):
        yield Part(_export_key(volume, index), export.frontend, export.options)


def _export_key(volume: VolumeSpec, index: int) -> str:
    return "frontend_options" if is_short(volume.exports) else f"exports[{index}].options"


def with_part(volume: V, part: Part) -> V:
    """Return a volume of which one part of its own has these options."""
    if part.key == "options":
        return attrs.evolve(volume, engine_options=part.options)
    filters = tuple(
        (name, part.options if part.key == f"filters[{index}]" else options)
        for index, (name, options) in enumerate(volume.filters)
    )
    exports = tuple(
        attrs.evolve(one, options=part.options) if part.key == _export_key(volume, index) else one
        for index, one in enumerate(volume.exports)
    )
    return attrs.evolve(volume, filters=filters, exports=exports)


def split(options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the plain values that a restart is needed for, and the live ones."""
    fixed, live = to_json(options), {}
    for field in attrs.fields(type(options)):
        if option_info(field).live:
            live[field.name] = fixed.pop(field.name)
    return fixed, live


def live_values(volume: VolumeSpec, sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return the live options of a target's parts as JSON values: by key, whose they are and the
    values. What has none is not there."""
    return {
        part.key: {"of": part.name, "values": live}
        for part in parts_of(volume, sections)
        if (live := split(part.options)[1])
    }


def fixed_volume(volume: VolumeSpec) -> dict[str, Any]:
    """Return a volume's plain values without its live options, and without its labels, which
    concern no process of it."""
    mapping = volume_to_mapping(volume)
    mapping.pop("labels", None)
    for part in own_parts(volume):
        options = _options_in(mapping, part.key)
        for name in split(part.options)[1]:
            del options[name]
    return mapping


def whole_volume(fixed: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return a volume's plain values again, from what `fixed_volume` and `live_values` returned."""
    whole = copy.deepcopy(dict(fixed))
    for key, one in live.items():
        if not key.startswith(_SECTION):
            _options_in(whole, key).update(one["values"])
    return whole


def _options_in(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the options of the part of that key in a volume's plain values."""
    found: Any = mapping
    for word in key.replace("[", ".").replace("]", "").split("."):
        found = found[int(word)] if word.isdecimal() else found[word]
    options: dict[str, Any] = found
    return options
