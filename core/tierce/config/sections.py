"""What a file says of a thing that a plugin brings: its name, and options that are the plugin's.

Front ends, services and exporters, policies, engines, stores, filters and exports are all read by
this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import attrs

from tierce.config.parsing import Reading, entries, parse_options
from tierce.config.source import Value
from tierce.errors import ConfigError
from tierce.registry import Registry, nearest

D = TypeVar("D")
T = TypeVar("T")


@attrs.frozen
class Section(Generic[D]):
    """One thing, as a file has it.

    Attributes:
        description: What the plugin says of it.
        at: Where a reader looks for what is not there.
        options: What the file says of its options; None if nothing.
    """

    description: D
    at: Value
    options: Value | None

    def parse(self, options: type[T], reading: Reading, path: str) -> T:
        """Return its options; without any in the file, their defaults.

        Args:
            options: The option class.
            reading: What is gathered.
            path: The options' own key in `Config.origins`.

        Raises:
            ConfigError: The options are wrong.
        """
        value = self.options
        if value is None or value.content is None:
            value = Value({}, self.at.file, self.at.line)
        return parse_options(options, value, reading, path)

    def without(self, key: str, path: str) -> tuple[Value | None, Section[D]]:
        """Return what the file says under one key that is core's own, and the section without it.

        Raises:
            ConfigError: The section is no mapping.
        """
        if self.options is None:
            return None, self
        items = dict(entries(self.options, path))
        found = items.pop(key, None)
        rest = Value(items, self.options.file, self.options.line, self.options.key_lines)
        return found, attrs.evolve(self, options=rest)

    def error(self, message: str) -> ConfigError:
        """Return the error to raise about it as a whole."""
        return self.at.error(message)


def find(family: str, known: Mapping[str, D], named: Value, path: str, registry: Registry) -> D:
    """Return the description of what a file names.

    Raises:
        ConfigError: No enabled plugin brings it.
    """
    name = named.content
    assert isinstance(name, str), "what a shape calls a name was parsed as text"
    if name in known:
        return known[name]
    prefix = f"{path}: " if path else ""
    if why := registry.unusable.get((family, name)):
        raise named.error(f"{prefix}the {family} {name!r} can't be used: {why}")
    raise named.error(
        f"{prefix}no enabled plugin brings the {family} {name!r}"
        f"{nearest(name, known)}{registry.left_out()}"
    )


def sections_of(
    file: Value, key: str, family: str, known: Mapping[str, D], registry: Registry, reading: Reading
) -> Iterator[tuple[str, Section[D]]]:
    """Yield what stands under one key of the file, by name: each name with its options. Where only
    what is wrong with the file as a whole ends the reading, what can't be used is left out.

    Raises:
        ConfigError: No enabled plugin brings one of them.
    """
    whole = entries(file, "").get(key)
    if whole is None:
        return
    for name, options in entries(whole, key).items():
        # The name's line is where a reader looks, also if the section is empty.
        named: Value = Value(name, whole.file, whole.key_lines.get(name, whole.line))
        if leaves_out(family, named, key, registry, reading):
            continue
        yield name, Section(find(family, known, named, key, registry), named, options)


def leaves_out(family: str, named: Value, path: str, registry: Registry, reading: Reading) -> bool:
    """Leave out what can't be used, and advise of it; return False if it is to be taken as any
    other."""
    why = registry.unusable.get((family, str(named.content)))
    if reading.refused is None or not why:
        return False
    what = f"the {family} {named.content!r} is left out"
    reading.advice.append(f"{named.origin}: {path}: {what}: {why}")
    return True
