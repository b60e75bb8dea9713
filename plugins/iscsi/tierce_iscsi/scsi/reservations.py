"""Persistent reservations and RESERVE(6) (SPC-4 sections 5.12, 6.15, 6.16; SPC-2 section 7.21).

Registrations belong to an I_T nexus: an initiator's name and ISID, so that a session that is
replaced keeps them. They live in this process alone: APTPL is refused and not claimed, since a
reservation that must outlive us has to be kept by a majority of the replicas first.

Types (SPC-4 table 61): write exclusive (1, 5, 7) keeps writes from others, exclusive access
(3, 6, 8) reads too. For 5 and 6 every registrant is let through, for 7 and 8 every registrant
holds the reservation.
"""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING

from tierce_iscsi.scsi.cdb import be16, be32, be64
from tierce_iscsi.scsi.command import Command, Nexus, Reply
from tierce_iscsi.scsi.sense import (
    PARAMETER_LIST_LENGTH,
    REGISTRATIONS_PREEMPTED,
    RESERVATION_CONFLICT,
    RESERVATIONS_PREEMPTED,
    RESERVATIONS_RELEASED,
    CheckConditionError,
    Key,
    Sense,
    invalid_field,
    invalid_parameter,
)

if TYPE_CHECKING:
    from tierce_iscsi.scsi.unit import LogicalUnit

#: Registered nexuses of a logical unit.
REGISTRATION_COUNT_MAX = 256
PARAMETER_BYTES = 24
TYPES = frozenset({1, 3, 5, 6, 7, 8})
EXCLUSIVE_ACCESS = frozenset({3, 6, 8})
#: Types that let every registrant through, and those that every registrant holds.
REGISTRANTS_ONLY = frozenset({5, 6, 7, 8})
ALL_REGISTRANTS = frozenset({7, 8})
_CONFLICT = Reply(status=RESERVATION_CONFLICT)
#: INSUFFICIENT REGISTRATION RESOURCES
_TOO_MANY = Sense(Key.ILLEGAL_REQUEST, 0x5504)
#: INVALID RELEASE OF PERSISTENT RESERVATION
_INVALID_RELEASE = Sense(Key.ILLEGAL_REQUEST, 0x2604)


class Access(enum.Enum):
    """What a command does, as far as reservations care."""

    #: Allowed to everyone, always.
    ANY = "any"
    #: Reads the medium, or what another may be about to change.
    READ = "read"
    #: Changes the medium or the unit.
    WRITE = "write"


class Reservations:
    """Who may do what with one logical unit."""

    def __init__(self) -> None:
        self.keys: dict[bytes, int] = {}
        self.holder: bytes | None = None
        self.kind = 0
        self.generation = 0
        #: Who holds RESERVE(6).
        self.legacy: bytes | None = None

    @property
    def is_idle(self) -> bool:
        """True if nothing is reserved."""
        return self.holder is None and self.legacy is None

    def allows(self, nexus: Nexus, access: Access) -> bool:
        """True if the nexus may do this now."""
        if access is Access.ANY or self.is_idle:
            return True
        identity = nexus.initiator
        if self.legacy is not None:
            return self.legacy == identity
        if self.holder == identity or (self.kind in REGISTRANTS_ONLY and identity in self.keys):
            return True
        return access is Access.READ and self.kind not in EXCLUSIVE_ACCESS

    def is_held_by(self, identity: bytes) -> bool:
        """True if this nexus holds the persistent reservation."""
        if self.holder is None:
            return False
        return self.holder == identity or (self.kind in ALL_REGISTRANTS and identity in self.keys)

    def release(self) -> None:
        """End the persistent reservation."""
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


# -- RESERVE(6), RELEASE(6) ------------------------------------------------------------------------


