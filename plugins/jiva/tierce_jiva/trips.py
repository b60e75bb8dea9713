"""How long replicas take to answer, counted by the target for each of them.

The state machine notes an answer when it takes it, and the shell counts what was noted: for each
replica a stage of its own, from the sending of a frame to its answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from tierce import Op, Stage

#: Answers that nobody has counted yet; a shell counts after each event.
TRIP_COUNT_MAX = 1024


#: One answer: the replica, what was asked, how many operations its frame had, the seconds from its
#: sending to its answer, whether it was the last of several and so was waited for, and how many of
#: the operations failed. Not a class: to make one costs as much as all that is counted.
Trip = tuple[str, Op, int, float, bool, int]
#: Noted, and not counted yet, the oldest first.
Trips = deque[Trip]


class RoundTrips:
    """Counts answers.

    Args:
        replicas: The names of a volume's replicas.
        stage: Returns the counters of the stage so named.
    """

    def __init__(self, replicas: Iterable[str], stage: Callable[[str], Stage]) -> None:
        self._stages = {name: stage(f"jiva.replica/{name}") for name in replicas}

    def count(self, trips: Trips) -> None:
        """Count what was noted."""
        stages = self._stages
        for replica, op, count, elapsed_s, is_last, failed in trips:
            stage = stages[replica]
            stage.add(op, count, 0, int(elapsed_s * 1e9))
            if is_last:
                stage.last(op, count)
            if failed:
                stage.fail(op, failed)
        trips.clear()
