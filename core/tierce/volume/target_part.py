"""The part "target" of a volume: its holds, and what is pending in it now.

What is pending costs an I/O nothing: each boundary knows anyway what it has not had back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from tierce.actions import Action, Job
from tierce.block.operation import Request
from tierce.options import option
from tierce.volume.boundary import Boundary
from tierce.volume.holding import Holding

#: More are counted and not named: an answer is one message.
PENDING_COUNT_MAX = 256
#: Where that waits which a hold keeps.
HOLD_STAGE = "hold"


@attrs.frozen
class PendingIo:
    """One I/O that is pending."""

    operation: str = option(doc='What was asked: "read", "write".')
    offset: int = option(unit="bytes", doc="Its first byte.")
    length: int = option(unit="bytes", doc="Its bytes.")
    age_s: float = option(unit="seconds", doc="How long it has been in this stage.")
    stage: str = option(doc="The lowest stage that has it.")
    waits_for: tuple[str, ...] = option(default=(), doc="Which replicas it waits for, if known.")
    why: str = option(default="", doc="Why it waits, as the engine says it.")


@attrs.frozen
class PendingResult:
    """What `pending` answers."""

    count: int = option(doc="How many are pending.")
    items: tuple[PendingIo, ...] = option(
        default=(), doc=f"Those that have waited longest, {PENDING_COUNT_MAX} at most."
    )


class TargetPart:
    """Carries out what is asked of a target itself.

    Args:
        holding: Holds the volume's writes.
        boundaries: Above each plugin's device, from the engine up.
        now: Returns seconds of the clock that holds begin by.
    """

    def __init__(
        self, holding: Holding, boundaries: Sequence[Boundary], now: Callable[[], float]
    ) -> None:
        self._holding = holding
        self._boundaries = boundaries
        self._now = now

    def actions(self) -> tuple[Action, ...]:
        """`hold`, `release` and `pending`."""
        return (
            *self._holding.actions(),
            Action(
                name="pending",
                summary="Name the I/Os that are pending now, where, and what they wait for.",
                result=PendingResult,
                is_repeatable=True,
            ),
        )

    def manage(self, action: str, arguments: Any, job: Job) -> None:
        """Carry one out."""
        if action == "pending":
            job.done(self._pending())
        else:
            self._holding.manage(action, arguments, job)

    # -- inside ------------------------------------------------------------------------------------

    def _pending(self) -> PendingResult:
        found = sorted([*self._in_stages(), *self._held()], key=lambda one: -one.age_s)
        return PendingResult(len(found), tuple(found[:PENDING_COUNT_MAX]))

    def _in_stages(self) -> Iterator[PendingIo]:
        """Yield what devices have, each in the lowest of the stages that have it."""
        below: set[int] = set()
        for boundary in self._boundaries:
            stalls = boundary.stalls
            here = list(stalls.pending())
            names, why = stalls.whom() if here else ((), None)
            now = stalls.clock()
            for request, began_ns in here:
                if below.isdisjoint(map(id, _signs_of(request))):
                    age_s = max(now - began_ns, 0) / 1e9
                    yield _told(request, stalls.stage, age_s, names, why or "")
            below |= {id(one) for request, _began in here for one in _made_of(request)}

    def _held(self) -> Iterator[PendingIo]:
        """Yield what a hold keeps; all of it is told as old as the hold."""
        for request, hold, began in self._holding.kept():
            why = f"the volume is held by {hold!r}"
            yield _told(request, HOLD_STAGE, max(self._now() - began, 0.0), (), why)


def _made_of(request: Request) -> Iterator[object]:
    """Yield a request, those that it was made of, and what follows all of them."""
    yield request
    above: Any = request.trace
    while isinstance(above, Request):
        yield above
        above = above.trace
    if above is not None:
        yield above


def _signs_of(request: Request) -> Iterator[object]:
    """Yield what shows that something below was made of a request."""
    yield request
    if request.trace is not None and not isinstance(request.trace, Request):
        yield request.trace


def _told(
    request: Request, stage: str, age_s: float, names: tuple[str, ...], why: str
) -> PendingIo:
    operation = request.op.name.lower()
    return PendingIo(operation, request.offset, request.length, age_s, stage, names, why)
