"""Following I/Os one by one for a time: who is written down then is asked for while a volume runs.

What is asked for ends by itself: after its time, when who asked hangs up, and with the target. Then
everything is as it was. One at a time.
"""

from __future__ import annotations

from typing import Any

import attrs

from tierce.actions import Action, Job
from tierce.block.operation import Op
from tierce.errors import ConflictError, TemporaryError, UsageError
from tierce.options import option
from tierce.reactor import Reactor, Timer
from tierce.trace_limits import NEVER, SAMPLE_EVERY, SLOW_NS, TraceLimits
from tierce.tracing import Tracer

#: The longest time: what is asked for by the minute is a job for an exporter.
FOLLOW_S_MAX = 3600.0
#: So often is who asked told that it goes on.
TOLD_EVERY_S = 0.25
#: What can be asked for alone, as users write it.
OPERATIONS = tuple(op.name.lower() for op in Op)
_NS_PER_MS = 1_000_000


@attrs.frozen
class FollowArguments:
    """What `follow` takes."""

    every: int = option(
        default=SAMPLE_EVERY, minimum=0, doc="One in so many is followed; 0 for none."
    )
    slow_ms: float = option(
        default=SLOW_NS / _NS_PER_MS,
        minimum=0.0,
        doc="What takes longer, in milliseconds, is written down as slow; 0 for nothing.",
    )
    operation: str = option(
        default="", choices=("", *OPERATIONS), doc="Follow only these; empty for all."
    )
    initiator: str = option(
        default="",
        doc="Follow only what this one asks for, by its name (an IQN); empty for all.",
    )
    first: int = option(
        default=0, unit="bytes", minimum=0, doc="Follow only what reaches a byte from here on..."
    )
    end: int | None = option(
        default=None,
        unit="bytes",
        minimum=1,
        doc="...and before here; the volume's end if not set.",
    )
    for_s: float = option(
        default=10.0,
        unit="seconds",
        minimum=0.1,
        maximum=FOLLOW_S_MAX,
        doc="After so long it ends by itself.",
    )

    def check(self) -> str | None:
        """Say what is wrong with the range."""
        if self.end is not None and self.end <= self.first:
            return f"no byte is from {self.first} on and before {self.end}"
        return None

    @property
    def limits(self) -> TraceLimits:
        """Who is followed."""
        return TraceLimits(
            every=self.every,
            slow_ns=int(self.slow_ms * _NS_PER_MS) or NEVER,
            op=Op[self.operation.upper()] if self.operation else None,
            initiator=self.initiator,
            first=self.first,
            end=NEVER if self.end is None else self.end,
        )


@attrs.define(eq=False)
class _Following:
    """What is asked for now.

    Attributes:
        job: Who waits for its end.
        began: When it began; CLOCK_MONOTONIC, in seconds.
        for_s: How long it lasts.
        timer: What tells how far it is, and ends it.
    """

    job: Job
    began: float
    for_s: float
    timer: Timer


class Following:
    """The part "tracer" of a volume: `follow`.

    Args:
        volume: The volume's name.
        tracer: Who is followed.
        reactor: The loop.
    """

    def __init__(self, volume: str, tracer: Tracer, reactor: Reactor) -> None:
        self._volume = volume
        self._tracer = tracer
        self._reactor = reactor
        self._usual = tracer.limits
        self._now: _Following | None = None

    def actions(self) -> tuple[Action, ...]:
        """`follow`."""
        return (
            Action(
                name="follow",
                summary="Write I/Os down one by one for a time; answers when that is over.",
                arguments=FollowArguments,
                is_long=True,
            ),
        )

    def manage(self, action: str, arguments: Any, job: Job) -> None:
        """Begin to follow what is asked for."""
        assert action == "follow", "the only one"
        now = self._reactor.now()
        if self._now is not None:
            left_s = self._now.began + self._now.for_s - now
            raise ConflictError(
                f"volume {self._volume}: somebody else follows its I/Os, for {left_s:.0f} s more"
            )
        self._now = following = _Following(job, now, arguments.for_s, self._tell_later())
        self._tracer.limit(arguments.limits)
        job.when_cancelled(lambda: self._cancelled(following))

    def close(self) -> None:
        """The target ends."""
        if self._now is not None:
            why = f"volume {self._volume} is closed: its I/Os are followed no more"
            self._end().fail(TemporaryError(why))

    # -- inside ------------------------------------------------------------------------------------

    def _tell_later(self) -> Timer:
        return self._reactor.call_later(TOLD_EVERY_S, self._tell)

    def _tell(self) -> None:
        following = self._now
        if following is None:
            return
        elapsed_s = self._reactor.now() - following.began
        if elapsed_s >= following.for_s:
            self._end().done()
            return
        following.job.progress(elapsed_s / following.for_s)
        following.timer = self._tell_later()

    def _cancelled(self, following: _Following) -> None:
        """Who asked has hung up."""
        if self._now is following:
            self._end().fail(UsageError("it was cancelled"))

    def _end(self) -> Job:
        following, self._now = self._now, None
        assert following is not None, "only what was begun is ended"
        following.timer.cancel()
        self._tracer.limit(self._usual)
        return following.job
