"""How a volume is served: its `exports:`, or the short form of one, `frontend:`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierce.codec import to_json
from tierce.config.model import Config, ExportShape, VolumeShape
from tierce.config.parsing import Reading, entries, parse_options
from tierce.config.sections import Section, find
from tierce.config.source import Value
from tierce.descriptions import Listens
from tierce.errors import PluginError, explain
from tierce.registry import Registry, blaming, resolve
from tierce.spec import Access, Export, VolumeSpec


def parse_exports(
    shape: VolumeShape, value: Value, registry: Registry, reading: Reading, path: str
) -> tuple[Export, ...]:
    """Return a volume's exports.

    Args:
        shape: The volume.
        value: Its mapping.
        registry: The plugins.
        reading: What is gathered.
        path: What errors call the volume.

    Raises:
        ConfigError: There are none, two of one front end, or two that write.
    """
    items = entries(value, path)
    unused = ("frontend", "frontend_options") if "exports" in items else ("exports",)
    for key in unused:
        # Its default says nothing: the other form is in force.
        reading.origins.pop(f"{path}.{key}", None)
    if "exports" in items:
        for key in ("frontend", "frontend_options"):
            if key in items:
                raise items[key].error(
                    f"{path}.{key}: `exports:` says already how it is served; name this there"
                )
        return _parse_list(items["exports"], registry, reading, f"{path}.exports")
    if shape.frontend is None:
        raise value.error(
            f"{path}: the option 'frontend' is missing: what serves it, or a list of `exports:`"
        )
    frontend = find("front end", registry.frontends, items["frontend"], path, registry)
    options = Section(frontend, value, shape.frontend_options).parse(
        frontend.volume_options, reading, f"{path}.frontend_options"
    )
    return (Export(frontend=frontend.name, options=options),)


def _parse_list(
    value: Value, registry: Registry, reading: Reading, path: str
) -> tuple[Export, ...]:
    if not isinstance(value.content, list) or not value.content:
        raise value.error(f"{path}: expected a list of one export at least, got {value.describe()}")
    exports: list[Export] = []
    for index, one in enumerate(value.content):
        export = _parse_export(one, registry, reading, f"{path}[{index}]")
        reading.origins[f"{path}[{index}]"] = one.origin
        for number, other in enumerate(exports):
            first = f"{path}[{number}] ({reading.origins[f'{path}[{number}]']})"
            if other.frontend == export.frontend:
                raise one.error(
                    f"{path}[{index}].frontend: {first} is an export by {export.frontend!r} "
                    "already; a front end serves a volume once",
                    key="frontend",
                )
            if other.access is export.access is Access.RW:
                raise one.error(
                    f"{path}[{index}]: {export.frontend!r} would write, and so would "
                    f"{other.frontend!r}, {first}; one export of a volume writes at most: give "
                    "one of the two `access: ro`",
                    key="access" if "access" in entries(one, path) else "frontend",
                )
        exports.append(export)
    return tuple(exports)


def _parse_export(value: Value, registry: Registry, reading: Reading, path: str) -> Export:
    shape = parse_options(ExportShape, value, reading, path)
    named = entries(value, path)["frontend"]
    frontend = find("front end", registry.frontends, named, path, registry)
    options = Section(frontend, value, shape.options).parse(
        frontend.volume_options, reading, f"{path}.options"
    )
    return Export(frontend=frontend.name, options=options, access=shape.access)


def is_short(exports: tuple[Export, ...]) -> bool:
    """True if `frontend:` and `frontend_options:` say all that there is to say of them."""
    return len(exports) == 1 and exports[0].access is Access.RW


def exports_to_mapping(exports: tuple[Export, ...], *, hide_secrets: bool) -> dict[str, Any]:
    """Return the plain values that `parse_exports` makes equal ones from: the short form where it
    says all, which is what states of older versions hold."""
    plain = [to_json(one.options, hide_secrets=hide_secrets) for one in exports]
    if is_short(exports):
        return {"frontend": exports[0].frontend, "frontend_options": plain[0]}
    return {
        "exports": [
            {"frontend": one.frontend, "access": one.access.value, "options": options}
            for one, options in zip(exports, plain, strict=True)
        ]
    }


def check_exports(
    volume: VolumeSpec,
    value: Value,
    frontends: Mapping[str, Any],
    registry: Registry,
    holders: dict[tuple[str, str], str],
) -> None:
    """Check that every export has a front end with options, and an identity of its own there.

    Args:
        volume: The volume.
        value: Its mapping.
        frontends: Options of front ends, by name.
        registry: The plugins.
        holders: Which volume has which identity of which front end; grows.

    Raises:
        ConfigError: One has not.
    """
    is_short = "exports" not in entries(value, "")
    frontend_key, options_key = (
        ("frontend", "frontend_options") if is_short else ("exports", "exports")
    )
    for export in volume.exports:
        if export.frontend not in frontends:
            raise value.error(
                f"volumes.{volume.name}: the front end {export.frontend!r} needs a section under "
                "`frontends:`; see `tierce plugin show`",
                key=frontend_key,
            )
        section = frontends[export.frontend]
        identity = _identity(volume, export, section, registry, value, frontend_key)
        other = holders.setdefault((export.frontend, identity), volume.name)
        if other != volume.name:
            raise value.error(
                f"volumes.{volume.name}: the front end {export.frontend!r} would serve it as "
                f"{identity!r}, and the volume {other!r} too",
                key=options_key,
            )


def portal_sections(config: Config) -> dict[str, Any]:
    """Return the options of the front ends for which the portal listens, by name."""
    return {
        name: section
        for name, section in config.frontends.items()
        if config.registry.frontends[name].listens is Listens.PORTAL
    }


def identity_of(registry: Registry, section: Any, volume: str, export: Export) -> str:
    """Return what is unique of an export among those of its front end.

    Raises:
        PluginError: There is no such function.
        Exception: The function is the plugin's and may raise anything.
    """
    reference = registry.frontends[export.frontend].identity
    with blaming(registry, "front end", export.frontend, "naming the volume"):
        identity = resolve(reference)
        if not callable(identity):
            raise PluginError(f"{reference} is no function", plugin=export.frontend)
        return str(identity(section, volume, export.options))


def _identity(
    volume: VolumeSpec, export: Export, section: Any, registry: Registry, value: Value, key: str
) -> str:
    try:
        return identity_of(registry, section, volume.name, export)
    except PluginError as error:
        raise value.error(f"volumes.{volume.name}: {error}", key=key) from error
    except Exception as error:
        raise value.error(
            f"volumes.{volume.name}: the front end {export.frontend!r} can't name it: "
            f"{explain(error)}",
            key=key,
        ) from error
