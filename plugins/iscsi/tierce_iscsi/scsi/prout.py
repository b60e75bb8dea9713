"""PERSISTENT RESERVE OUT: what each service action makes of the registrations (SPC-4 5.12, 6.16).

Pure: an action takes registrations that it may change and says who is to be told what once
they are saved. There is one target port, so ALL_TG_PT changes nothing. SPEC_I_PT and REGISTER AND
MOVE, which speak for another initiator, are not there.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce_iscsi.scsi.cdb import be64
from tierce_iscsi.scsi.command import Command, Reply
from tierce_iscsi.scsi.registrations import (
    ALL_REGISTRANTS,
    REGISTRANTS_ONLY,
    REGISTRATION_COUNT_MAX,
    TYPES,
    Registrations,
)
from tierce_iscsi.scsi.sense import (
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

PARAMETER_BYTES = 24
_CONFLICT = Reply(status=RESERVATION_CONFLICT)
_DONE = Reply(length=PARAMETER_BYTES)
#: INSUFFICIENT REGISTRATION RESOURCES
_TOO_MANY = Sense(Key.ILLEGAL_REQUEST, 0x5504)
#: INVALID RELEASE OF PERSISTENT RESERVATION
_INVALID_RELEASE = Sense(Key.ILLEGAL_REQUEST, 0x2604)
#: Bits of byte 20 of the parameters.
_SPEC_I_PT, _APTPL = 0x08, 0x01
IGNORE_EXISTING_KEY = 0x06


@attrs.frozen
class Order:
    """What a PERSISTENT RESERVE OUT says.

    Attributes:
        identity: Who sends it.
        key: Its reservation key.
        new: Its service action reservation key.
        kind: The reservation's type, 0 where the action has none.
        ignores_key: REGISTER AND IGNORE EXISTING KEY.
        outlives_power: APTPL.
    """

    identity: bytes
    key: int
    new: int
    kind: int = 0
    ignores_key: bool = False
    outlives_power: bool = False


@attrs.define
class Change:
    """What an action did.

    Attributes:
        reply: What the initiator is told.
        news: Unit attentions, for whom.
        losers: Whose registrations others have ended.
    """

    reply: Reply = _DONE
    news: list[tuple[bytes, Sense]] = attrs.field(factory=list)
    losers: frozenset[bytes] = frozenset()

    def tell_registrants(self, now: Registrations, sense: Sense, but: bytes = b"") -> None:
        """Tell every registered nexus but one."""
        self.news += [(identity, sense) for identity in now.keys if identity != but]


Action = Callable[[Registrations, Order], Change]


def read_order(command: Command, *, has_type: bool, can_outlive_power: bool) -> Order:
    """Read a command's parameters.

    Raises:
        CheckConditionError: Something is asked for that is not there.
    """
    cdb, data = command.cdb, command.data
    action, flags = cdb[1] & 0x1F, data[20]
    kind = 0
    if has_type:
        if cdb[2] >> 4 or cdb[2] & 0x0F not in TYPES:
            raise invalid_field(2)
        kind = cdb[2] & 0x0F
    elif action in {0x00, IGNORE_EXISTING_KEY} and (
        flags & _SPEC_I_PT or (flags & _APTPL and not can_outlive_power)
    ):
        raise invalid_parameter(20)
    return Order(
        *(command.nexus.initiator, be64(data, 0), be64(data, 8), kind),
        ignores_key=action == IGNORE_EXISTING_KEY,
        outlives_power=bool(flags & _APTPL),
    )


def register(now: Registrations, order: Order) -> Change:
    """REGISTER, and REGISTER AND IGNORE EXISTING KEY."""
    identity, change = order.identity, Change()
    if not order.ignores_key and now.keys.get(identity, 0) != order.key:
        return Change(_CONFLICT)
    if order.new:
        if identity not in now.keys and len(now.keys) >= REGISTRATION_COUNT_MAX:
            raise CheckConditionError(_TOO_MANY)
        now.keys[identity] = order.new
    elif identity in now.keys:
        kind = now.kind
        if now.unregister(identity) and kind in REGISTRANTS_ONLY:
            change.tell_registrants(now, RESERVATIONS_RELEASED)
    now.outlives_power = order.outlives_power
    now.generation += 1
    return change


def _is_registered(now: Registrations, order: Order) -> bool:
    """True if the nexus is registered with the key that it names."""
    return now.keys.get(order.identity) == order.key


def reserve(now: Registrations, order: Order) -> Change:
    """RESERVE."""
    if not _is_registered(now, order):
        return Change(_CONFLICT)
    if now.holder is not None:
        is_same = now.is_held_by(order.identity) and now.kind == order.kind
        return Change() if is_same else Change(_CONFLICT)
    now.reserve(order.identity, order.kind)
    return Change()


def release(now: Registrations, order: Order) -> Change:
    """RELEASE."""
    if not _is_registered(now, order):
        return Change(_CONFLICT)
    change = Change()
    if now.is_held_by(order.identity):
        if now.kind != order.kind:
            raise CheckConditionError(_INVALID_RELEASE)
        now.release()
        if order.kind in REGISTRANTS_ONLY:
            change.tell_registrants(now, RESERVATIONS_RELEASED, order.identity)
    return change


def clear(now: Registrations, order: Order) -> Change:
    """CLEAR: every registration and the reservation."""
    if not _is_registered(now, order):
        return Change(_CONFLICT)
    change = Change()
    change.tell_registrants(now, RESERVATIONS_PREEMPTED, order.identity)
    now.keys.clear()
    now.release()
    now.is_in_doubt = False
    now.generation += 1
    return change


def preempt(now: Registrations, order: Order) -> Change:
    """PREEMPT, and what PREEMPT AND ABORT has in common with it: end the registrations that have
    a key, and take over the reservation that they hold (SPC-4 section 5.12.11.2)."""
    identity, victim = order.identity, order.new
    if not _is_registered(now, order):
        return Change(_CONFLICT)
    is_shared = now.kind in ALL_REGISTRANTS
    if not victim and not is_shared:
        raise invalid_parameter(8)
    if is_shared:
        takes_over = not victim
    else:
        is_holders = now.holder is not None and now.keys[now.holder] == victim
        takes_over = is_holders or now.is_in_doubt
    losers = [
        other
        for other, key in now.keys.items()
        if (key == victim or (takes_over and is_shared)) and not (takes_over and other == identity)
    ]
    if not losers and not takes_over:
        return Change(_CONFLICT)
    change, was = Change(losers=frozenset(losers) - {identity}), now.kind
    for other in losers:
        now.unregister(other)
    change.news += [(other, REGISTRATIONS_PREEMPTED) for other in losers if other != identity]
    if takes_over:
        now.reserve(identity, order.kind)
        if was and was != order.kind:
            change.tell_registrants(now, RESERVATIONS_RELEASED, identity)
    now.generation += 1
    return change
