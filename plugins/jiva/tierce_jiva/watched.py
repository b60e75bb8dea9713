"""Questions that somebody watches: how long a replica had them, and whose they are. Sans-I/O.

Nearly no frame is watched, and costs nothing here. The clock is read for durations alone: nothing
that the replica does depends on it.
"""

from __future__ import annotations

import attrs

from tierce_jiva.frame_head import Asking, Durations, Extension, Stages, extended

#: What took a replica longer, and is followed, is told in its log.
SLOW_NS = 50_000_000


@attrs.define(eq=False)
class Watched:
    """A frame that is timed, or followed.

    Attributes:
        extension: What it came with.
        arrived_ns: When the replica got it.
        began_ns: When it was begun.
        ended_ns: When it was done.
    """

    extension: Extension
    arrived_ns: int
    began_ns: int = 0
    ended_ns: int = 0

    @property
    def asking(self) -> Asking | None:
        """Whose question it is, if that I/O is followed."""
        return self.extension.asking

    def tell(self, front: bytes, stages: Stages) -> bytes:
        """Return the answer, or its front, with how long the question took if it was timed."""
        if not self.extension.is_timed:
            return front
        waited_ns = max(self.began_ns - self.arrived_ns, 0)
        took_ns = max(self.ended_ns - self.began_ns, 0)
        return extended(front, Extension(durations=Durations(stages, waited_ns, took_ns)))

    @property
    def is_slow(self) -> bool:
        """True if it is followed, and took long: then the replica's log has it."""
        return self.asking is not None and self.ended_ns - self.arrived_ns > SLOW_NS


def ids_of(asking: Asking | None) -> dict[str, str]:
    """Return whose frame it was, as logs and events tell it; nothing if nobody follows that."""
    if asking is None:
        return {}
    return {"trace_id": asking.trace_id.hex(), "span_id": asking.span_id.hex()}


def asking_of(watched: list[Watched | None]) -> Asking | None:
    """Return whose question the first of these is that is followed."""
    return next((one.asking for one in watched if one is not None and one.asking), None)
