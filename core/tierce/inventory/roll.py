"""The roll: which volumes should be served now, and why others are not as the file says."""

from __future__ import annotations

import attrs

from tierce.config import Config
from tierce.inventory.engines import Served


@attrs.define(eq=False)
class Roll:
    """What is served.

    Attributes:
        served: The volumes, by name.
        errors: Why volumes are not served as the config file says, by name; those that could be
            are served with the settings that they had.
        version: Counts changes of what is served, so that plans are made only when they can differ.
    """

    served: dict[str, Served] = attrs.field(factory=dict)
    errors: dict[str, Exception] = attrs.field(factory=dict)
    version: int = 0
    _config: Config | None = None

    @property
    def config(self) -> Config:
        """The config file as it is in force."""
        assert self._config is not None, "a file was read first"
        return self._config

    def begin(self, config: Config) -> dict[str, Served]:
        """Begin anew, as a config file says; return what was served."""
        before, self.served = self.served, {}
        self.errors = {}
        self._config = config
        return before

    def put(self, name: str, served: Served | None) -> None:
        """Serve a volume, or serve it no more."""
        if served is None:
            self.served.pop(name, None)
        else:
            self.served[name] = served
        self.version += 1
