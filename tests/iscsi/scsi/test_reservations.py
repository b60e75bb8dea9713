"""Reservations as initiators see them: who is kept out, and who is told."""

from __future__ import annotations

import struct

import pytest

from iscsi.bench import Bench, Disk
from iscsi.initiator import command, read_10, task_management, write_10
from iscsi.reserving import (
    ALL_REGISTRANTS,
    ALL_TG_PT,
    BLOCK,
    CHECK_CONDITION,
    CLEAR,
    CONFLICT,
    GOOD,
    ONE,
    PREEMPT,
    PREEMPT_AND_ABORT,
    PREEMPTED,
    READY_TO_TRANSFER,
    REGISTER,
    REGISTER_AND_IGNORE,
    REGISTRANTS_ONLY,
    RELEASE,
    RELEASED,
    RESERVE,
    SPEC_I_PT,
    TASK_ABORTED,
    THREE,
    TWO,
    UNREGISTERED,
    WRITE_EXCLUSIVE,
    MakeBench,
    Node,
    out,
    pair,
)
from iscsi.test_task_management import GivesUp
from tierce_iscsi.scsi.registrations import REGISTRATION_COUNT_MAX
from tierce_iscsi.scsi.transport import transport_id

# -- who is kept out -------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "may_read"), [(1, True), (3, False), (5, True), (6, False)])
def test_a_reservation_keeps_others_out(bench: Bench, kind: int, *, may_read: bool) -> None:
    one, two = Node(bench, ONE, 0xA), Node(bench, TWO, 0xB)
    one.register()
    assert one.order(RESERVE, kind) == GOOD
    assert two.write() == CONFLICT
    assert two.do(read_10(0, 1), read=512).status == (GOOD if may_read else CONFLICT)
    assert one.write() == GOOD


def test_registrations_outlive_the_session(bench: Bench) -> None:
    Node(bench, ONE, 0xA).register()
    assert Node(bench, ONE, 0xA).keys() == [0xA]


def test_more_registrations_than_there_is_room_for_are_refused(bench: Bench) -> None:
    now = bench.frontend.unit.reservations.now
    for number in range(REGISTRATION_COUNT_MAX):
        now.keys[transport_id(f"iqn.x:{number}", ONE)] = number + 1
    node = Node(bench, TWO, 0xB)
    cdb, data = out(REGISTER, 0, 0, 0xB)
    assert node.do(cdb, data=data).sense == (5, 0x5504)


def test_reserve_6_ends_with_its_session(bench: Bench) -> None:
    one, two = Node(bench, ONE, 0xA), Node(bench, TWO, 0xB)
    assert one.do(b"\x16\0\0\0\0\0").status == GOOD
    assert two.do(b"\x16\0\0\0\0\0").status == CONFLICT
    one.session.close()
    bench.loop.turn()
    assert two.do(b"\x16\0\0\0\0\0").status == GOOD


def test_reserve_6_of_another_keeps_persistent_reservations_away(bench: Bench) -> None:
    one, two = Node(bench, ONE, 0xA), Node(bench, TWO, 0xB)
    assert one.do(b"\x16\0\0\0\0\0").status == GOOD
    cdb, data = out(REGISTER, 0, 0, 0xB)
    assert two.do(cdb, data=data).status == CONFLICT
    assert two.do(struct.pack(">BB5xHx", 0x5E, 0, 255), read=255).status == CONFLICT


# -- service actions -------------------------------------------------------------------------------


def test_preempting_takes_the_reservation_and_tells_the_loser(bench: Bench) -> None:
    one, two = pair(bench)
    assert one.order(RESERVE, WRITE_EXCLUSIVE) == GOOD
    assert two.order(PREEMPT, WRITE_EXCLUSIVE, one.key) == GOOD
    assert one.attention() == UNREGISTERED
    assert one.write() == CONFLICT
    assert two.reserved() == (0xB, WRITE_EXCLUSIVE)


