"""Which replicas a new target may serve from: a pure function of what they promised.

- The highest membership accepted among a majority is adopted; its in-sync set may only shrink.
- A member of that set *counts* if its machine has kept its memory since it was let in, or if
  nothing is marked on it.
- If any member of the set that answered is clean, no write was unsettled: all that answered are
  equal, and all of them stay.
- Otherwise one member that counts is kept, and the others are copied from it. That is coarse: a
  volume has one region; and it is safe, because the set shrinks before anything is served.
- With nobody that counts, all of the set must have answered: what they have flushed is equal, and
  the one that is kept decides the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from tierce_jiva.ballot import Membership
from tierce_jiva.links import Promise


@attrs.frozen
class Opening:
    """How to open.

    Attributes:
        adopted: The membership to begin from.
        in_sync: The set to propose.
        let_in: Whose memory counts from now on.
        is_clean: No write was unsettled when the last target ended.
    """

    adopted: Membership
    in_sync: frozenset[str]
    let_in: frozenset[str]
    is_clean: bool


@attrs.frozen
class Waiting:
    """Why the volume can't open yet.

    Attributes:
        reason: One sentence.
        names: The replicas that it waits for.
    """

    reason: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.reason}; waiting for {', '.join(self.names)}"


def choose(
    members: tuple[str, ...], promises: Mapping[str, Promise], preferred: tuple[str, ...] = ()
) -> Opening | Waiting:
    """Decide from the promises of one ballot.

    Args:
        members: All replicas of the volume.
        promises: Who has promised, and what it said.
        preferred: Whom to keep first where one of several is kept (those on this machine).
    """
    majority = len(members) // 2 + 1
    missing = tuple(name for name in members if name not in promises)
    if len(promises) < majority:
        return Waiting(
            f"{len(promises)} of {len(members)} replicas answer, {majority} must", missing
        )
    adopted = max((promise.accepted for promise in promises.values()), key=lambda m: m.rank)
    here = [name for name in adopted.in_sync if name in promises]
    sound = [name for name in here if not promises[name].suspect]
    if any(not promises[name].marked for name in sound):
        # Marked, yet nothing was written: what such a one had before a reboot is on its disk.
        anew = frozenset(name for name in sound if not promises[name].counts)
        return Opening(adopted, frozenset(sound), anew, is_clean=True)
    counting = [name for name in sound if promises[name].counts]
    if counting:
        kept = min(counting, key=lambda name: name not in preferred)
        return Opening(adopted, frozenset([kept]), frozenset(), is_clean=False)
    absent = tuple(name for name in adopted.in_sync if name not in promises)
    if absent:
        return Waiting("no replica that answers is known to hold every acknowledged write", absent)
    kept = min(sound or here, key=lambda name: name not in preferred)
    return Opening(adopted, frozenset([kept]), frozenset([kept]), is_clean=False)
