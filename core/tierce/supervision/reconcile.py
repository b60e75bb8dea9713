"""What to do next: a pure function of what should run, what runs, and the time.

The supervisor calls it after everything that happens, carries out what it returns, and calls it
again. It keeps no memory of its own, so a supervisor that was killed goes on where it was.

Rules:

1. What should run and does not is started, once its back-off is over.
2. What runs and should not, or runs by another plan, is asked to stop; then rule 1 starts it anew.
3. Stopping has an order: a portal before the targets that it leads to, a target before its
   members, the rest last. What is of lower rank and must go as well goes first.
4. What was asked to stop and still runs after its time is killed.
5. What was killed and is still there (the kernel keeps it) is waited for; at the end of everything
   it is left behind once it has had its time again.
6. What was fenced stays down until its plan no longer says so.
7. What would lose its data by a restart goes on by its old plan until it ends by itself.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import attrs

from tierce.process.plan import Plan, Role

#: The first wait before a process is started again; doubles with each failure.
RESTART_DELAY_S_MIN = 0.125
#: A process that stayed up as long has recovered: its failures are forgotten.
RECOVERED_S = 10.0


@attrs.frozen
class Observed:
    """One process as the supervisor sees it, alive or not.

    Attributes:
        name: Its name.
        role: What it is for.
        volume: The volume that it works for.
        digest: Digest of the plan that it was started by.
        is_running: It is alive.
        stop_asked_at: When it was asked to stop, None if it was not; CLOCK_MONOTONIC.
        killed_at: When it was killed after it would not stop, None if it was not; CLOCK_MONOTONIC.
        start_at: Not to be started before; CLOCK_MONOTONIC.
        is_fenced: It ended because another writer has its volume.
    """

    name: str
    role: Role
    volume: str = ""
    digest: str = ""
    is_running: bool = True
    stop_asked_at: float | None = None
    killed_at: float | None = None
    start_at: float = 0.0
    is_fenced: bool = False


@attrs.frozen
class Start:
    """Start the process of this plan."""

    plan: Plan


@attrs.frozen
class Stop:
    """Ask the process to stop, for this reason."""

    name: str
    reason: str


@attrs.frozen
class Kill:
    """Kill the process: it did not stop in time."""

    name: str


@attrs.frozen
class GiveUp:
    """Leave the process behind: it is not gone though it was killed, and nothing else is wanted."""

    name: str


@attrs.frozen
class Look:
    """Nothing more to do before this time; CLOCK_MONOTONIC."""

    at: float


Action = Start | Stop | Kill | GiveUp | Look


class Why(enum.Enum):
    """Why a running process has to go."""

    UNWANTED = "no longer wanted"
    CHANGED = "its settings have changed"


def reconcile(
    desired: Mapping[str, Plan],
    observed: Iterable[Observed],
    now: float,
    *,
    stop_timeout_s: float,
) -> list[Action]:
    """Return what to do now, in order; a `Look` last if something is due later."""
    seen = {one.name: one for one in observed}
    unwanted = {
        one.name: why for one in seen.values() if one.is_running and (why := _why(desired, one))
    }
    actions: list[Action] = []
    times: list[float] = []
    for name, why in unwanted.items():
        one = seen[name]
        if one.stop_asked_at is None:
            # What the fork server has forked does not need it: another one's plans or code come at
            # once, before anything is forked by those of before.
            is_first = one.role is Role.FORK_SERVER and why is Why.CHANGED
            others = (seen[other] for other in unwanted if other != name)
            if is_first or not _must_wait(one, others):
                actions.append(Stop(name, why.value))
                times.append(now + stop_timeout_s)
        else:
            since = one.stop_asked_at if one.killed_at is None else one.killed_at
            if now < since + stop_timeout_s:
                times.append(since + stop_timeout_s)
            elif one.killed_at is None:
                actions.append(Kill(name))
                times.append(now + stop_timeout_s)
            elif not desired:
                actions.append(GiveUp(name))
    is_forker_going = any(seen[name].role is Role.FORK_SERVER for name in unwanted)
    for name, plan in desired.items():
        if is_forker_going and plan.role is not Role.FORK_SERVER:
            continue
        found = seen.get(name)
        if found is None:
            actions.append(Start(plan))
        elif not found.is_running and not found.is_fenced:
            if now >= found.start_at:
                actions.append(Start(plan))
            else:
                times.append(found.start_at)
    if times:
        actions.append(Look(min(times)))
    return actions


def restart_delay_s(failure_count: int, delay_s_max: float) -> float:
    """Return how long to wait before the next start after so many failures in a row."""
    assert failure_count >= 1
    # The exponent is bounded: a float can't hold 2.0 ** 1024.
    return min(RESTART_DELAY_S_MIN * 2.0 ** min(failure_count - 1, 32), delay_s_max)


def _why(desired: Mapping[str, Plan], one: Observed) -> Why | None:
    plan = desired.get(one.name)
    if plan is None:
        return Why.UNWANTED
    # What was asked to stop stops, even if it is wanted again meanwhile.
    has_changed = plan.digest != one.digest and not plan.is_volatile
    return Why.CHANGED if has_changed or one.stop_asked_at is not None else None


def _must_wait(one: Observed, others: Iterable[Observed]) -> bool:
    """True while something that must stop before `one` is still there."""
    return any(
        other.role.rank < one.role.rank
        and (not other.volume or not one.volume or other.volume == one.volume)
        for other in others
    )
