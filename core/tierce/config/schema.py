"""A JSON Schema (draft 2020-12) of the config file, for editors.

It accepts what the loader accepts, but for what a schema can't say: a size that is a multiple of
the block size, two volumes with one name, what an option class checks by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from tierce.config.model import ExportShape, FileShape, PolicyShape, Selector, VolumeShape
from tierce.config.quantity import DURATION_UNITS, SIZE_UNITS
from tierce.descriptions import Scope, Startable
from tierce.options import PATH_UNITS, OptionInfo, option_info
from tierce.registry import (
    AnyType,
    EnumType,
    MappingType,
    NestedType,
    OptionType,
    Registry,
    ScalarType,
    TupleType,
    option_types,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_NUMBER = r"[0-9]{1,18}(\.[0-9]{1,9})?"
_PATTERNS = {
    "bytes": rf"^{_NUMBER}( ?({'|'.join(SIZE_UNITS)}))?$",
    "seconds": rf"^{_NUMBER}( ?({'|'.join(DURATION_UNITS)}))?$",
    "address": r"^(\[[^\]]+\]|[^:\[\]]+):[0-9]{1,5}$",
}


def config_schema(registry: Registry) -> Schema:
    """Return the schema of a config file that may use these plugins."""
    schema = options_schema(FileShape)
    properties = schema["properties"]
    properties["frontends"] |= _sections(registry.frontends.values())
    for key in ("services", "exporters"):
        properties[key] |= _sections(registry.services.values())
        for name, one in registry.services.items():
            if one.scope is Scope.VOLUME:
                section = properties[key]["properties"][name]
                selector = _or_null(options_schema(Selector))
                selector["description"] = "Which volumes have a process of it."
                section["properties"]["selector"] = selector
    properties["volumes"] |= {"type": ["array", "null"], "items": _volume(registry)}
    properties["policies"] |= {"type": ["array", "null"], "items": _policy(registry)}
    plugin_names = sorted(one.name for one in registry.plugins)
    for listed in properties["plugins"]["properties"].values():
        listed["items"]["enum"] = plugin_names
    return {"$schema": DIALECT, "title": "Tierce config file", **schema}


def _volume(registry: Registry) -> Schema:
    schema = options_schema(VolumeShape)
    properties = schema["properties"]
    properties["name"]["pattern"] = "^[a-z][a-z0-9-]{0,62}$"
    properties["engine"]["enum"] = sorted(registry.engines)
    properties["frontend"]["enum"] = sorted(registry.frontends)
    properties["exports"] |= {"minItems": 1, "items": _export(registry)}
    schema["oneOf"] = [{"required": ["frontend"]}, {"required": ["exports"]}]
    properties["filters"]["items"] = {"anyOf": [_filter(one) for one in registry.filters.values()]}
    schema["allOf"] = [
        *_choices("engine", "options", {n: d.options for n, d in registry.engines.items()}),
        *_choices(
            "engine",
            "store_options",
            {n: registry.stores[d.store].options for n, d in registry.engines.items() if d.store},
        ),
        *_choices(
            "frontend",
            "frontend_options",
            {name: one.volume_options for name, one in registry.frontends.items()},
        ),
    ]
    if not registry.filters:
        properties["filters"]["items"] = False
    return schema


def _export(registry: Registry) -> Schema:
    schema = options_schema(ExportShape)
    schema["properties"]["frontend"]["enum"] = sorted(registry.frontends)
    options = {name: one.volume_options for name, one in registry.frontends.items()}
    schema["allOf"] = list(_choices("frontend", "options", options))
    return schema


def _policy(registry: Registry) -> Schema:
    schema = options_schema(PolicyShape)
    schema["properties"]["kind"]["enum"] = sorted(registry.policy_handlers)
    handlers = {name: one.options for name, one in registry.policy_handlers.items()}
    schema["allOf"] = list(_choices("kind", "parameters", handlers))
    return schema


def _sections(descriptions: Iterable[Startable]) -> Schema:
    return {
        "properties": {
            one.name: {
                **_or_null(options_schema(one.options)),
                "description": one.summary,
            }
            for one in descriptions
        },
        "additionalProperties": False,
    }


def _filter(description: Startable) -> Schema:
    schema = options_schema(description.options)
    schema["properties"]["name"] = {"const": description.name}
    schema["required"] = ["name", *schema.get("required", [])]
    return schema | {"description": description.summary}


def _choices(key: str, options_key: str, classes: Mapping[str, type[Any]]) -> Iterable[Schema]:
    """Yield, for each name that `key` may have, what `options_key` must then be."""
    for name, options in classes.items():
        schema = options_schema(options)
        then: Schema = {"properties": {options_key: _or_null(schema)}}
        if schema.get("required"):
            then = {"properties": {options_key: schema}, "required": [options_key]}
        yield {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": then,
        }


def _or_null(schema: Schema) -> Schema:
    """A section that is left empty has its defaults, unless something in it is required."""
    return schema if schema.get("required") else schema | {"type": ["object", "null"]}


def options_schema(options: type[Any]) -> Schema:
    """Return the schema of an option class."""
    types = option_types(options)
    properties, required = {}, []
    for field in attrs.fields(options):
        info = option_info(field)
        schema = _type(types[field.name], info)
        if info.doc:
            schema["description"] = info.doc
        if field.default is attrs.NOTHING:
            required.append(field.name)
        elif (default := plain_default(field)) is not None:
            schema["default"] = default
        properties[field.name] = schema
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        made["required"] = required
    return made


def plain_default(field: attrs.Attribute[Any]) -> Any:
    """Return a field's default as a JSON value; None if it has none to show."""
    default: Any = field.default
    if isinstance(default, tuple):
        return list(default)
    if default is None or isinstance(default, bool | int | float | str):
        return default
    value = getattr(default, "value", None)
    return value if isinstance(value, bool | int | float | str) else None


