"""PERSISTENT RESERVE IN and OUT, RESERVE(6), RELEASE(6) (SPC-4 6.15, 6.16; SPC-2 section 7.21)."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tierce_iscsi.scsi import prout
from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import Command, Deferred, Outcome, Reply
from tierce_iscsi.scsi.entry import Handler
from tierce_iscsi.scsi.prout import PARAMETER_BYTES, Action, Change
from tierce_iscsi.scsi.registrations import ALL_REGISTRANTS, WRITE_EXCLUSIVE, Registrations
from tierce_iscsi.scsi.sense import (
    PARAMETER_LIST_LENGTH,
    RESERVATION_CONFLICT,
    CheckConditionError,
    invalid_field,
)
from tierce_iscsi.scsi.unit import LogicalUnit

_CONFLICT = Reply(status=RESERVATION_CONFLICT)


# -- RESERVE(6), RELEASE(6) ------------------------------------------------------------------------


def reserve_6(unit: LogicalUnit, command: Command) -> Reply:
    """RESERVE(6): the whole unit for this nexus."""
    reservations = unit.reservations
    if command.cdb[1] & 0x01:
        # EXTENT is obsolete.
        raise invalid_field(1)
    identity = command.nexus.initiator
    is_persistent = reservations.now.keys or reservations.now.is_in_doubt
    if is_persistent or reservations.legacy not in {None, identity}:
        return _CONFLICT
    reservations.set_legacy(identity)
    return Reply()


def release_6(unit: LogicalUnit, command: Command) -> Reply:
    """RELEASE(6): of what another holds it is GOOD and does nothing (SPC-2 section 7.16.2)."""
    if unit.reservations.legacy == command.nexus.initiator:
        unit.reservations.set_legacy(None)
    return Reply()


# -- PERSISTENT RESERVE IN -------------------------------------------------------------------------


def _reply_in(now: Registrations, body: bytes, allocation: int) -> Reply:
    head = struct.pack(">II", now.generation & 0xFFFFFFFF, len(body))
    return Reply((head + body)[:allocation])


def read_keys(unit: LogicalUnit, command: Command) -> Reply:
    """READ KEYS."""
    now = unit.reservations.now
    keys = b"".join(struct.pack(">Q", key) for key in now.keys.values())
    return _reply_in(now, keys, be16(command.cdb, 7))


def read_reservation(unit: LogicalUnit, command: Command) -> Reply:
    """READ RESERVATION: the holder's key (0 if all registrants hold it, or if it is in doubt
    who does), scope and type."""
    now = unit.reservations.now
    body = b""
    if now.is_in_doubt:
        body = struct.pack(">Q5xB2x", 0, WRITE_EXCLUSIVE)
    elif now.holder is not None:
        key = 0 if now.kind in ALL_REGISTRANTS else now.keys[now.holder]
        body = struct.pack(">Q5xB2x", key, now.kind)
    return _reply_in(now, body, be16(command.cdb, 7))


def report_capabilities(unit: LogicalUnit, command: Command) -> Reply:
    """REPORT CAPABILITIES: ATP_C, as there is one target port; PTPL_C where APTPL can be
    promised, PTPL_A where it is; type mask valid, every type."""
    reservations = unit.reservations
    can = 0x04 | (0x01 if reservations.can_outlive_power else 0)
    does = 0x80 | (0x01 if reservations.now.outlives_power else 0)
    return Reply(struct.pack(">HBBH2x", 8, can, does, 0xEA01)[: be16(command.cdb, 7)])


def read_full_status(unit: LogicalUnit, command: Command) -> Reply:
    """READ FULL STATUS: every registration with its transport ID (SPC-4 section 6.15.5)."""
    now = unit.reservations.now
    body = b""
    for identity, key in now.keys.items():
        is_held = now.is_held_by(identity)
        kind = now.kind if is_held else 0
        body += struct.pack(">Q4xBB4xHI", key, is_held, kind, 1, len(identity)) + identity
    return _reply_in(now, body, be16(command.cdb, 7))


# -- PERSISTENT RESERVE OUT ------------------------------------------------------------------------


def out_length(_unit: LogicalUnit, cdb: bytes) -> int:
    """Bytes of parameters: always 24 here.

    Raises:
        CheckConditionError: PARAMETER LIST LENGTH ERROR.
    """
    if be32(cdb, 5) != PARAMETER_BYTES:
        raise CheckConditionError(PARAMETER_LIST_LENGTH)
    return PARAMETER_BYTES


def handler_of(action: Action, *, has_type: bool = False, aborts: bool = False) -> Handler:
    """Return what does a service action.

    Args:
        action: What it makes of the registrations.
        has_type: Its CDB names a type of reservation.
        aborts: The commands of those who lose their registrations are aborted, and it is
            answered when none of them can change the medium any more.
    """

    def handle(unit: LogicalUnit, command: Command) -> Deferred:
        reservations = unit.reservations
        can = reservations.can_outlive_power
        order = prout.read_order(command, has_type=has_type, can_outlive_power=can)

        def begin(done: Callable[[Outcome], None], is_aborted: Callable[[], bool]) -> None:
            def saved(change: Change) -> None:
                for identity, sense in change.news:
                    unit.tell(identity, sense)
                if aborts and change.losers:
                    unit.abort(change.losers, lambda: done(change.reply))
                else:
                    done(change.reply)

            reservations.change(action, order, saved, is_aborted, aborts=aborts)

        return Deferred(begin)

    return handle
