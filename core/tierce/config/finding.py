"""From a name in a config file to what a plugin brings under it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from tierce.config.source import Value
from tierce.registry import Registry, nearest

D = TypeVar("D")


def find(
    family: str, known: Mapping[str, D], name: str, value: Value, path: str, registry: Registry
) -> D:
    """Return the description of that name.

    Raises:
        ConfigError: No enabled plugin brings it.
    """
    if name in known:
        return known[name]
    prefix = f"{path}: " if path else ""
    raise value.error(
        f"{prefix}no enabled plugin brings the {family} {name!r}"
        f"{nearest(name, known)}{registry.left_out()}"
    )