def test_preempting_into_another_type_tells_those_who_stay_registered(bench: Bench) -> None:
    one, two = pair(bench)
    three = Node(bench, THREE, 0xC)
    three.register()
    assert one.order(RESERVE, REGISTRANTS_ONLY) == GOOD
    assert two.order(PREEMPT, WRITE_EXCLUSIVE, one.key) == GOOD
    assert three.attention() == RELEASED
    assert two.attention() is None


def test_preempting_who_holds_nothing_ends_the_registration_alone(bench: Bench) -> None:
    one, two = pair(bench)
    assert one.order(RESERVE, REGISTRANTS_ONLY) == GOOD
    assert one.order(PREEMPT, REGISTRANTS_ONLY, two.key) == GOOD
    assert one.keys() == [0xA]
    assert one.reserved() == (0xA, REGISTRANTS_ONLY)
    assert two.attention() == UNREGISTERED
    assert two.write() == CONFLICT


def test_preempting_a_key_that_nobody_has_conflicts(bench: Bench) -> None:
    one, _two = pair(bench)
    assert one.order(PREEMPT, WRITE_EXCLUSIVE, 0xDEAD) == CONFLICT


def test_key_zero_preempts_all_registrants_who_hold_and_nobody_else(bench: Bench) -> None:
    one, two = pair(bench)
    cdb, data = out(PREEMPT, WRITE_EXCLUSIVE, one.key)
    assert one.do(cdb, data=data).sense == (5, 0x2600)
    assert one.order(RESERVE, ALL_REGISTRANTS) == GOOD
    assert two.order(PREEMPT, WRITE_EXCLUSIVE) == GOOD
    assert two.keys() == [0xB]
    assert two.reserved() == (0xB, WRITE_EXCLUSIVE)


