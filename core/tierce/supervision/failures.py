"""How a process fails: when it is started again, and how often that is told.

The first failure is told at once. What then fails again and again for the same reason is told by
its count, ever more rarely: an operator is to see that it goes on, and to find other news beside.
"""

from __future__ import annotations

import attrs

from tierce.supervision.reconcile import RECOVERED_S, restart_delay_s

#: After so many seconds of the same failure it is told again, by count; then once in the last.
REPEAT_S = (60.0, 600.0, 3600.0)


@attrs.define
class Failures:
    """The failures in a row of one process.

    Attributes:
        count: How many, since it last stayed up.
        reason: Why the last time; empty if nobody knows.
        first_at: When this reason was first told; CLOCK_MONOTONIC.
        same_count: How many in a row were for this reason.
        repeat_at: When it is told again.
        told_count: How often the same has been told again.
    """

    count: int = 0
    reason: str = ""
    first_at: float = 0.0
    same_count: int = 0
    repeat_at: float = 0.0
    told_count: int = 0

    def add(self, reason: str, lived_s: float, now: float, delay_s_max: float) -> float:
        """Count one more end that nobody asked for; return how long to wait before it is started
        again, in seconds.

        Args:
            reason: Why it ended; empty if nobody knows.
            lived_s: How long it had lived.
            now: CLOCK_MONOTONIC.
            delay_s_max: The longest wait.
        """
        if lived_s >= RECOVERED_S:
            self.clear()
        is_same = self.count > 0 and reason == self.reason
        self.count += 1
        self.same_count = self.same_count + 1 if is_same else 1
        if not is_same:
            self.reason, self.first_at, self.told_count, self.repeat_at = reason, now, 0, now
        return restart_delay_s(self.count, delay_s_max)

    def tell(self, now: float) -> str | None:
        """Return how the last failure is to be told: "" for the first of its kind, "for the 9th
        time in 60 s" for one of many; None if it is not to be told now."""
        if now < self.repeat_at:
            return None
        wait_s = REPEAT_S[min(self.told_count, len(REPEAT_S) - 1)]
        self.told_count += 1
        self.repeat_at = now + wait_s
        if self.same_count == 1:
            return ""
        return f"{self.same_count} times in {now - self.first_at:.0f} s"

    def clear(self) -> None:
        """It has stayed up, or was ended on purpose."""
        self.count = self.same_count = self.told_count = 0
        self.reason = ""
