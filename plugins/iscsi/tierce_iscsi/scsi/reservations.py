"""PERSISTENT RESERVE IN and OUT, RESERVE(6), RELEASE(6) (SPC-4 6.15, 6.16; SPC-2 section 7.21).

**Kept first.** What a PERSISTENT RESERVE OUT changes is in force, told to others and answered only
when it is kept: a restart of the target must not lose a fence that somebody was told is up. The
command is parked meanwhile; those that come until then are dealt with together next, in order.
What can't be kept has not happened: the command fails and everything stays as it was.

**Whoever is aborted first loses.** PREEMPT AND ABORT is the last of those that are dealt with
together: what its losers sent behind it is aborted before its turn, and what is aborted before its
turn has not happened. So a PREEMPT AND ABORT waits only for commands older than itself, and two
nodes that preempt each other never wait for one another.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from tierce_iscsi.scsi import prout
from tierce_iscsi.scsi.cdb import be16, be32
from tierce_iscsi.scsi.command import (
    Command,
    Deferred,
    Nexus,
    Outcome,
    Reply,
    check_condition,
)
from tierce_iscsi.scsi.prout import PARAMETER_BYTES, Action, Change, Order
from tierce_iscsi.scsi.registrations import (
    ALL_REGISTRANTS,
    WRITE_EXCLUSIVE,
    Access,
    Registrations,
)
from tierce_iscsi.scsi.sense import (
    INTERNAL_TARGET_FAILURE,
    PARAMETER_LIST_LENGTH,
    RESERVATION_CONFLICT,
    CheckConditionError,
    invalid_field,
)

if TYPE_CHECKING:
    from tierce_iscsi.scsi.command import Handler
    from tierce_iscsi.scsi.unit import LogicalUnit

#: Keeps registrations over a restart of the target, then says why it could not, or "".
Keep = Callable[[Registrations, Callable[[str], None]], None]
_Answer = Callable[[Change], None]
_CONFLICT = Reply(status=RESERVATION_CONFLICT)


@attrs.frozen
class _Asked:
    """An action that waits for its turn."""

    action: Action
    order: Order
    answer: _Answer
    is_aborted: Callable[[], bool]
    aborts: bool


@attrs.frozen
class _Ended:
    """An action that waits for what it changed to be kept."""

    answer: _Answer
    change: Change
    has_changed: bool


def keep_nothing(_now: Registrations, kept: Callable[[str], None]) -> None:
    """Of a unit that has no place to keep anything."""
    kept("")


class Reservations:
    """Who may do what with one logical unit.

    Args:
        now: What was kept.
        keep: Keeps a change.
        can_outlive_power: What is kept is as safe as the unit's bytes, so that APTPL may be
            promised.

    Attributes:
        now: What is in force.
        legacy: Who holds RESERVE(6), which no restart outlives.
        is_idle: True if nothing is reserved: looked at once for each batch of commands.
    """

    def __init__(
        self,
        now: Registrations | None = None,
        keep: Keep = keep_nothing,
        *,
        can_outlive_power: bool = False,
    ) -> None:
        self.now = now or Registrations()
        self.can_outlive_power = can_outlive_power
        self.legacy: bytes | None = None
        self.is_idle = not self.now.is_reserved
        self._keep = keep
        self._is_keeping = False
        self._waiting: deque[_Asked] = deque()

    def set_legacy(self, identity: bytes | None) -> None:
        """RESERVE(6) is held by this nexus, or by nobody, from now on."""
        self.legacy = identity
        self.is_idle = identity is None and not self.now.is_reserved

    def allows(self, nexus: Nexus, access: Access) -> bool:
        """True if the nexus may do this now."""
        if access is Access.ANY or self.is_idle:
            return True
        if self.legacy is not None:
            return self.legacy == nexus.initiator
        return access is Access.PERSISTENT or self.now.allows(nexus.initiator, access)

    def change(
        self,
        action: Action,
        order: Order,
        answer: _Answer,
        is_aborted: Callable[[], bool] = lambda: False,
        *,
        aborts: bool = False,
    ) -> None:
        """Do an action after those that wait.

        Args:
            action: What it makes of the registrations.
            order: What the command says.
            answer: Called with the change when it is kept.
            is_aborted: True if the command is aborted: then the action is not done any more.
            aborts: `answer` aborts commands of others, perhaps some that wait here.
        """
        self._waiting.append(_Asked(action, order, answer, is_aborted, aborts))
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self._is_keeping:
            ended: list[_Ended] = []
            draft = self.now
            while self._waiting:
                asked = self._waiting.popleft()
                fresh, change = self._try(asked, draft)
                ended.append(_Ended(asked.answer, change, has_changed=fresh != draft))
                draft = fresh
                if asked.aborts:
                    break
            if draft == self.now:
                self._end(ended)
            else:
                self._is_keeping = True
                self._keep_draft(draft, ended)

    def _try(self, asked: _Asked, draft: Registrations) -> tuple[Registrations, Change]:
        """Return what an action makes of `draft`, which stays as it is if the action fails."""
        if asked.is_aborted():
            # Whoever is told anything is told of the abort.
            return draft, Change()
        if self.legacy not in {None, asked.order.identity}:
            return draft, Change(_CONFLICT)
        fresh = draft.copy()
        try:
            return fresh, asked.action(fresh, asked.order)
        except CheckConditionError as error:
            return draft, Change(check_condition(error.sense))

    def _keep_draft(self, draft: Registrations, ended: list[_Ended]) -> None:
        def kept(failure: str) -> None:
            self._is_keeping = False
            if failure:
                refusal = Change(check_condition(INTERNAL_TARGET_FAILURE))
                self._end([attrs.evolve(e, change=refusal) if e.has_changed else e for e in ended])
            else:
                self.now = draft
                self.set_legacy(self.legacy)
                self._end(ended)
            self._go_on()

        self._keep(draft, kept)

    def _end(self, ended: list[_Ended]) -> None:
        for one in ended:
            one.answer(one.change)


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
            def kept(change: Change) -> None:
                for identity, sense in change.news:
                    unit.tell(identity, sense)
                if aborts and change.losers:
                    unit.abort(change.losers, lambda: done(change.reply))
                else:
                    done(change.reply)

            reservations.change(action, order, kept, is_aborted, aborts=aborts)

        return Deferred(begin)

    return handle
