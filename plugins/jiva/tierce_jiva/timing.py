"""Which frames a target has its replicas time, and whose frames they are told to be. Sans-I/O.

Timed are frames of sampled I/Os, every FLUSH, and for a second all of them once an answer has come
late: what is slow now mostly is so in a moment, and to time all of them always would cost 2 % of
all writes. What a replica tells are durations; where they lie within the round trip, nobody knows,
and they are taken to lie in the middle of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from tierce import Request, Trace, Tracer, span_id_of
from tierce_jiva.frame_head import Asking, Durations, Extension, Stages

#: The stage of a round trip to one replica.
ROUND_TRIP = "jiva.replica"
#: How long everything is timed once an answer has come late, in seconds.
TIMED_S = 1.0
#: Stamps are numbered below this.
_NUMBER_COUNT = 1 << 16
_TIMED = Extension(is_timed=True)
#: The names of the stages that a replica tells of.
_NAMES = {
    Stages.QUEUE_APPLY: ("replica.queue", "replica.apply"),
    Stages.SYNC_WAIT_SYNC: ("replica.sync_wait", "replica.sync"),
    Stages.QUEUE_READ: ("replica.queue", "replica.read"),
}


def number_of(sequence: int) -> int:
    """Return the number of a frame among the round trips of one I/O to one replica."""
    return sequence % _NUMBER_COUNT


class Timing:
    """What is timed.

    Args:
        tracer: Who is followed.

    Attributes:
        tracer: As above.
        until: Everything is timed until then, in seconds.
    """

    __slots__ = ("tracer", "until")

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.until = -math.inf

    def extension(
        self, requests: Iterable[Request], replica: str, sequence: int, *, is_timed: bool
    ) -> Extension | None:
        """Return what a question is to carry.

        Args:
            requests: What it is for.
            replica: Who is asked.
            sequence: The question's number.
            is_timed: It is timed though none of these is sampled.
        """
        tracer = self.tracer
        trace = tracer.sampled(requests) if tracer.live else None
        return self.told(trace, replica, sequence, is_timed=is_timed)

    @staticmethod
    def told(
        trace: Trace | None, replica: str, sequence: int, *, is_timed: bool
    ) -> Extension | None:
        """Return what a question of an I/O that is followed so is to carry."""
        if trace is None:
            return _TIMED if is_timed else None
        span_id = span_id_of(trace.span_id, ROUND_TRIP, replica, number_of(sequence))
        return Extension(is_timed=True, asking=Asking(trace.trace_id, span_id))

    def note(self, requests: list[Request], stage: str, began_ns: int, elapsed_ns: int) -> None:
        """Leave the stamp of a stage that all of these had."""
        noted = requests if self.tracer.is_noted(elapsed_ns) else _followed(requests)
        self.tracer.note(noted, stage, began_ns, elapsed_ns)

    def stamp(
        self,
        requests: list[Request],
        replica: str,
        now: float,
        elapsed_ns: int,
        sequence: int,
        told: Extension | None,
    ) -> None:
        """Leave the stamps of a round trip, and have everything timed if it was slow."""
        tracer, number = self.tracer, number_of(sequence)
        if not tracer.is_noted(elapsed_ns):
            requests = _followed(requests)
        began_ns = int(now * 1e9) - elapsed_ns
        durations = None if told is None else told.durations
        if durations is not None:
            for stage, start_ns, took_ns in _placed(durations, elapsed_ns):
                if took_ns > tracer.note_ns:
                    at_ns = began_ns + start_ns
                    tracer.note(requests, stage, at_ns, took_ns, replica, number)
        tracer.note(requests, ROUND_TRIP, began_ns, elapsed_ns, replica, number)
        if tracer.is_slow(elapsed_ns):
            self.until = now + TIMED_S


def _followed(requests: list[Request]) -> list[Request]:
    """Return those that may be followed; the others, which are many, have no stamp of this."""
    return [request for request in requests if request.trace is not None]


def _placed(durations: Durations, elapsed_ns: int) -> list[tuple[str, int, int]]:
    """Return name, beginning within the round trip, and length of each stage."""
    first, second = _NAMES[durations.stages]
    # Its clock may run a little faster than ours.
    second_ns = min(durations.second_ns, elapsed_ns)
    first_ns = min(durations.first_ns, elapsed_ns - second_ns)
    start_ns = (elapsed_ns - first_ns - second_ns) // 2
    return [(first, start_ns, first_ns), (second, start_ns + first_ns, second_ns)]
