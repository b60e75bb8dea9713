"""Who has yet to hear that the target was started anew (SAM-5 section 6.3.1: power on).

Those that had a session when the last target of the volume ended, however it ended, and those that
are registered: at their first command they are told 29h/00h, so that they look again at what they
rely on. Who had ended its session before has nothing to lose by a restart, and who was never here
has not seen one. Where it isn't known who was here, everyone is told.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Initiators that are remembered as told where everyone is to be; the oldest is told again.
TOLD_COUNT_MAX = 1024


class Restart:
    """See the module.

    Args:
        initiators: Transport IDs of those who are to be told; None: everyone.
    """

    def __init__(self, initiators: Iterable[bytes] | None = ()) -> None:
        self._owed: set[bytes] | None = None if initiators is None else set(initiators)
        self._told: dict[bytes, None] = {}

    @property
    def owed(self) -> frozenset[bytes]:
        """Those of whom it is known that they have not been told."""
        return frozenset(self._owed or ())

    def is_news(self, initiator: bytes) -> bool:
        """True if this one is to be told; from now on it has been."""
        if self._owed is not None:
            is_owed = initiator in self._owed
            self._owed.discard(initiator)
            return is_owed
        if initiator in self._told:
            return False
        while len(self._told) >= TOLD_COUNT_MAX:
            del self._told[next(iter(self._told))]
        self._told[initiator] = None
        return True

    def missed(self, initiator: bytes) -> None:
        """This one's session ended before it was told."""
        if self._owed is not None:
            self._owed.add(initiator)
        self._told.pop(initiator, None)
