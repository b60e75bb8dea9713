"""Which replicas a new target may serve from: a pure function of what they promised.

- Whoever says less than others know of it is *stale*: its folder is an older copy. It has no vote
  and is not in the set. Known is: a member of the adopted in-sync set has promised that set's
  ballot; and it has carried out every order about marks that some member was told to be durable on
  all.
- One whose bytes lie in another file than they did was *copied*: it may be older without saying
  less. It is not in the set while one that was not copied is there, and votes only if nobody is
  missing.
- The highest membership accepted among those that answered is adopted; its in-sync set may only
  shrink.
- A member of that set *counts* if its machine has kept its memory since it was let in, and no sync
  has failed on it; or if nothing is marked on it that is marked on the others too: a write is
  applied only when its region is marked everywhere. Those that count stay.
- With nobody that counts, all of the set must have answered, and all stay: what they have flushed
  is equal.
- Marked regions may differ between those that stay. They are made equal from one that agrees with
  the latest order on whether the region is marked: one that does not may be an older copy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from tierce_jiva.ballot import NO_ORDER, Membership
from tierce_jiva.promise import Promise


@attrs.frozen
class Opening:
    """How to open.

    Attributes:
        adopted: The membership to begin from.
        in_sync: The set to propose.
        let_in: Whose memory counts from now on.
        unequal: Regions that may differ within the set.
        unfit: Regions in which one of the set must not be copied from: it is behind in what is
            marked there, and so may be an older copy.
        better: Those of the set to copy from first: they have lost least.
        near: Those left out that differ from the set in marked regions only.
        marks: Regions that are marked on some member of the adopted set.
        strange: Those left out because their folder is not what it was, with what is the matter.
        copied: Those of the set whose folder was copied, since all were.
    """

    adopted: Membership
    in_sync: frozenset[str]
    let_in: frozenset[str] = frozenset()
    unequal: frozenset[int] = frozenset()
    unfit: Mapping[str, frozenset[int]] = attrs.field(factory=dict)
    better: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()
    marks: frozenset[int] = frozenset()
    strange: Mapping[str, str] = attrs.field(factory=dict)
    copied: frozenset[str] = frozenset()


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


OLDER = "its folder is older than what it had answered: an old copy was put back"
COPIED = "its folder was copied or restored from a copy"


def choose(
    members: tuple[str, ...],
    promises: Mapping[str, Promise],
    own: int = 0,
    before: Membership | None = None,
    forgetful: Collection[str] = (),
) -> Opening | Waiting:
    """Decide from the promises of one ballot.

    Args:
        members: All replicas of the volume.
        promises: Who has promised, and what it said.
        own: Of this target's ballots: what it did itself says nothing of what was before.
        before: The highest membership of another target that this one has heard of.
        forgetful: Those that have said less than they had promised to this target.
    """
    if not promises:
        return Waiting("no replica answers", members)
    adopted = max((promise.accepted for promise in promises.values()), key=lambda m: m.rank)
    strange = _stale(adopted, promises, before if adopted.ballot.target == own else adopted)
    strange |= {name: OLDER for name in adopted.in_sync if name in promises and name in forgetful}
    voters = set(promises) - set(strange)
    copied = {name for name in voters if promises[name].copied}
    if len(promises) < len(members) and copied != voters:
        # Where all were copied, the volume was moved.
        voters -= copied
    majority = len(members) // 2 + 1
    # Those that vote must include one of every majority that may have accepted something.
    if len(promises) < majority or len(voters) <= len(members) - majority:
        return _too_few(members, promises, voters, majority, strange)
    here = [name for name in adopted.in_sync if name in promises and name not in strange]
    originals = [name for name in here if name not in copied]
    if originals:
        strange |= dict.fromkeys(copied, COPIED)
        here = originals
    return _of_the_set(adopted, promises, here, strange)


def _stale(
    adopted: Membership, promises: Mapping[str, Promise], known: Membership | None
) -> dict[str, str]:
    floor = max((promise.settled for promise in promises.values()), default=NO_ORDER)
    return {
        name: OLDER
        for name in adopted.in_sync
        if name in promises
        and (
            (known is not None and not promises[name].has_joined(known.ballot))
            or promises[name].order < floor
        )
    }


def _too_few(
    members: tuple[str, ...],
    promises: Mapping[str, Promise],
    voters: set[str],
    majority: int,
    strange: Mapping[str, str],
) -> Waiting:
    reason = f"{len(promises)} of {len(members)} replicas answer, {majority} must"
    if len(promises) >= majority:
        doubtful = {name: strange.get(name, COPIED) for name in promises if name not in voters}
        told = "; ".join(f"{name}: {why}" for name, why in sorted(doubtful.items()))
        reason = f"{len(voters)} of {len(members)} replicas can vote, {majority} must ({told})"
    missing = tuple(name for name in members if name not in promises)
    return Waiting(reason, missing or tuple(name for name in members if name not in voters))


def _of_the_set(
    adopted: Membership,
    promises: Mapping[str, Promise],
    here: list[str],
    strange: Mapping[str, str],
) -> Opening | Waiting:
    absent = tuple(name for name in adopted.in_sync if name not in here)
    told = "".join(f"; {name}: {why}" for name, why in sorted(strange.items()))
    nobody = f"no replica that answers is known to hold every acknowledged write{told}"
    if not here:
        return Waiting(nobody, absent)
    everywhere = _latest_marks(promises, here)
    marks = frozenset[int]().union(*(promises[name].marks for name in here))
    counting = [
        name
        for name in here
        if not promises[name].marks & everywhere
        or (promises[name].counts and not promises[name].suspect)
    ]
    if not counting and absent:
        return Waiting(nobody, absent)
    in_sync = frozenset(counting or here)
    standing = _latest_marks(promises, sorted(in_sync))
    return Opening(
        adopted,
        in_sync,
        let_in=frozenset(
            name for name in in_sync if promises[name].copied or not promises[name].counts
        ),
        unequal=marks if len(in_sync) > 1 else frozenset(),
        unfit={name: promises[name].marks ^ standing for name in in_sync},
        # If all have lost something, those that have not lost power have lost less.
        better=frozenset(name for name in in_sync if promises[name].counts),
        near=frozenset(here) - in_sync,
        marks=marks,
        strange=strange,
        copied=frozenset(name for name in in_sync if promises[name].copied),
    )


def _latest_marks(promises: Mapping[str, Promise], names: list[str]) -> frozenset[int]:
    """Return what was marked on all as of the latest order about marks."""
    order = max(promises[name].order for name in names)
    return frozenset[int].intersection(
        *(promises[name].marks for name in names if promises[name].order == order)
    )
