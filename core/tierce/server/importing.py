"""What plugins name is imported in a child before anything uses it.

An import that hangs or ends its process would cost the fork server, and with it every volume. So it
is tried where it costs a child, and what can't be imported is left out of the registry: volumes
that need it are refused by name, and the others are served.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

from tierce.config import load_registry
from tierce.errors import TierceError
from tierce.reactor import Reactor
from tierce.registry import Registry, Unusable, find_unusable, references

#: Looks at what is not known: (registry, references that are) -> what can't be used.
Find = Callable[[Registry, Container[str]], Unusable]


class Imports:
    """What is known of the imports of one server's plugins.

    Args:
        find: Tries them.
    """

    def __init__(self, find: Find = find_unusable) -> None:
        self._find = find
        self._known: frozenset[str] = frozenset()
        self._is_looking = False
        #: What can't be used, by family and name, and why.
        self.unusable: Unusable = {}

    def look(self, registry: Registry) -> Unusable:
        """Try what these plugins name, wait for that, and return what can't be used."""
        self._learn(registry, self._find(registry, self._known))
        return self.unusable

    def look_again(self, file: Path, reactor: Reactor, then: Callable[[], None]) -> None:
        """Try what is new in a config file without holding the loop, then call `then`: at once
        where nothing is new. While that is under way a second call is for nothing: the file is
        read when it is over."""
        if self._is_looking:
            return
        registry = _registry_of(file)
        if registry is None or references(registry) <= self._known:
            # What is wrong with the file is told by whoever reads it.
            then()
            return

        def looked(found: Unusable | None, _error: BaseException | None) -> None:
            self._is_looking = False
            # What could not be tried counts as good, as it would without trying.
            self._learn(registry, found or {})
            # The file may enable other plugins by now.
            self.look_again(file, reactor, then)

        self._is_looking = True
        reactor.offload(lambda: self._find(registry, self._known), looked)

    def _learn(self, registry: Registry, found: Unusable) -> None:
        self._known |= references(registry)
        self.unusable = {**self.unusable, **found}


def _registry_of(file: Path) -> Registry | None:
    """Return the plugins that a file enables; None if it can't be read, or not without waiting."""
    try:
        return load_registry(file) if file.is_file() else None
    except (TierceError, OSError):
        return None