def reserve_6(unit: LogicalUnit, command: Command) -> Reply:
    """RESERVE(6): the whole unit for this nexus."""
    reservations = unit.reservations
    if command.cdb[1] & 0x01:
        # EXTENT is obsolete.
        raise invalid_field(1)
    identity = command.nexus.initiator
    if reservations.keys or reservations.legacy not in {None, identity}:
        return _CONFLICT
    reservations.legacy = identity
    return Reply()


def release_6(unit: LogicalUnit, command: Command) -> Reply:
    """RELEASE(6): of what another holds it is GOOD and does nothing (SPC-2 section 7.16.2)."""
    if unit.reservations.legacy == command.nexus.initiator:
        unit.reservations.legacy = None
    return Reply()


# -- PERSISTENT RESERVE IN -------------------------------------------------------------------------


def _reply_in(reservations: Reservations, body: bytes, allocation: int) -> Reply:
    head = struct.pack(">II", reservations.generation, len(body))
    return Reply((head + body)[:allocation])


def read_keys(unit: LogicalUnit, command: Command) -> Reply:
    """READ KEYS."""
    keys = b"".join(struct.pack(">Q", key) for key in unit.reservations.keys.values())
    return _reply_in(unit.reservations, keys, be16(command.cdb, 7))


def read_reservation(unit: LogicalUnit, command: Command) -> Reply:
    """READ RESERVATION: the holder's key (0 if all registrants hold it), scope and type."""
    reservations = unit.reservations
    body = b""
    if reservations.holder is not None:
        key = 0
        if reservations.kind not in ALL_REGISTRANTS:
            key = reservations.keys[reservations.holder]
        body = struct.pack(">Q5xB2x", key, reservations.kind)
    return _reply_in(reservations, body, be16(command.cdb, 7))


def report_capabilities(_unit: LogicalUnit, command: Command) -> Reply:
    """REPORT CAPABILITIES: type mask valid, every type; no APTPL."""
    return Reply(struct.pack(">HBBH2x", 8, 0x00, 0x80, 0xEA01)[: be16(command.cdb, 7)])


def read_full_status(unit: LogicalUnit, command: Command) -> Reply:
    """READ FULL STATUS: every registration with its transport ID (SPC-4 section 6.15.5)."""
    reservations = unit.reservations
    body = b""
    for identity, key in reservations.keys.items():
        is_held = reservations.is_held_by(identity)
        kind = reservations.kind if is_held else 0
        body += struct.pack(">Q4xBB4xHI", key, is_held, kind, 1, len(identity)) + identity
    return _reply_in(reservations, body, be16(command.cdb, 7))


# -- PERSISTENT RESERVE OUT ------------------------------------------------------------------------


