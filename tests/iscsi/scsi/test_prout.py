"""Service actions in any order: what holds after each of them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tierce_iscsi.scsi import prout
from tierce_iscsi.scsi.persistent_files import decode_reservations, encode_reservations
from tierce_iscsi.scsi.prout import Action, Change, Order
from tierce_iscsi.scsi.registrations import (
    ALL_REGISTRANTS,
    EXCLUSIVE_ACCESS,
    REGISTRANTS_ONLY,
    TYPES,
    Access,
    Registrations,
)
from tierce_iscsi.scsi.sense import GOOD, REGISTRATIONS_PREEMPTED, CheckConditionError
from tierce_iscsi.scsi.transport import transport_id

NODES = [transport_id("iqn.x:node", bytes((0x80, 0, 0, 0, 0, number))) for number in range(4)]
STRANGER = transport_id("iqn.x:stranger", bytes(6))
ACTIONS: list[Action] = [
    *(prout.register, prout.reserve, prout.release, prout.clear, prout.preempt),
]
KEYS = st.integers(0, 3)
ORDERS = st.builds(
    Order,
    st.sampled_from(NODES),
    key=KEYS,
    new=KEYS,
    kind=st.sampled_from(sorted(TYPES)),
    ignores_key=st.booleans(),
    outlives_power=st.booleans(),
)


def done(now: Registrations, action: Action, order: Order) -> tuple[Registrations, Change | None]:
    """What an action makes of a copy; as it was where it fails."""
    fresh = now.copy()
    try:
        return fresh, action(fresh, order)
    except CheckConditionError:
        return now, None


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), ORDERS), max_size=40), st.booleans())
def test_what_holds_after_any_actions(
    orders: list[tuple[Action, Order]], is_in_doubt: bool
) -> None:
    now = Registrations(is_in_doubt=is_in_doubt)
    for action, order in orders:
        before, (now, change) = now, done(now, action, order)
        if change is None or change.reply.status != GOOD:
            assert now == before, "what failed has changed nothing"
            continue
        assert all(now.keys.values()), "no key is zero"
        if now.holder is None:
            assert now.kind == 0
        else:
            assert now.holder in now.keys
            assert now.kind in TYPES
            assert not now.is_in_doubt
        assert now.generation >= before.generation
        told = [identity for identity, _sense in change.news]
        assert order.identity not in told, "who did it need not be told"
        assert len(set(told)) == len(told)
        lost = before.keys.keys() - now.keys.keys() - {order.identity}
        assert lost <= set(told), "nobody loses its registration unheard"
        assert change.losers == {
            identity for identity, sense in change.news if sense == REGISTRATIONS_PREEMPTED
        }
        assert (
            decode_reservations(encode_reservations(now, "v", "b"), "v", "b", Path("kept")) == now
        )
        check_access(now)


def check_access(now: Registrations) -> None:
    """Who may read and write, from the words of the standard."""
    assert now.allows(STRANGER, Access.WRITE) != now.is_reserved
    for node in NODES:
        is_registered = node in now.keys
        is_let_in = is_registered and now.kind in REGISTRANTS_ONLY
        if now.is_in_doubt:
            expected = (True, False)
        elif now.holder in {None, node} or is_let_in:
            expected = (True, True)
        else:
            expected = (now.kind not in EXCLUSIVE_ACCESS, False)
        assert (now.allows(node, Access.READ), now.allows(node, Access.WRITE)) == expected
        holds = now.holder == node or (now.kind in ALL_REGISTRANTS and is_registered)
        assert now.is_held_by(node) == (now.holder is not None and holds)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), ORDERS), max_size=20), ORDERS)
def test_who_is_not_registered_changes_nothing_but_by_registering(
    orders: list[tuple[Action, Order]], last: Order
) -> None:
    now = Registrations()
    for action, order in orders:
        now, _ = done(now, action, order)
    now.keys.pop(last.identity, None)
    if now.holder not in now.keys:
        now.release()
    for action in ACTIONS[1:]:
        after, _ = done(now, action, last)
        assert after == now
