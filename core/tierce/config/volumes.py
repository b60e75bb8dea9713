"""One volume, from the config file, from a command or from what core kept of it, and back.

Its options are the plugins' own. So they are always read by the option parser, also where core
itself has written them: perhaps another version of a plugin reads them than the one that they were
written for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce.codec import to_json
from tierce.config.exports import exports_to_mapping, parse_exports
from tierce.config.model import VolumeShape
from tierce.config.parsing import Reading, entries, parse_options
from tierce.config.sections import Section, find
from tierce.config.source import Value, from_plain
from tierce.descriptions import EngineDescription
from tierce.registry import Registry
from tierce.spec import NO_UUID, VolumeSpec

#: `VolumeSpec.name` says so.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
#: Labels of a volume: with those of sixteen volumes they fit a message to a service.
LABEL_COUNT_MAX = 16
LABEL_CHARS_MAX = 63
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?", re.ASCII)


def volume_from_mapping(
    mapping: Mapping[str, Any], registry: Registry, *, base: Path, origin: str
) -> VolumeSpec:
    """Return a volume from plain values, shaped as one under `volumes:` of the config file.

    Args:
        mapping: The values.
        registry: The plugins.
        base: The folder that relative paths start from.
        origin: What errors name as the file.

    Raises:
        ConfigError: The values are wrong.
    """
    return parse_volume(from_plain(mapping, origin), registry, Reading(base), "volume")


def volume_to_mapping(volume: VolumeSpec, *, hide_secrets: bool = False) -> dict[str, Any]:
    """Return the plain values (JSON) that `volume_from_mapping` makes an equal volume from."""
    store_options = {}
    if volume.store_options is not None:
        store_options = to_json(volume.store_options, hide_secrets=hide_secrets)
    return {
        "name": volume.name,
        "size": volume.size_bytes,
        "block_size": volume.block_size,
        "engine": volume.engine,
        "options": to_json(volume.engine_options, hide_secrets=hide_secrets),
        # Most stores have none: the state of earlier versions stays equal to what is served.
        **({"store_options": store_options} if store_options else {}),
        **({"labels": dict(volume.labels)} if volume.labels else {}),
        **exports_to_mapping(volume.exports, hide_secrets=hide_secrets),
        "filters": [
            {"name": name, **to_json(options, hide_secrets=hide_secrets)}
            for name, options in volume.filters
        ],
    }


def parse_volume(value: Value, registry: Registry, reading: Reading, path: str) -> VolumeSpec:
    """Return a volume.

    Args:
        value: Its mapping.
        registry: The plugins.
        reading: What is gathered.
        path: What errors call it if it has no valid name; else it is "volumes.NAME".

    Raises:
        ConfigError: The values are wrong.
    """
    path = volume_key(value, path)
    shape = parse_options(VolumeShape, value, reading, path)
    reading.origins[path] = value.origin
    items = entries(value, path)
    if _NAME.fullmatch(shape.name) is None:
        raise items["name"].error(
            f"{path}.name: expected 1 to 63 of a-z, 0-9 and '-', starting with a letter, "
            f"got {items['name'].describe()}"
        )
    if shape.size % shape.block_size:
        raise items["size"].error(
            f"{path}.size: {shape.size} bytes is not a multiple of the block size, "
            f"{shape.block_size}; the nearest below is {shape.size - shape.size % shape.block_size}"
        )
    engine = find("engine", registry.engines, items["engine"], path, registry)
    return VolumeSpec(
        name=shape.name,
        uuid=NO_UUID,
        size_bytes=shape.size,
        block_size=shape.block_size,
        engine=engine.name,
        engine_options=Section(engine, value, shape.options).parse(
            engine.options, reading, f"{path}.options"
        ),
        exports=parse_exports(shape, value, registry, reading, path),
        filters=tuple(
            _filter(one, registry, reading, f"{path}.filters[{index}]")
            for index, one in enumerate(shape.filters)
        ),
        store_options=_store_options(engine, shape, value, registry, reading, path),
        labels=_labels(shape.labels, items.get("labels"), f"{path}.labels"),
    )


def _labels(labels: Mapping[str, str], value: Value | None, path: str) -> Mapping[str, str]:
    """Return the labels, if they are some that everybody can show."""
    if value is None:
        return labels
    if len(labels) > LABEL_COUNT_MAX:
        raise value.error(f"{path}: {len(labels)} labels, at most {LABEL_COUNT_MAX} are allowed")
    for key, text in labels.items():
        where = entries(value, path)[key]
        if _LABEL.fullmatch(key) is None:
            raise where.error(
                f"{path}: a label's name is 1 to {LABEL_CHARS_MAX} letters, digits, '.', '_', '-' "
                f"and '/', a letter or digit first and last, got {key!r}"
            )
        if len(text) > LABEL_CHARS_MAX or not text.isprintable():
            raise where.error(
                f"{path}.{key}: expected at most {LABEL_CHARS_MAX} printable characters, "
                f"got {text[:LABEL_CHARS_MAX]!r}"
            )
    return labels


def _store_options(
    engine: EngineDescription,
    shape: VolumeShape,
    value: Value,
    registry: Registry,
    reading: Reading,
    path: str,
) -> Any:
    path = f"{path}.store_options"
    if engine.store:
        store = registry.stores[engine.store]
        return Section(store, value, shape.store_options).parse(store.options, reading, path)
    if shape.store_options is not None:
        raise shape.store_options.error(
            f"{path}: the engine {engine.name!r} has no store; leave it out"
        )
    return None


def volume_key(value: Value, path: str) -> str:
    """Return "volumes.NAME" of a volume's mapping with a valid name, else `path`."""
    if isinstance(value.content, dict) and "name" in value.content:
        name = value.content["name"].content
        if isinstance(name, str) and _NAME.fullmatch(name):
            return f"volumes.{name}"
    return path


def _filter(value: Value, registry: Registry, reading: Reading, path: str) -> tuple[str, Any]:
    items = dict(entries(value, path))
    if "name" not in items:
        raise value.error(f"{path}: the filter's 'name' is missing")
    named = items.pop("name")
    if not isinstance(named.content, str):
        raise named.error(f"{path}.name: expected text, got {named.describe()}")
    description = find("filter", registry.filters, named, path, registry)
    rest = Value(items, value.file, value.line, value.key_lines)
    options = Section(description, value, rest).parse(description.options, reading, path)
    return description.name, options
