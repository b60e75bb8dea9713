"""How long replicas take to answer, counted by the target for each of them.

The state machine notes an answer when it takes it, and the shell counts what was noted: for each
replica a stage of its own, from the sending of a frame to its answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from tierce import Op, Request, Stage, Tracer

#: What a replica's stage is called, before its name, and the stamp of one.
_STAGE = "jiva.replica/"
_STAMP = _STAGE[:-1]
#: Answers that nobody has counted yet; a shell counts after each event.
TRIP_COUNT_MAX = 1024


#: One answer: the replica, what was asked, how many operations its frame had, the seconds from its
#: sending to its answer, whether it was the last of several and so was waited for, how many of the
#: operations failed, and the requests (a list that may have been lengthened since). Not a class: to
#: make one costs as much as all that is counted.
Trip = tuple[str, Op, int, float, bool, int, list[Request]]
#: Noted, and not counted yet, the oldest first.
Trips = deque[Trip]


class RoundTrips:
    """Counts answers.

    Args:
        replicas: The names of a volume's replicas.
        stage: Returns the counters of the stage so named.
        tracer: Where a late answer leaves its stamp on what waited for it.
    """

    def __init__(
        self, replicas: Iterable[str], stage: Callable[[str], Stage], tracer: Tracer
    ) -> None:
        self._tracer = tracer
        self._stages = {name: stage(_STAGE + name) for name in replicas}

    def count(self, trips: Trips, now: float) -> None:
        """Count what was noted at that time."""
        stages, tracer = self._stages, self._tracer
        for replica, op, count, elapsed_s, is_last, failed, requests in trips:
            stage, elapsed_ns = stages[replica], int(elapsed_s * 1e9)
            stage.add(op, count, 0, elapsed_ns)
            if elapsed_ns > tracer.note_ns:
                began_ns = int(now * 1e9) - elapsed_ns
                tracer.note(requests[:count], _STAMP, began_ns, elapsed_ns, replica)
            if is_last:
                stage.last(op, count)
            if failed:
                stage.fail(op, failed)
        trips.clear()
