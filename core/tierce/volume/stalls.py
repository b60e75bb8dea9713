"""Looking whether a device answers: what it has had for too long is one event when that is noticed,
and one when it is over.

Looked at by a timer, while something is pending, and so at no cost to an I/O. What several stages
have is told of the lowest of them. At most one is told at a time of each stage, the one that had
waited longest, and how many others wait with it. Where a plugin lets it wait and does not say why,
that is the plugin's mistake, and is counted as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from tierce.block.device import Device
from tierce.block.operation import Request
from tierce.block.waiting import waits_for
from tierce.reactor import Reactor
from tierce.volume.blame import Blame

#: What has not come back after so many seconds is told.
STALL_S = 10.0
#: A device that has not closed after so many seconds is told.
CLOSE_TOLD_S = 4.5
#: While something is told, or is about to be, it is looked at as often.
AGAIN_S = 1.0
#: A look that comes so much too late means that this process stood still itself: what has come
#: meanwhile is taken first.
LATE_S = 2.0
_NS = 1_000_000_000
_STALL_NS = int(STALL_S * _NS)


@attrs.define(eq=False)
class _Told:
    """What was told and is not over.

    Attributes:
        request: The one that had waited longest.
        began_ns: When it was submitted.
        fields: As they were told.
        others: How many others waited too long at most.
        ended_ns: When it was answered; 0 while it is not.
        how: How it was answered.
    """

    request: Request
    began_ns: int
    fields: dict[str, Any]
    others: int
    ended_ns: int = 0
    how: str = ""


class Stalls:
    """What one device has not answered.

    Args:
        began: When each request that is pending there was submitted, in ns; the one that waits
            longest first.
        blame: Where it is told.
        reactor: The target's loop.
        clock: Returns nanoseconds.
        stage: The name of its stage.
        device: The device: it may say whom it waits for.
        trouble: Says why its I/O waits; None if there is no reason that it knows of.
        below: Of what lies below; None if nothing does.

    Attributes:
        clock: As above.
        stage: As above.
        is_watching: It is going to look.
    """

    def __init__(
        self,
        began: Mapping[Request, int],
        blame: Blame,
        reactor: Reactor,
        clock: Callable[[], int],
        stage: str,
        device: Device,
        *,
        trouble: Callable[[], str | None] = lambda: None,
        below: Stalls | None = None,
    ) -> None:
        self.is_watching = False
        self._began = began
        self._blame = blame
        self._reactor = reactor
        self.clock = clock
        self.stage = stage
        self._trouble = trouble
        self._device = device
        self._below = below
        self._due = 0.0
        self._told: _Told | None = None

    @property
    def oldest_ns(self) -> int:
        """How long the oldest has waited."""
        began = next(iter(self._began.values()), 0)
        return self.clock() - began if began else 0

    def pending(self) -> Iterable[tuple[Request, int]]:
        """Return what is pending and since when, in ns of `clock`; the oldest first."""
        return self._began.items()

    def whom(self) -> tuple[tuple[str, ...], str | None]:
        """Return the parts that it waits for, and why its I/O waits as far as it says so."""
        return self._ask_whom(), self._trouble()

    def watch(self) -> None:
        """Something is pending: look at it later."""
        self._look_in(STALL_S)

    def close(self) -> None:
        """The device is closed: nothing waits any more."""
        if self._told is not None:
            self._end(self._told, "the volume was closed")

    def _look_in(self, delay_s: float) -> None:
        self.is_watching = True
        self._due = self._reactor.now() + delay_s
        self._reactor.call_later(delay_s, self._look)

    def _look(self) -> None:
        self.is_watching = False
        if self._told is not None:
            self._look_whether_over(self._told)
        if not self._began:
            return
        left_ns = _STALL_NS - self.oldest_ns
        if left_ns > 0:
            self._look_in(AGAIN_S if self._told is not None else max(left_ns / _NS, 0.001))
            return
        has_slept = self._reactor.now() - self._due > LATE_S
        if self._told is None and not has_slept and not self._is_below():
            self._tell()
        self._look_in(AGAIN_S)

    def _is_below(self) -> bool:
        """True if it lies below, or may: what lies below has had it a little less long."""
        return self._below is not None and self._below.oldest_ns * 2 > _STALL_NS

    def _ask_whom(self) -> tuple[str, ...]:
        try:
            return waits_for(self._device)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's bug must not end the target
            self._blame.mistake("raised in waits_for", "whom it waits for is not told", error)
            return ()

    def _count_stuck(self) -> int:
        before = self.clock() - _STALL_NS
        count = 0
        for began in self._began.values():
            if began > before:
                break
            count += 1
        return count

    def _tell(self) -> None:
        oldest, began_ns = next(iter(self._began.items()))
        names, trouble = self.whom()
        is_mistake = trouble is None and not names
        others = self._count_stuck() - 1
        fields = {
            "stage": self.stage,
            "waits_for": list(names) or [self._blame.part],
            "operation": oldest.op.name.lower(),
            "offset": oldest.offset,
            "length": oldest.length,
            "age_s": (self.clock() - began_ns) // _NS,
            "others": others,
        }
        what = f"{_what(oldest)} waits for {fields['age_s']} s, {len(self._began)} requests in all"
        if is_mistake:
            self._blame.hang(f"does not answer; {what}", fields)
        else:
            whom = f" for {', '.join(names)}" if names else ""
            why = f": {trouble}" if trouble else ""
            self._blame.tell_stuck(f"waits{whom}; {what}{why}", fields)
        self._told = _Told(oldest, began_ns, fields, others)

    def _look_whether_over(self, told: _Told) -> None:
        stuck = self._count_stuck()
        told.others = max(told.others, stuck - 1)
        if not told.ended_ns and self._began.get(told.request) != told.began_ns:
            told.ended_ns = self.clock()
            status = told.request.status
            told.how = "given up" if status is None else status.code.value
        if told.ended_ns and not stuck:
            self._end(told, told.how)

    def _end(self, told: _Told, how: str) -> None:
        self._told = None
        waited_s = ((told.ended_ns or self.clock()) - told.began_ns) // _NS
        fields = {**told.fields, "age_s": waited_s, "others": told.others, "how": how}
        more = f", and {told.others} others had waited too" if told.others else ""
        self._blame.tell_moving(
            f"{_what(told.request)} is over after {waited_s} s: {how}{more}", fields
        )


def _what(request: Request) -> str:
    return f"{request.op.name} of {request.length} bytes at {request.offset}"
