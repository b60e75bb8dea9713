"""What is installed: plugins by name, before any of them is imported."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable

import attrs

#: The entry-point group that plugins announce themselves in.
GROUP = "tierce.plugins"

#: The distribution whose plugins come first: nobody else's can take a name from them.
OWN_PACKAGE = "tierce"


@attrs.frozen
class Candidate:
    """A plugin that could be loaded.

    Attributes:
        name: Its entry point's name: what the config calls it.
        package: The distribution that brings it; empty if unknown.
        version: That distribution's version.
        load: Imports and returns it: a module, or any object with hook implementations.
    """

    name: str
    package: str
    version: str
    load: Callable[[], object]


@attrs.frozen
class PluginRecord:
    """What became of a plugin.

    Attributes:
        name: Its entry point's name.
        package: The distribution that brings it; empty if unknown.
        version: That distribution's version.
        state: "enabled", "disabled" (the config left it out) or "broken".
        reason: Why it is not enabled, or what else there is to say; empty if nothing.
        provides: What it brings, as "engine jiva"; empty unless enabled.
    """

    name: str
    package: str
    version: str
    state: str
    reason: str = ""
    provides: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """The plugin and its package, as messages name them."""
        return f"plugin {self.name!r}" + (f" (package {self.package})" if self.package else "")


def installed() -> tuple[Candidate, ...]:
    """Return every installed plugin: Tierce's own first, then by package and name.

    Reads the metadata of the installed distributions and imports none.
    """
    points = importlib.metadata.entry_points(group=GROUP)
    candidates = []
    for point in points:
        package = point.dist.metadata["Name"] if point.dist else ""
        version = point.dist.version if point.dist else ""
        candidates.append(Candidate(point.name, package, version, point.load))
    return tuple(
        sorted(candidates, key=lambda one: (one.package != OWN_PACKAGE, one.package, one.name))
    )


def candidate(name: str, module: object, package: str) -> Candidate:
    """Return a plugin that is at hand, as tests have it: an object, or a module's name."""
    if isinstance(module, str):
        return Candidate(name, package, "", lambda: importlib.import_module(module))
    return Candidate(name, package, "", lambda: module)
