"""From what the supervisor sees of a volume to its health: one pure function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from tierce.health import Condition, Health
from tierce.state import Phase
from tierce.statuses import MemberStatus, VolumeStatus

#: What engines publish as "state", where it is not the word of a health itself.
_PUBLISHED = {
    "serving": Health.HEALTHY,
    "stopped": Health.STALLED,
    "electing": Health.OPENING,
    "closing": Health.DOWN,
    "ended": Health.DOWN,
}
_IN_SYNC = "in-sync"


@attrs.frozen(kw_only=True)
class Sight:
    """What the supervisor sees of one volume.

    Attributes:
        name: The volume's name.
        phase: How far its making has come, by the state.
        fenced: Why it may not be served here; empty if it may.
        is_served: It is among those that should be served.
        unserved_why: Why not, if it is not.
        target_phase: Of its target's process: "starting", "up", "closing", "down"; empty if there
            is none yet.
        target_trouble: Why its target ended the last time; empty if nothing was wrong.
        target_log: Where its target's log lies.
        is_adopted: Its target was started by a server before this one.
        is_silent: Its target does not answer.
        published: What its target shows; None if that can't be read.
        unreachable_why: Why nobody can log in anew, or not at every address; empty if one can.
        members: What is wrong with its members' processes.
    """

    name: str
    phase: Phase
    fenced: str = ""
    is_served: bool = True
    unserved_why: str = ""
    target_phase: str = ""
    target_trouble: str = ""
    target_log: str = ""
    is_adopted: bool = False
    is_silent: bool = False
    published: VolumeStatus | None = attrs.field(factory=VolumeStatus)
    unreachable_why: str = ""
    members: tuple[str, ...] = ()


def assess(sight: Sight) -> Condition:
    """Return how a volume is; `since` is left to who remembers how it was."""
    if sight.phase.is_removal:
        return _condition(Health.DELETING, sight, sight.unserved_why)
    if sight.fenced:
        return _condition(Health.FENCED, sight, sight.fenced)
    if not sight.is_served:
        return _condition(Health.DOWN, sight, sight.unserved_why or "it is not served")
    if sight.target_phase != "up":
        return _assess_down(sight)
    if sight.is_silent:
        return _condition(Health.STALLED, sight, "its target's process does not answer")
    if sight.published is None:
        return _assess_unreadable(sight)
    shown = _assess_published(sight, sight.published)
    lacking = [*sight.members, *filter(None, [sight.unreachable_why])]
    if shown.health is Health.HEALTHY and lacking:
        # An idle engine does not notice what the supervisor sees.
        return _condition(Health.DEGRADED, sight, "; ".join(lacking))
    return shown


def _assess_unreadable(sight: Sight) -> Condition:
    if not sight.is_adopted:
        return _condition(Health.UNKNOWN, sight, "what its target shows can't be read")
    return Condition(
        Health.UNKNOWN,
        "its target was taken over and shows itself as another version of Tierce does: it serves "
        "as it did, and how it is can't be read",
        "stop the server and start it, once an interruption does no harm: all of it runs this "
        "version then (a volume of memory begins empty)",
    )


def _assess_down(sight: Sight) -> Condition:
    trouble = sight.target_trouble
    if sight.target_phase == "down" and trouble:
        return _condition(Health.DOWN, sight, f"its target does not run: {trouble}")
    if sight.target_phase == "closing":
        return _condition(Health.DOWN, sight, "its target is ending")
    why = f"its target is started again: {trouble}" if trouble else "its target is starting"
    return _condition(Health.OPENING, sight, why)


def _assess_published(sight: Sight, published: VolumeStatus) -> Condition:
    if not published.state:
        # An engine that shows no state has none but that it runs.
        return Condition(Health.HEALTHY)
    health = _health_of(published.state)
    if health is None:
        return _condition(Health.UNKNOWN, sight, f"its engine calls its state {published.state!r}")
    if health is Health.HEALTHY:
        return Condition(health)
    said = [published.trouble, published.medium, *_missing(published.members)]
    return _condition(health, sight, "; ".join(filter(None, said)))


def _health_of(state: str) -> Health | None:
    found = _PUBLISHED.get(state)
    return found or next((one for one in Health if one.value == state), None)


def _missing(members: Iterable[MemberStatus]) -> Iterator[str]:
    """Name the members that are not in sync, each with what it shows of itself."""
    for member in members:
        if member.state != _IN_SYNC:
            text = f"{member.name} is {member.state}"
            if member.progress is not None:
                text += f" ({member.progress:.0%})"
            yield f"{text}: {member.trouble}" if member.trouble else text


def _condition(health: Health, sight: Sight, why: str) -> Condition:
    todo = health.todo.replace("NAME", sight.name)
    if health is Health.DOWN and sight.is_served and sight.target_log:
        todo = f"look at its log: {sight.target_log}"
    return Condition(health, why, todo)
