"""Whether a process answers. Its loop is what answers, so one that is stopped, or hangs in a loop
or in the kernel, does not; for all else it looks alive.

Each process is asked now and then. One that leaves the question unanswered is *silent*: that is
told. One that goes on so *hangs*: it is killed, and started anew. One that has never answered is
still starting (it opens a large volume, or waits for its disk): it is told of, and left alone.

A question wakes a process that sleeps, which costs it some 100 us of CPU: it is put once in the
time after which its silence would be told. Forty idle processes pay 25 ms a minute for it together.
"""

from __future__ import annotations

import enum

import attrs


class Verdict(enum.Enum):
    """What to do about a process."""

    LEAVE = enum.auto()
    ASK = enum.auto()
    TELL = enum.auto()
    KILL = enum.auto()


@attrs.define
class Pulse:
    """What is known of one process's answers.

    Attributes:
        asked_at: When the question was put that it has not answered; CLOCK_MONOTONIC.
        due_at: When the next one is to be put.
        has_answered: It has answered once at least.
        where_from: From where on its log says where it is; None if it was not asked.
        is_told: That it is silent has been told.
        is_stuck_told: That it is still there though it was killed has been told.
    """

    asked_at: float | None = None
    due_at: float = 0.0
    has_answered: bool = False
    where_from: int | None = None
    is_told: bool = False
    is_stuck_told: bool = False

    def judge(self, now: float, *, tell_s: float, kill_s: float) -> Verdict:
        """Say what to do.

        Args:
            now: CLOCK_MONOTONIC.
            tell_s: It may be silent for so long before it is told.
            kill_s: It may be silent for so long before it is killed.
        """
        if self.asked_at is None:
            return Verdict.ASK if now >= self.due_at else Verdict.LEAVE
        silent_s = now - self.asked_at
        if silent_s >= kill_s and self.has_answered:
            return Verdict.KILL
        if silent_s >= tell_s and not self.is_told:
            return Verdict.TELL
        return Verdict.LEAVE

    def is_half_silent(self, now: float, *, tell_s: float) -> bool:
        """True if it should be asked where it is, so that this can be told with its silence."""
        return (
            self.asked_at is not None
            and not self.is_told
            and self.where_from is None
            and now - self.asked_at >= tell_s / 2
        )

    def asked(self, now: float, *, tell_s: float) -> None:
        """Note that the question was put."""
        self.asked_at, self.due_at = now, now + tell_s

    def answered(self) -> bool:
        """Note an answer; return True if that ends a silence that was told."""
        was_told, self.is_told = self.is_told, False
        self.where_from = None
        self.asked_at, self.has_answered = None, True
        return was_told

    def forgive(self, now: float) -> None:
        """Count its silence from now on: it was we who slept."""
        if self.asked_at is not None:
            self.asked_at = now