def out_length(_unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of parameters: always 24 here.

    Raises:
        CheckConditionError: PARAMETER LIST LENGTH ERROR.
    """
    if be32(cdb, 5) != PARAMETER_BYTES:
        raise CheckConditionError(PARAMETER_LIST_LENGTH)
    return PARAMETER_BYTES


def _parameters(command: Command) -> tuple[int, int]:
    """Return (reservation key, service action reservation key)."""
    data = command.data
    if data[20] & 0x0D:
        # SPEC_I_PT, ALL_TG_PT, APTPL.
        raise invalid_parameter(20)
    return be64(data, 0), be64(data, 8)


def _kind(cdb: bytes) -> int:
    """Return the type, of scope LU."""
    if cdb[2] >> 4 or cdb[2] & 0x0F not in TYPES:
        raise invalid_field(2)
    return cdb[2] & 0x0F


_DONE = Reply(length=PARAMETER_BYTES)


def register(unit: LogicalUnit, command: Command) -> Reply:
    """REGISTER, and REGISTER AND IGNORE EXISTING KEY."""
    reservations = unit.reservations
    old, new = _parameters(command)
    identity = command.nexus.initiator
    ignores = command.cdb[1] & 0x1F == 0x06
    if reservations.legacy not in {None, identity}:
        return _CONFLICT
    if not ignores and reservations.keys.get(identity, 0) != old:
        return _CONFLICT
    if new:
        if identity not in reservations.keys and (len(reservations.keys) >= REGISTRATION_COUNT_MAX):
            raise CheckConditionError(_TOO_MANY)
        reservations.keys[identity] = new
    elif identity in reservations.keys:
        kind = reservations.kind
        if reservations.unregister(identity) and kind in REGISTRANTS_ONLY:
            _tell_registrants(unit, RESERVATIONS_RELEASED)
    elif not ignores:
        return _DONE
    reservations.generation += 1
    return _DONE


def _is_registered(unit: LogicalUnit, command: Command) -> bool:
    """True if the nexus is registered with the key that it names."""
    key, _ = _parameters(command)
    return unit.reservations.keys.get(command.nexus.initiator) == key


def reserve(unit: LogicalUnit, command: Command) -> Reply:
    """RESERVE."""
    reservations = unit.reservations
    identity = command.nexus.initiator
    kind = _kind(command.cdb)
    if not _is_registered(unit, command):
        return _CONFLICT
    if reservations.holder is not None:
        is_same = reservations.is_held_by(identity) and reservations.kind == kind
        return _DONE if is_same else _CONFLICT
    reservations.holder, reservations.kind = identity, kind
    return _DONE


def release(unit: LogicalUnit, command: Command) -> Reply:
    """RELEASE."""
    reservations = unit.reservations
    kind = _kind(command.cdb)
    if not _is_registered(unit, command):
        return _CONFLICT
    if not reservations.is_held_by(command.nexus.initiator):
        return _DONE
    if reservations.kind != kind:
        raise CheckConditionError(_INVALID_RELEASE)
    reservations.release()
    if kind in REGISTRANTS_ONLY:
        _tell_registrants(unit, RESERVATIONS_RELEASED, command.nexus)
    return _DONE


def clear(unit: LogicalUnit, command: Command) -> Reply:
    """CLEAR: every registration and the reservation."""
    if not _is_registered(unit, command):
        return _CONFLICT
    reservations = unit.reservations
    _tell_registrants(unit, RESERVATIONS_PREEMPTED, command.nexus)
    reservations.keys.clear()
    reservations.release()
    reservations.generation += 1
    return _DONE


def preempt(unit: LogicalUnit, command: Command) -> Reply:
    """PREEMPT: end the registrations that have a key, and take over their reservation."""
    reservations = unit.reservations
    identity = command.nexus.initiator
    _, victim = _parameters(command)
    kind = _kind(command.cdb)
    if not _is_registered(unit, command):
        return _CONFLICT
    is_shared = reservations.kind in ALL_REGISTRANTS
    holder = reservations.holder
    takes_over = holder is not None and (
        victim == 0 if is_shared else reservations.keys[holder] == victim
    )
    if not victim and not is_shared:
        raise invalid_parameter(8)
    losers = [
        other
        for other, key in reservations.keys.items()
        if other != identity and (key == victim or (takes_over and is_shared and not victim))
    ]
    if not losers and not takes_over:
        return _CONFLICT
    for other in losers:
        _tell(unit, other, REGISTRATIONS_PREEMPTED)
        reservations.unregister(other)
    if takes_over:
        was = reservations.kind
        reservations.holder, reservations.kind = identity, kind
        if was and was != kind:
            _tell_registrants(unit, RESERVATIONS_RELEASED, command.nexus)
    reservations.generation += 1
    return _DONE


def _tell_registrants(unit: LogicalUnit, sense: Sense, but: Nexus | None = None) -> None:
    """Give every registered nexus but one a unit attention."""
    for nexus in unit.nexuses:
        if nexus is not but and nexus.initiator in unit.reservations.keys:
            nexus.attend(sense)


def _tell(unit: LogicalUnit, identity: bytes, sense: Sense) -> None:
    for nexus in unit.nexuses:
        if nexus.initiator == identity:
            nexus.attend(sense)
