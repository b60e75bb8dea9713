"""Long commands let others pass."""

from __future__ import annotations

from collections.abc import Callable

from tierce_iscsi.scsi.command import Deferred, Outcome
from tierce_iscsi.scsi.unit import LogicalUnit


def pause(unit: LogicalUnit, go_on: Callable[[], Outcome]) -> Outcome:
    """Go on when the data thread has looked after everything else: a device that answers at once
    would keep a command of a gigabyte on it from its first byte to its last."""

    def begin(done: Callable[[Outcome], None], _is_aborted: Callable[[], bool]) -> None:
        unit.soon(lambda: done(go_on()))

    return Deferred(begin)