def _type(kind: OptionType, info: OptionInfo) -> Schema:
    schema = _bare_type(kind, info)
    if kind.is_optional:
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        if "type" in schema:
            types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            schema["type"] = [*types, "null"]
    return schema


def _bare_type(kind: OptionType, info: OptionInfo) -> Schema:
    if isinstance(kind, AnyType):
        return {}
    if isinstance(kind, NestedType):
        return _or_null(options_schema(kind.kind))
    if isinstance(kind, TupleType):
        return {"type": "array", "items": _type(kind.item, info)}
    if isinstance(kind, MappingType):
        return {"type": ["object", "null"], "additionalProperties": _type(kind.item, info)}
    if isinstance(kind, EnumType):
        return {"enum": [member.value for member in kind.kind]}
    assert isinstance(kind, ScalarType), f"no schema for {kind!r}"
    return _scalar(kind, info)


def _scalar(kind: ScalarType, info: OptionInfo) -> Schema:
    if kind.kind is bool:
        return {"type": "boolean"}
    if kind.kind is str:
        schema: Schema = {"type": "string"}
        if info.unit in _PATTERNS:
            schema["pattern"] = _PATTERNS[info.unit]
        if info.unit in PATH_UNITS:
            schema["minLength"] = 1
    else:
        number = "integer" if kind.kind is int else "number"
        has_text = info.unit in {"bytes", "seconds"}
        schema = {"type": [number, "string"] if has_text else number}
        if has_text:
            schema["pattern"] = _PATTERNS[info.unit]
        minimum = info.minimum if info.minimum is not None else (0 if has_text else None)
        if minimum is not None:
            schema["minimum"] = minimum
        if info.maximum is not None:
            schema["maximum"] = info.maximum
    if info.choices:
        schema |= _choice(list(info.choices), schema, info)
    return schema


def _choice(choices: list[Any], schema: Schema, info: OptionInfo) -> Schema:
    """A choice of sizes may also be written as text, which an enum of numbers would refuse."""
    if info.unit in {"bytes", "seconds"} and schema.get("type") != "string":
        return {"anyOf": [{"enum": choices}, {"type": "string"}]}
    return {"enum": choices}
