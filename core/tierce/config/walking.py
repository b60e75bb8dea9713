"""Walking through what a config file has set, and naming the place of one setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from tierce.config.model import Config
from tierce.errors import ConfigError
from tierce.options import OptionInfo, option_info


def leaves(options: Any, path: str) -> Iterator[tuple[str, OptionInfo, Any]]:
    """Yield key, declaration and value of every option that is set in an instance of an option
    class, those within it too.

    Args:
        options: The instance.
        path: Its own key, as in `Config.origins`.
    """
    for field in attrs.fields(type(options)):
        info = option_info(field)
        yield from _values(getattr(options, field.name), info, f"{path}.{field.name}")


def _values(value: Any, info: OptionInfo, path: str) -> Iterator[tuple[str, OptionInfo, Any]]:
    if isinstance(value, tuple):
        for index, one in enumerate(value):
            yield from _values(one, info, f"{path}[{index}]")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _values(one, info, f"{path}.{key}")
    elif attrs.has(type(value)):
        yield from leaves(value, path)
    elif value is not None:
        yield path, info, value


def origin_of(key: str, origins: Mapping[str, str]) -> str:
    """Return where a value came from: what is known of it, or of what holds it; "default" of what
    no file mentions."""
    while key:
        if key in origins:
            return origins[key]
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return "default"


def located_error(config: Config, key: str, why: str) -> ConfigError:
    """Return an error about one setting of a config file, with file and line.

    Args:
        config: The config file.
        key: The setting: a key of `Config.origins`.
        why: What is wrong with it.
    """
    file, _, line = origin_of(key, config.origins).rpartition(":")
    if not line.isdigit():
        file, line = config.file, "0"
    return ConfigError(f"{key}: {why}", file=file, line=int(line))