def test_preempt_and_abort_answers_when_the_losers_writes_can_not_land_any_more(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(leaves_pending=True)
    one, two = pair(bench)
    assert one.order(RESERVE, REGISTRANTS_ONLY) == GOOD
    assert one.ask(write_10(0, 1), data=BLOCK) == [], "pending in the device"
    cdb, data = out(PREEMPT_AND_ABORT, REGISTRANTS_ONLY, two.key, one.key)
    assert two.ask(cdb, data=data) == []
    # The fence is up already; only its answer waits.
    assert one.attention() == UNREGISTERED
    assert one.write() == CONFLICT
    bench.complete()
    assert [answer.status for answer in two.session.hear()] == [GOOD]
    assert [answer.status for answer in one.session.hear()] == [TASK_ABORTED]


def test_preempt_and_abort_waits_for_sessions_that_are_gone(make_bench: MakeBench) -> None:
    bench = make_bench(leaves_pending=True)
    one, two = pair(bench)
    one.ask(write_10(0, 1), data=BLOCK)
    one.session.close()
    bench.loop.turn()
    cdb, data = out(PREEMPT_AND_ABORT, REGISTRANTS_ONLY, two.key, one.key)
    assert two.ask(cdb, data=data) == []
    bench.complete()
    assert [answer.status for answer in two.session.hear()] == [GOOD]


def test_preempt_and_abort_waits_for_what_the_device_gave_up(make_bench: MakeBench) -> None:
    """A write that was answered NOT READY, and may be applied all the same."""
    device = GivesUp()
    one, two = pair(make_bench(device=device))
    assert one.write() == CHECK_CONDITION
    cdb, data = out(PREEMPT_AND_ABORT, REGISTRANTS_ONLY, two.key, one.key)
    assert two.ask(cdb, data=data) == []
    device.forget()
    assert [answer.status for answer in two.session.hear()] == [GOOD]


def test_preempt_and_abort_tells_a_loser_of_commands_that_wait_for_their_data(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(leaves_pending=True)
    one, two = pair(bench)
    three = Node(bench, THREE, 0xC)
    for node in (one, two, three):
        (asked,) = node.session.ask(command(write_10(node.number, 1), node.number + 1, write=512))
        assert asked.opcode == READY_TO_TRANSFER
        node.number += 1
    cdb, data = out(PREEMPT_AND_ABORT, REGISTRANTS_ONLY, two.key, one.key)
    (answer,) = two.ask(cdb, data=data)
    assert answer.status == GOOD
    assert [answer.status for answer in one.session.hear()] == [TASK_ABORTED]
    assert two.session.hear() == three.session.hear() == [], "theirs go on"


@pytest.mark.parametrize("is_kept_alone", [True, False])
def test_of_nodes_that_preempt_and_abort_each_other_the_first_wins(
    bench: Bench, *, is_kept_alone: bool
) -> None:
    """What the loser sent behind it is aborted and has not happened; else each would wait for the
    other for ever."""
    one, two = pair(bench)
    bench.loop.by_hand = True
    if not is_kept_alone:
        cdb, data = out(RESERVE, REGISTRANTS_ONLY, one.key)
        assert one.ask(cdb, data=data) == []
    for node, order in (
        (two, out(PREEMPT_AND_ABORT, REGISTRANTS_ONLY, two.key, one.key)),
        (one, out(REGISTER_AND_IGNORE, 0, 0, one.key)),
        (one, out(PREEMPT_AND_ABORT, REGISTRANTS_ONLY, one.key, two.key)),
    ):
        assert node.ask(order[0], data=order[1]) == []
    bench.loop.by_hand = False
    assert [answer.status for answer in two.session.hear()] == [GOOD]
    ends = [TASK_ABORTED] * 2
    assert [answer.status for answer in one.session.hear()][-2:] == ends
    assert two.keys() == [two.key]
    assert two.attention() is None


def test_what_is_aborted_before_its_turn_has_not_happened(bench: Bench) -> None:
    one, two = pair(bench)
    bench.loop.by_hand = True
    cdb, data = out(RESERVE, WRITE_EXCLUSIVE, one.key)
    assert one.ask(cdb, data=data) == []
    cdb, data = out(REGISTER, 0, two.key)
    assert two.ask(cdb, data=data) == []
    assert two.session.ask(task_management(1, two.number + 1, task=two.number)) == []
    bench.loop.by_hand = False
    assert [answer.status for answer in one.session.hear()] == [GOOD]
    assert [answer.response for answer in two.session.hear()] == [0]
    assert one.keys() == [one.key, two.key]


def test_the_last_registrant_that_leaves_ends_what_all_registrants_held(bench: Bench) -> None:
    one, two = pair(bench)
    assert one.order(RESERVE, ALL_REGISTRANTS) == GOOD
    assert one.order(REGISTER) == GOOD
    assert two.reserved() == (0, ALL_REGISTRANTS)
    assert two.order(REGISTER) == GOOD
    assert two.reserved() is None


def test_clearing_tells_every_other_registrant(bench: Bench) -> None:
    one, two = pair(bench)
    assert one.order(CLEAR) == GOOD
    assert two.attention() == PREEMPTED
    assert one.attention() is None
    assert one.keys() == []


def test_releasing_another_type_than_is_held_is_refused(bench: Bench) -> None:
    one, two = pair(bench)
    assert one.order(RESERVE, REGISTRANTS_ONLY) == GOOD
    cdb, data = out(RELEASE, WRITE_EXCLUSIVE, one.key)
    assert one.do(cdb, data=data).sense == (5, 0x2604)
    assert one.order(RELEASE, REGISTRANTS_ONLY) == GOOD
    assert two.attention() == RELEASED


@pytest.mark.parametrize("action", [REGISTER, REGISTER_AND_IGNORE])
def test_speaking_for_other_initiators_is_refused(disk: Disk, action: int) -> None:
    cdb, data = out(action, 0, 0, 7, SPEC_I_PT)
    assert disk.do(cdb, data=data).sense == (5, 0x2600)


def test_moving_a_registration_is_refused(disk: Disk) -> None:
    cdb, data = out(7, 0, 0, 7)
    assert disk.do(cdb, data=data).sense == (5, 0x2400)


def test_registering_at_all_target_ports_registers_at_the_one_there_is(bench: Bench) -> None:
    node = Node(bench, ONE, 0xA)
    assert node.inquire(2)[2] & ALL_TG_PT
    node.register(ALL_TG_PT)
    assert node.keys() == [0xA]
