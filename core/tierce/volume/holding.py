"""Holding a volume still: for a while no write is acknowledged, and none is under way.

A hold is what a copy of several volumes at one moment is made with: hold each, copy each, release
each. The rules:

- While it holds, everything that changes bytes waits at the top of the pipeline, in the order in
  which it came; it has not begun. Reads and flushes go on, and a read that overlaps what waits
  finds what was there before.
- `hold` answers when all that was submitted before is over: answered, and, of what a device had
  given up (tierce.block.quiet), certain to change nothing any more.
- It ends by `release`, by its own time limit, which is told by an event, or with the target. Then
  what waited goes down in its order. `release` of a hold that ran out is refused: what was copied
  meanwhile may be torn.
- One at a time. What waits is bounded by what front ends let their initiators send.

It costs nothing while nothing is held: the emulator looks at one value more or less, the one that
says whether a batch may pass as it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from tierce.actions import Action, Job
from tierce.block.operation import Completed, Request
from tierce.block.quiet import when_quiet
from tierce.errors import ConflictError, TemporaryError, UsageError
from tierce.options import option
from tierce.reactor import Reactor, Timer
from tierce.spec import Event
from tierce.volume.completion import Completion
from tierce.volume.emulate import Emulator

#: The longest hold: initiators give up on a write after 30 s or so.
HOLD_S_MAX = 60.0
#: Holds that are over and whose end is remembered.
ENDED_COUNT_MAX = 64


@attrs.frozen
class HoldArguments:
    """What `hold` takes."""

    id: str = option(doc="The hold's name, to release it by.")
    timeout_s: float = option(
        default=10.0,
        unit="seconds",
        minimum=0.001,
        maximum=HOLD_S_MAX,
        doc="It is released by itself after so long.",
    )


@attrs.frozen
class ReleaseArguments:
    """What `release` takes."""

    id: str = option(doc="The name that the hold was given.")


@attrs.frozen
class ReleaseResult:
    """What `release` answers."""

    held_s: float = option(default=0.0, unit="seconds", doc="How long writes waited at most.")
    waited_count: int = option(default=0, doc="Writes that waited.")


@attrs.define(eq=False)
class _Hold:
    """The hold of now.

    Attributes:
        id: Its name.
        began: When it was asked for; CLOCK_MONOTONIC.
        timer: What ends it.
        job: Who waits until all is over that was under way; None once that is answered.
        kept: What waits.
    """

    id: str
    began: float
    timer: Timer
    job: Job | None
    kept: deque[tuple[list[Request], Completed]] = attrs.field(factory=deque)


class Holding:
    """`hold` and `release`, of the part "target" of a volume.

    Args:
        volume: The volume's name.
        emulator: The top of its pipeline.
        completion: Knows what is under way below that.
        reactor: The loop.
        emit: Reports an event.
    """

    def __init__(
        self,
        volume: str,
        emulator: Emulator,
        completion: Completion,
        reactor: Reactor,
        emit: Callable[[Event], None],
    ) -> None:
        self._volume = volume
        self._emulator = emulator
        self._completion = completion
        self._reactor = reactor
        self._emit = emit
        self._hold: _Hold | None = None
        self._ended: dict[str, str] = {}
        self._is_closed = False

    def actions(self) -> tuple[Action, ...]:
        """`hold` and `release`."""
        return (
            Action(
                name="hold",
                summary="Stop acknowledging writes; answers when none is under way.",
                arguments=HoldArguments,
                is_long=True,
            ),
            Action(
                name="release",
                summary="Let the writes of a hold go on; refused if it had run out.",
                arguments=ReleaseArguments,
                result=ReleaseResult,
            ),
        )

    def manage(self, action: str, arguments: Any, job: Job) -> None:
        """Hold or release."""
        if action == "hold":
            self._begin(arguments, job)
        else:
            job.done(self._release(arguments.id))

    def kept(self) -> Iterator[tuple[Request, str, float]]:
        """Yield what waits, the hold that keeps it, and when that began; CLOCK_MONOTONIC."""
        hold = self._hold
        if hold is not None:
            for batch, _completed in hold.kept:
                for request in batch:
                    yield request, hold.id, hold.began

    def close(self) -> None:
        """End a hold with the target: what waited goes on, and is answered."""
        self._is_closed = True
        if self._hold is not None:
            job = self._hold.job
            self._let_go("released")
            if job is not None:
                job.fail(TemporaryError(f"volume {self._volume} is closed: it is not held"))

    # -- inside ------------------------------------------------------------------------------------

    def _begin(self, wanted: HoldArguments, job: Job) -> None:
        if self._is_closed:
            raise TemporaryError(f"volume {self._volume} is closed: it can't be held")
        if not wanted.id:
            raise UsageError("a hold needs a name: id is empty")
        if self._hold is not None:
            raise ConflictError(f"volume {self._volume} is held already, by {self._hold.id!r}")
        self._ended.pop(wanted.id, None)
        hold: _Hold
        timer = self._reactor.call_later(wanted.timeout_s, lambda: self._expire(hold))
        hold = self._hold = _Hold(wanted.id, self._reactor.now(), timer, job)
        self._emulator.hold(lambda batch, completed: hold.kept.append((batch, completed)))
        job.when_cancelled(lambda: self._cancelled(hold))
        self._completion.when_completed(lambda: self._completed(hold))

    def _completed(self, hold: _Hold) -> None:
        self._emulator.when_unchanging(
            lambda: when_quiet(
                self._emulator, lambda: self._reactor.call_soon(lambda: self._still(hold))
            )
        )

    def _still(self, hold: _Hold) -> None:
        """Nothing is under way any more."""
        if self._hold is hold and hold.job is not None:
            job, hold.job = hold.job, None
            job.done()

    def _cancelled(self, hold: _Hold) -> None:
        """Who asked has gone before it was still."""
        if self._hold is hold:
            job = hold.job
            self._let_go("released")
            if job is not None:
                job.fail("the hold was cancelled")

    def _expire(self, hold: _Hold) -> None:
        if self._hold is not hold:
            return
        job = hold.job
        waited_count = self._let_go("expired").waited_count
        held_s = self._reactor.now() - hold.began
        if job is not None:
            why = f"writes were under way for {held_s:g} s after the hold: it was given up"
            job.fail(TemporaryError(f"volume {self._volume}: {why}"))
        message = (
            f"hold {hold.id!r} of volume {self._volume} ran out after {held_s:g} s and was "
            f"released; {waited_count} writes had waited. What was copied meanwhile may be torn"
        )
        fields = {"id": hold.id, "held_s": held_s, "waited_count": waited_count}
        self._emit(
            Event("volume.hold.expired", message, f"volume/{self._volume}", "warning", fields)
        )

    def _release(self, wanted: str) -> ReleaseResult:
        hold = self._hold
        if hold is not None and hold.id == wanted:
            if hold.job is not None:
                # It never held still; whoever waits for it is told.
                hold.job.fail(f"hold {wanted!r} was released before it was still")
            return self._let_go("released")
        volume = f"volume {self._volume}"
        if self._ended.get(wanted) == "expired":
            raise ConflictError(
                f"hold {wanted!r} of {volume} had run out and was released by itself: what was "
                "copied meanwhile may be torn, hold again"
            )
        now = f"it is held by {hold.id!r}" if hold is not None else "it is not held"
        was = f"; {wanted!r} was released before" if wanted in self._ended else ""
        raise UsageError(f"{volume} is not held by {wanted!r}: {now}{was}")

    def _let_go(self, how: str) -> ReleaseResult:
        """End the hold: what waited goes down in its order, then what comes passes again."""
        hold = self._hold
        assert hold is not None, "only what is held is let go"
        hold.timer.cancel()
        self._ended[hold.id] = how
        while len(self._ended) > ENDED_COUNT_MAX:
            del self._ended[next(iter(self._ended))]
        count = 0
        answered: list[tuple[list[Request], Completed]] = []
        # What a device's answer makes a front end send meanwhile is kept behind the rest.
        while hold.kept:
            batch, completed = hold.kept.popleft()
            count += len(batch)
            self._emulator.submit_kept(batch, completed)
            over = [request for request in batch if request.status is not None]
            if over:
                answered.append((over, completed))
        self._hold = None
        self._emulator.let_go()
        for over, completed in answered:
            completed(over)
        return ReleaseResult(self._reactor.now() - hold.began, count)
