"""What waits on a replica's connection behind a batch that its store has not admitted yet.

The store is asked before a batch is carried out. While it makes the target wait, the batch and all
that came behind it on that connection lie in the receive buffer, in order, and nothing more is
received there. Whoever is promised next ends that connection, and what lies there is never carried
out, as all that had not arrived by then.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce import BatchEntry
from tierce_jiva.replica_data import entries_of
from tierce_jiva.wire import Frame

#: Asks the store whether these entries may be carried out; if not, `Replica.admitted` is called
#: with the number once they may.
Admit = Callable[[int, list[BatchEntry]], bool]


@attrs.frozen
class Held:
    """Frames that wait.

    Attributes:
        number: Of the question that was asked of the store.
        connection: Where they came.
        frames: The batch that the store is to admit, and what came behind it.
        arrived_ns: When they came.
    """

    number: int
    connection: int
    frames: list[Frame]
    arrived_ns: int


class HeldFrames:
    """At most one batch, and what came behind it: only the promised connection brings batches.

    Args:
        admit: Asks the store.
        size_bytes: The volume's size in bytes.
    """

    def __init__(self, admit: Admit, size_bytes: int) -> None:
        self._admit = admit
        self._size_bytes = size_bytes
        self._number = 0
        self._held: Held | None = None
        #: The batch that was released last: it is not asked about again.
        self._admitted: Frame | None = None

    def must_wait(
        self, connection: int, batch: Frame, frames: list[Frame], arrived_ns: int = 0
    ) -> bool:
        """Ask the store about a batch; if it must wait, keep it and what comes behind it.

        Raises:
            ProtocolError: An entry is unknown or not in the volume.
        """
        if batch is self._admitted:
            self._admitted = None
            return False
        entries = entries_of(batch, self._size_bytes)
        if not entries:
            return False
        self._number += 1
        if self._admit(self._number, entries):
            return False
        waiting = frames[frames.index(batch) :]
        self._held = Held(self._number, connection, waiting, arrived_ns)
        return True

    def release(self, number: int) -> Held | None:
        """The store has answered a question: return what waits for it; None if that was dropped."""
        held = self._held
        if held is None or held.number != number:
            return None
        self._held, self._admitted = None, held.frames[0]
        return held

    def drop(self, connection: int) -> None:
        """The connection has ended."""
        if self._held is not None and self._held.connection == connection:
            self._held = None

    def __bool__(self) -> bool:
        """True while anything waits."""
        return self._held is not None
