"""What a replica says of itself when it promises a ballot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from tierce import ProtocolError
from tierce_jiva.ballot import FIRST_START, NO_ORDER, Ballot, Membership, Order, Start
from tierce_jiva.regions import Regions


@attrs.frozen
class Promise:
    """What a replica says of itself when it promises a ballot.

    Attributes:
        accepted: The highest membership it has accepted.
        bids: The ballots that it had promised since, before this one.
        counts: Its memory has held since it was let in, or nothing is in doubt on it.
        marks: Regions in which a write may be on it that is not on all.
        order: The last order about marks that it has carried out.
        settled: The highest order that it knows to be durable on every in-sync replica.
        suspect: A sync failed on it.
        doubt: Regions in which what it reads may not be what a loss of power leaves.
        copied: Its bytes lie in another file than they did: the folder was copied or restored.
        began: When its process was started: it has run through all that was written since.
    """

    accepted: Membership
    bids: tuple[Ballot, ...] = ()
    counts: bool = True
    marks: frozenset[int] = frozenset()
    order: Order = NO_ORDER
    settled: Order = NO_ORDER
    suspect: bool = False
    doubt: frozenset[int] = frozenset()
    copied: bool = False
    began: Start = FIRST_START

    def has_joined(self, ballot: Ballot) -> bool:
        """True if it is known to have promised that ballot before it was asked this time."""
        return ballot <= self.accepted.ballot or ballot in self.bids

    @classmethod
    def from_json(cls, message: Mapping[str, Any], regions: Regions) -> Promise:
        """Read a promise.

        Raises:
            ProtocolError: It is something else.
        """
        try:
            return cls(
                Membership.from_json(message["accepted"]),
                tuple(Ballot.from_json(bid) for bid in message["bids"]),
                counts=message["counts"] is True,
                marks=regions.from_hex(message["marks"]),
                order=Order.from_json(message["order"]),
                settled=Order.from_json(message["settled"]),
                suspect=message["suspect"] is True,
                doubt=regions.from_hex(message["doubt"]),
                copied=message["copied"] is True,
                began=Start.from_json(message),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"a promise that is none: {error}") from error
