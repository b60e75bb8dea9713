"""Registrations and the persistent reservation: what is so now, and who may do what
(SPC-4 section 5.12).

A registration belongs to an I_T nexus: an initiator's name and ISID. Types (SPC-4 table 61): write
exclusive (1, 5, 7) keeps writes from others, exclusive access (3, 6, 8) reads too. For 5 and 6
every registrant is let through, for 7 and 8 every registrant holds the reservation.

**In doubt.** Where what was saved for a restart can't be read, a reservation may have kept a fenced
node out, and nobody knows which. Until somebody says anew who may write (RESERVE, PREEMPT or CLEAR
of a registered initiator), nobody may; reading harms no bytes and goes on.
"""

from __future__ import annotations

import enum

import attrs

#: Registered nexuses of a logical unit.
REGISTRATION_COUNT_MAX = 256
TYPES = frozenset({1, 3, 5, 6, 7, 8})
WRITE_EXCLUSIVE = 1
EXCLUSIVE_ACCESS = frozenset({3, 6, 8})
#: Types that let every registrant through, and those that every registrant holds.
REGISTRANTS_ONLY = frozenset({5, 6, 7, 8})
ALL_REGISTRANTS = frozenset({7, 8})


class Access(enum.Enum):
    """What a command does, as far as reservations care."""

    #: Allowed to everyone, always.
    ANY = "any"
    #: Deals with persistent reservations: for everyone, unless another holds RESERVE(6).
    PERSISTENT = "persistent"
    #: Reads the medium, or what another may be about to change.
    READ = "read"
    #: Changes the medium or the unit.
    WRITE = "write"


@attrs.define
class Registrations:
    """Who is registered, and what is reserved.

    Attributes:
        keys: By transport ID.
        holder: Who holds the reservation, None if nothing is reserved.
        kind: Its type, 0 for none.
        generation: PRGENERATION.
        outlives_power: APTPL of the last registration: all this outlives a loss of power.
        is_in_doubt: See the module.
    """

    keys: dict[bytes, int] = attrs.field(factory=dict)
    holder: bytes | None = None
    kind: int = 0
    generation: int = 0
    outlives_power: bool = False
    is_in_doubt: bool = False

    def copy(self) -> Registrations:
        """Return one that can be changed without changing this one."""
        return attrs.evolve(self, keys=dict(self.keys))

    @property
    def is_reserved(self) -> bool:
        """True if somebody may be kept out."""
        return self.holder is not None or self.is_in_doubt

    def allows(self, identity: bytes, access: Access) -> bool:
        """True if this nexus may READ, or WRITE, now."""
        if self.is_in_doubt:
            return access is Access.READ
        if self.holder is None or self.holder == identity:
            return True
        if self.kind in REGISTRANTS_ONLY and identity in self.keys:
            return True
        return access is Access.READ and self.kind not in EXCLUSIVE_ACCESS

    def is_held_by(self, identity: bytes) -> bool:
        """True if this nexus holds the reservation."""
        if self.holder is None:
            return False
        return self.holder == identity or (self.kind in ALL_REGISTRANTS and identity in self.keys)

    def reserve(self, identity: bytes, kind: int) -> None:
        """Reserve for this nexus; whatever was in doubt is so no more."""
        self.holder, self.kind, self.is_in_doubt = identity, kind, False

    def release(self) -> None:
        """End the reservation."""
        self.holder, self.kind = None, 0

    def unregister(self, identity: bytes) -> bool:
        """Forget a registration; True if the reservation ended with it."""
        del self.keys[identity]
        if self.holder is None:
            return False
        if self.kind in ALL_REGISTRANTS:
            ends = not self.keys
            if not ends and self.holder == identity:
                self.holder = next(iter(self.keys))
        else:
            ends = self.holder == identity
        if ends:
            self.release()
        return ends
