"""Who may use a volume: one export that writes, and any number that read beside it.

Exports of one volume share a pipeline, so that a reader sees each write once it is acknowledged.
What two writers would not share is what their protocols promise besides: a reservation by one
front end means nothing to another.
"""

from __future__ import annotations

from tierce.errors import ConflictError
from tierce.spec import Access, Export


class ExportClaims:
    """The claims of exports on one volume in this process.

    Args:
        volume: Its name, for errors.
    """

    def __init__(self, volume: str) -> None:
        self._volume = volume
        self._exports: list[Export] = []

    def claim(self, export: Export) -> None:
        """Claim the volume for an export, for as long as its process lives.

        Raises:
            ConflictError: Another claim stands against it; names both.
        """
        for other in self._exports:
            if other.frontend == export.frontend:
                raise ConflictError(
                    f"volume {self._volume}: two exports by {export.frontend!r}; a front end "
                    "serves a volume once"
                )
            if other.access is export.access is Access.RW:
                raise ConflictError(
                    f"volume {self._volume}: {export.frontend!r} would write, and "
                    f"{other.frontend!r} does; one export of a volume writes at most"
                )
        self._exports.append(export)
