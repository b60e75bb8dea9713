"""From a factory's name to the thing: the only place where what a plugin describes is imported."""

from __future__ import annotations

import importlib
import re

from tierce.errors import PluginError, explain

#: "package.module:name", the shape of an entry point's object reference.
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def is_reference(text: object) -> bool:
    """True if `text` has the shape "package.module:name"."""
    return isinstance(text, str) and _REFERENCE.fullmatch(text) is not None


def resolve(reference: str) -> object:
    """Import and return what "package.module:name" names.

    Raises:
        PluginError: It can't be imported (whatever the import raised is the cause), or has no
            such name.
    """
    package = reference.partition(":")[0].partition(".")[0]
    if not is_reference(reference):
        raise PluginError(f"{reference!r} is not of the form 'package.module:name'", plugin=package)
    module_name, _, path = reference.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"can't import {module_name}: {explain(error)}", plugin=package
        ) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise PluginError(f"{module_name} has no {path!r}", plugin=package) from error
    return found
