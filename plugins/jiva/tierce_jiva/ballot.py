"""Who may write, and which replicas hold everything: the two values that replicas vote on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


def is_number(value: Any) -> bool:
    """True for an integer of 64 bits without a sign: what every number of ours is."""
    return type(value) is int and 0 <= value < 1 << 64


@attrs.frozen(order=True)
class Ballot:
    """Who may write. A replica promises one durably and accepts nothing lower.

    Attributes:
        number: Grows with every opening. An opener takes the larger of its wall clock in ms and
            one more than the highest it has heard of, so that an attempt that died half-way is
            outbid by the next one without having been seen.
        target: 64 random bits of the target process; tells two openers of one number apart.
    """

    number: int
    target: int

    def to_json(self) -> list[int]:
        """Return `[number, target]`."""
        return [self.number, self.target]

    @classmethod
    def from_json(cls, value: Any) -> Ballot:
        """Read `[number, target]`.

        Raises:
            ValueError: It is something else.
        """
        if isinstance(value, list) and len(value) == 2 and all(is_number(part) for part in value):
            return cls(value[0], value[1])
        raise ValueError(f"a ballot is two integers of 64 bits, not {value!r}")


#: Lower than every ballot an opener can take.
NO_BALLOT = Ballot(0, 0)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError(f"expected a list of replica names, got {value!r}")


@attrs.frozen
class Membership:
    """Which replicas there are, and which of them hold every acknowledged write.

    Durable on a majority of `members` before anything depends on it.

    Attributes:
        ballot: The ballot in which it was proposed.
        sequence: Its number within the ballot.
        members: Every replica of the volume, sorted.
        in_sync: Those that hold every acknowledged write; never empty.
    """

    ballot: Ballot
    sequence: int
    members: tuple[str, ...]
    in_sync: tuple[str, ...]

    @property
    def rank(self) -> tuple[Ballot, int]:
        """What the highest is found by."""
        return (self.ballot, self.sequence)

    @property
    def majority(self) -> int:
        """How many members must accept."""
        return len(self.members) // 2 + 1

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "ballot": self.ballot.to_json(),
            "sequence": self.sequence,
            "members": list(self.members),
            "in_sync": list(self.in_sync),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Membership:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            sequence = value["sequence"]
            membership = cls(
                ballot=Ballot.from_json(value["ballot"]),
                sequence=sequence,
                members=_names(value["members"]),
                in_sync=_names(value["in_sync"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a membership: {value!r}") from error
        if not is_number(sequence):
            raise ValueError(f"a membership's sequence is a number, not {sequence!r}")
        if not membership.in_sync or not set(membership.in_sync) <= set(membership.members):
            raise ValueError(f"the in-sync set is empty or has strangers: {value!r}")
        return membership


@attrs.frozen(order=True)
class Order:
    """The number of an order about marks: a target counts its own, from 1.

    Attributes:
        ballot: Of the target that gave it.
        number: Its number in that ballot.
    """

    ballot: Ballot
    number: int

    def to_json(self) -> list[int]:
        """Return `[ballot number, ballot target, number]`."""
        return [*self.ballot.to_json(), self.number]

    @classmethod
    def from_json(cls, value: Any) -> Order:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        if isinstance(value, list) and len(value) == 3 and is_number(value[2]):
            return cls(Ballot.from_json(value[:2]), value[2])
        raise ValueError(f"an order is a ballot and a number, not {value!r}")


#: Higher than the number of every frame: of a process that has joined no target yet.
_NOT_JOINED = 1 << 64


@attrs.frozen(order=True)
class Start:
    """When a replica's process was started, as its targets can tell: of two, the lower one has run
    through all that the higher one has.

    Attributes:
        ballot: What it had promised then.
        joined: The number of the first frame by which the target of that ballot asked this very
            process for its promise: one target numbers its frames to all replicas together. The
            highest of all if it never did: then that target had nothing written to this process.
    """

    ballot: Ballot
    joined: int = _NOT_JOINED

    def joining(self, ballot: Ballot, number: int) -> Start:
        """Return what is known after a frame of that number has asked for that ballot."""
        if ballot == self.ballot and self.joined == _NOT_JOINED:
            return Start(ballot, number)
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the fields of a promise that tell it."""
        joined = None if self.joined == _NOT_JOINED else self.joined
        return {"began": self.ballot.to_json(), "joined": joined}

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> Start:
        """Read what `to_json` returned; an older release says nothing of `joined`.

        Raises:
            KeyError: A field is missing.
            ValueError: One is not what it should be.
        """
        joined = message.get("joined")
        if joined is None:
            return cls(Ballot.from_json(message["began"]))
        if not is_number(joined):
            raise ValueError(f"the number of a frame is one of 64 bits, not {joined!r}")
        return cls(Ballot.from_json(message["began"]), joined)


#: Of a process of which nothing is known but that nothing is in doubt on it.
FIRST_START = Start(NO_BALLOT, 0)

#: Openings in a row that came to nothing are remembered up to this many.
BID_COUNT_MAX = 32

#: Before the first order of the first target.
NO_ORDER = Order(NO_BALLOT, 0)


@attrs.frozen
class Record:
    """What one replica has promised and accepted; durable before anyone learns of it.

    Attributes:
        promised: The highest ballot it has promised.
        accepted: The highest membership it has accepted.
        let_in_boot: The boot id of its machine when it was last let into the in-sync set.
        marks: Regions in which a write may have been applied that is not durable on every
            in-sync replica.
        order: The last order about marks that it has carried out.
        settled: The highest order that it has been told to be durable on every in-sync replica.
        suspect: A sync failed here: pages may be clean in the cache and absent on disk, so that a
            digest of what is read proves nothing about what a loss of power leaves.
        bids: Ballots that it has promised and accepted nothing in since; the newest
            `BID_COUNT_MAX`.
        head: Which file held the bytes when it was made or let in; empty if that is not known.
    """

    promised: Ballot
    accepted: Membership
    let_in_boot: str
    marks: frozenset[int] = frozenset()
    order: Order = NO_ORDER
    settled: Order = NO_ORDER
    suspect: bool = False
    bids: tuple[Ballot, ...] = ()
    head: str = ""

    @property
    def marked(self) -> bool:
        """True if any region is marked."""
        return bool(self.marks)

    def promise(self, ballot: Ballot, *, is_again: bool = False) -> Record:
        """Return the record with that ballot promised.

        Args:
            ballot: The ballot.
            is_again: It has promised it to the same target before. Then that is in its record
                already, or the record is an older copy, and has to stay known by what it lacks.
        """
        if is_again:
            return attrs.evolve(self, promised=ballot)
        bids = (*(bid for bid in self.bids if bid != ballot), ballot)[-BID_COUNT_MAX:]
        return attrs.evolve(self, promised=ballot, bids=bids)

    def accept(self, membership: Membership) -> Record:
        """Return the record with that membership accepted."""
        return attrs.evolve(self, accepted=membership, bids=())

    def counts(self, boot_id: str) -> bool:
        """True if this replica's memory has held since it was let in, or nothing is in doubt."""
        return not self.marks or self.let_in_boot == boot_id
