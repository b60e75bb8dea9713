"""Reading a config file as a whole: sections, plugins, volumes, and what must hold among them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tierce.config.exports import check_exports
from tierce.config.model import (
    Config,
    FileShape,
    PluginsSection,
    PolicyDocument,
    PolicyShape,
    Selector,
    ServiceSection,
)
from tierce.config.parsing import Reading, entries, parse_options
from tierce.config.sections import Section, find, leaves_out, sections_of
from tierce.config.source import Value, parse, read_file
from tierce.config.volumes import parse_volume, volume_key
from tierce.descriptions import Listens, Scope, ServiceDescription
from tierce.errors import ConfigError
from tierce.registry import Registry, Unusable, installed, nearest
from tierce.spec import VolumeSpec


def load_config(
    path: Path,
    registry: Registry | None = None,
    *,
    is_lenient: bool = False,
    tried: Callable[[Registry], Unusable] | None = None,
) -> Config:
    """Read and check a config file. Starts nothing.

    Args:
        path: The file. Relative paths in it start from its folder.
        registry: The plugins, for tests; None takes those that the file enables.
        is_lenient: What is wrong with one volume alone goes to `Config.refused`, and the rest is
            taken.
        tried: Says what can't be used of the plugins that the file enables, before anything of them
            is imported.

    Raises:
        ConfigError: The file is wrong; names file and line.
    """
    # Once: it may be a pipe.
    value = read_file(path)
    if registry is None and tried is not None:
        section = _plugins_section(value, Reading(path.absolute().parent))
        registry = load_plugins(value, section)
        if unusable := tried(registry):
            registry = load_plugins(value, section, unusable)
    return _config(value, path, registry, {} if is_lenient else None)


def load_registry(path: Path) -> Registry:
    """Return the registry of the plugins that a config file enables; the rest of the file is not
    looked at, so that a mistake there does not hide why a plugin is left out.

    Raises:
        ConfigError: The file can't be read, or its section `plugins:` is wrong.
    """
    value = read_file(path)
    return load_plugins(value, _plugins_section(value, Reading(path.absolute().parent)))


def config_from_bytes(data: bytes, path: Path, registry: Registry | None = None) -> Config:
    """Check the bytes of a config file that would lie at `path`; as `load_config`."""
    return _config(parse(data, str(path)), path, registry, None)


def _config(
    value: Value, path: Path, registry: Registry | None, refused: dict[str, ConfigError] | None
) -> Config:
    reading = Reading(path.absolute().parent, refused=refused)
    plugins = _plugins_section(value, reading)
    if registry is None:
        registry = load_plugins(value, plugins)
    # What `volumes:` and `policies:` hold is parsed below, by those who know the plugins.
    shape = parse_options(FileShape, _without(value, "volumes", "policies"), reading, "")
    found = list(_volumes(value, registry, reading))
    frontends = _frontends(value, registry, reading)
    volumes = tuple(_check_volumes(found, frontends, registry, reading))
    names = {volume.name for volume in volumes}.union(refused or ())
    policies = tuple(_policies(value, registry, reading, names))
    services = _services(value, registry, reading, names)
    return Config(
        file=str(path),
        data_dir=Path(shape.data_dir),
        registry=registry,
        frontends=frontends,
        services=services,
        policies=policies,
        volumes=volumes,
        limits=shape.limits,
        origins=reading.origins,
        advice=(*_plugin_advice(registry, value.file), *reading.advice),
        refused=refused or {},
    )


def _plugins_section(value: Value, reading: Reading) -> PluginsSection:
    section = entries(value, "").get("plugins", Value({}, value.file, value.line))
    return parse_options(PluginsSection, section, reading, "plugins")


def load_plugins(
    value: Value, section: PluginsSection, unusable: Unusable = MappingProxyType({})
) -> Registry:
    """Return the registry of what `plugins:` enables.

    Args:
        value: The whole file.
        section: Its section `plugins:`.
        unusable: What of them is left out.

    Raises:
        ConfigError: A name in it is not installed.
    """
    candidates = installed()
    names = {one.name for one in candidates}
    section_value = entries(value, "").get("plugins")
    for key, item in entries(section_value, "plugins").items() if section_value else ():
        for one in item.content if isinstance(item.content, list) else ():
            if one.content not in names:
                assert isinstance(one.content, str), "the section was parsed before"
                raise one.error(
                    f"plugins.{key}: the plugin {one.content!r} is not installed"
                    f"{nearest(one.content, names)}"
                )
    return Registry(candidates, section.enable, section.disable, unusable)


def _plugin_advice(registry: Registry, file: str) -> Iterable[str]:
    for record in registry.plugins:
        if record.state == "broken":
            yield f"{file}: {record.origin} is left out: {record.reason}"


def _without(value: Value, *keys: str) -> Value:
    items = {key: one for key, one in entries(value, "").items() if key not in keys}
    return Value(items, value.file, value.line, value.key_lines)


def _list(value: Value, key: str, reading: Reading) -> list[Value]:
    section = entries(value, "").get(key)
    if section is None:
        return []
    reading.origins[key] = section.origin
    if section.content is None:
        return []
    if not isinstance(section.content, list):
        raise section.error(f"{key}: expected a list, got {section.describe()}")
    return section.content


def _volumes(
    value: Value, registry: Registry, reading: Reading
) -> Iterator[tuple[VolumeSpec, Value]]:
    """Yield each volume and its mapping."""
    taken: set[str] = set()
    for index, one in enumerate(_list(value, "volumes", reading)):
        named = entries(one, f"volumes[{index}]").get("name")
        if named is not None and isinstance(named.content, str) and named.content in taken:
            first = reading.origins[f"volumes.{named.content}"]
            raise named.error(f"there is a volume {named.content!r} already, in {first}")
        try:
            volume = parse_volume(one, registry, reading, f"volumes[{index}]")
        except ConfigError as error:
            taken.add(_refuse(one, error, reading))
        else:
            taken.add(volume.name)
            yield volume, one


def _refuse(value: Value, error: ConfigError, reading: Reading) -> str:
    """Leave a volume out that is wrong, and return its name; one without a name, or where nothing
    may be wrong, ends the reading."""
    key = volume_key(value, "")
    if reading.refused is None or not key:
        raise error
    name = key.removeprefix("volumes.")
    reading.refused[name] = error
    reading.origins[key] = value.origin
    return name


def _frontends(value: Value, registry: Registry, reading: Reading) -> dict[str, Any]:
    found = {}
    known = registry.frontends
    for name, section in sections_of(value, "frontends", "front end", known, registry, reading):
        description, path = section.description, f"frontends.{name}"
        found[name] = section.parse(description.options, reading, path)
        is_portal = description.listens is Listens.PORTAL
        options = section.options
        if is_portal and not found[name].listen and options and "listen" in entries(options, path):
            raise options.error(
                f"{path}.listen: it names no address, so nobody could log in; for example "
                '["127.0.0.1:3260"]',
                key="listen",
            )
    for name, description in known.items():
        if name not in found:
            # One without defaults is not there: a volume that wants it is told by check_exports.
            with contextlib.suppress(ConfigError):
                section = Section(description, value, None)
                found[name] = section.parse(description.options, reading, f"frontends.{name}")
    return found


def _services(
    value: Value, registry: Registry, reading: Reading, known: set[str]
) -> dict[str, ServiceSection]:
    found: dict[str, ServiceSection] = {}
    # `exporters:` is another name of the section.
    for key in ("services", "exporters"):
        known_services = registry.services
        sections = sections_of(value, key, "service", known_services, registry, reading)
        for name, section in sections:
            description, path = section.description, f"services.{name}"
            if name in found:
                first = reading.origins[path]
                raise section.error(
                    f"{key}.{name}: the service {name!r} is there already, in {first}"
                )
            if description.scope is Scope.POOL:
                raise section.error(
                    f"{key}.{name}: the service {name!r} is one of a pool, and this Tierce has no "
                    "pools"
                )
            reading.origins[path] = section.at.origin
            found[name] = _service(section, reading, path)
            advice = f"service {name!r}"
            _advise_unknown(section.at, advice, found[name].volumes, known, reading)
    return found


def _service(section: Section[ServiceDescription], reading: Reading, path: str) -> ServiceSection:
    scope = section.description.scope
    volumes: tuple[str, ...] = ()
    if scope is Scope.VOLUME:
        selector, section = section.without("selector", path)
        if selector is not None:
            volumes = parse_options(Selector, selector, reading, f"{path}.selector").volumes
    options = section.parse(section.description.options, reading, path)
    return ServiceSection(options, scope, volumes)


def _advise_unknown(
    at: Value, who: str, volumes: Iterable[str], known: set[str], reading: Reading
) -> None:
    """Advise of volumes that something selects and that the file does not name."""
    for name in sorted(set(volumes) - known):
        reading.advice.append(
            f"{at.origin}: {who} selects the volume {name!r}, which this file does not name"
        )


def _policies(
    value: Value, registry: Registry, reading: Reading, known: set[str]
) -> list[PolicyDocument]:
    documents: list[PolicyDocument] = []
    taken: set[str] = set()
    for index, one in enumerate(_list(value, "policies", reading)):
        kind = entries(one, f"policies[{index}]").get("kind")
        path = f"policies[{index}].kind"
        if kind is not None and leaves_out("policy handler", kind, path, registry, reading):
            continue
        document = _policy(one, registry, reading, f"policies[{index}]")
        if document.name in taken:
            raise one.error(
                f"policies[{index}].name: there is a policy {document.name!r} already", key="name"
            )
        _advise_unknown(one, f"policy {document.name!r}", document.volumes, known, reading)
        documents.append(document)
        taken.add(document.name)
    return documents


def _policy(value: Value, registry: Registry, reading: Reading, path: str) -> PolicyDocument:
    shape = parse_options(PolicyShape, value, reading, path)
    kind = entries(value, path)["kind"]
    handler = find("policy handler", registry.policy_handlers, kind, f"{path}.kind", registry)
    return PolicyDocument(
        kind=shape.kind,
        name=shape.name,
        volumes=shape.selector.volumes,
        parameters=Section(handler, value, shape.parameters).parse(
            handler.options, reading, f"{path}.parameters"
        ),
    )


def _check_volumes(
    volumes: Iterable[tuple[VolumeSpec, Value]],
    frontends: Mapping[str, Any],
    registry: Registry,
    reading: Reading,
) -> Iterator[VolumeSpec]:
    """Yield the volumes whose exports are right."""
    holders: dict[tuple[str, str], str] = {}
    for volume, one in volumes:
        try:
            check_exports(volume, one, frontends, registry, holders)
        except ConfigError as error:
            _refuse(one, error, reading)
        else:
            yield volume
