"""Looks at the volumes of a data folder: their pages, their records, and what a server adds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.errors import TemporaryError, TierceError, UsageError
from tierce.node.observing import read_statistics
from tierce.node.trace_following import kept_records
from tierce.process.client import ask
from tierce.process.messages import Message
from tierce.process.paths import Paths
from tierce.services import TraceRecord, VolumeStatistics

#: A server that says nothing for so long is done without...
PATIENCE_S = 1.0
#: ... and is asked again so much later.
ASKED_AGAIN_S = 10.0
NO_SERVER = "no server runs: these are what its processes have left, or go on with"


@attrs.frozen
class Look:
    """One look.

    Attributes:
        volumes: Their statistics, by name.
        at: When; seconds of a clock that only grows.
        is_served: A server has answered.
    """

    volumes: Mapping[str, VolumeStatistics]
    at: float
    is_served: bool


class Looker:
    """Looks at the volumes of a data folder. A server is not needed, and not waited for.

    Args:
        data: The data folder.
        volume: The only volume that is looked at; empty for all.
    """

    def __init__(self, data: Path, volume: str = "") -> None:
        self.paths = Paths(data)
        self._volume = volume
        self._is_served = False
        #: Not before then is a server asked that has not answered.
        self._asked_from = 0.0

    def look(self) -> Look:
        """Take one.

        Raises:
            UsageError: There is no such data folder, or no such volume.
        """
        volumes = read_statistics(self.paths, self._rows, self._volume)
        if self._volume and not any(one.target is not None for one in volumes.values()):
            raise UsageError(self._missing(self._volume))
        return Look(volumes, time.monotonic(), self._is_served)

    def records(self, first: int = 0) -> tuple[list[TraceRecord], int]:
        """Return the records of the one volume from a number on, and the number of the next."""
        kept = kept_records(self.paths.traces(self._volume), first)
        return list(kept.records), kept.following

    def engine(self) -> str:
        """Return the engine of the one volume; empty while no server says it."""
        try:
            rows, _answer = ask(self.paths.data, {"do": "list"}, patience_s=PATIENCE_S)
        except TierceError:
            return ""
        return next((str(row["engine"]) for row in rows if row["name"] == self._volume), "")

    def act(self, part: str, action: str) -> dict[str, Any]:
        """Have an action of the one volume carried out that takes nothing; return its answer.

        Raises:
            TierceError: It was not.
        """
        message = {"do": "act", "volume": self._volume, "part": part, "action": action}
        rest: dict[str, Any] = {"arguments": {}, "words": {}, "base": "/"}
        return ask(self.paths.data, {**message, **rest})[1]

    def _rows(self, message: Message) -> list[dict[str, Any]]:
        self._is_served = False
        now = time.monotonic()
        if now < self._asked_from:
            return []
        try:
            rows, _answer = ask(self.paths.data, message, patience_s=PATIENCE_S)
        except TemporaryError:
            self._asked_from = time.monotonic() + ASKED_AGAIN_S * (
                time.monotonic() - now >= PATIENCE_S
            )
            return []
        self._is_served = True
        return rows

    def _missing(self, name: str) -> str:
        running = ", ".join(sorted({path.stem.partition(".")[0] for path in self._pages()}))
        rest = f"there are {running}" if running else "there is none at all"
        served = "" if self._is_served else ", and no server runs"
        return f"volume {name}: nothing of it runs or has run here{served}; {rest}"

    def _pages(self) -> list[Path]:
        return sorted(self.paths.run.glob("*.stats"))
