"""A limit of time for what a stranger wrote, on the main thread of a process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: What is too late is told so after so many seconds once more, as long as it goes on.
AGAIN_S = 1.0


class TooLongError(BaseException):
    """It took longer than it may. Not an Exception, so that what is limited does not catch it as
    one of its own."""


def limited(work: Callable[[], T], seconds: float) -> T:
    """Return what `work()` returns, within so many seconds.

    Only on the main thread. Python is interrupted wherever it is, and so is most of what waits in
    the kernel; a call that computes outside of Python is interrupted when it returns.

    Raises:
        TooLongError: It took longer.
    """

    def late(_number: int, _frame: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, late)
    try:
        # Again and again: what a signal raises within a finalizer is lost.
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
        try:
            return work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
