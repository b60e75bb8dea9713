"""Reservations as initiators see them: who is kept out, who is told, what outlives a restart."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from iscsi.bench import Bench, Disk
from iscsi.initiator import command, read_10, task_management, write_10
from iscsi.test_task_management import GivesUp
from tierce_iscsi.scsi.registrations import REGISTRATION_COUNT_MAX
from tierce_iscsi.scsi.transport import transport_id

GOOD, CHECK_CONDITION, CONFLICT, TASK_ABORTED = 0, 2, 0x18, 0x40
READY_TO_TRANSFER = 0x31
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE = range(7)
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS, REGISTRANTS_ONLY, ALL_REGISTRANTS = 1, 3, 5, 7
APTPL, ALL_TG_PT, SPEC_I_PT = 1, 4, 8
#: Unit attentions.
RESTARTED, PREEMPTED, RELEASED, UNREGISTERED = (6, 0x2900), (6, 0x2A03), (6, 0x2A04), (6, 0x2A05)
FAILED = (4, 0x4400)
BLOCK = b"n" * 512
ONE, TWO, THREE = (bytes((0x80, 0, 0, 0, 0, number)) for number in (1, 2, 3))
READY = bytes(6)
MakeBench = Callable[..., Bench]


def out(action: int, kind: int, key: int, new: int = 0, flags: int = 0) -> tuple[bytes, bytes]:
    cdb = struct.pack(">BBB2xIx", 0x5F, action, kind, 24)
    return cdb, struct.pack(">QQ4xB3x", key, new, flags)


class Node(Disk):
    """A cluster's node: one initiator port with its key."""

    def __init__(self, bench: Bench, isid: bytes, key: int) -> None:
        super().__init__(bench.session(isid=isid))
        self.key = key

    def order(self, action: int, kind: int = 0, new: int = 0, flags: int = 0) -> int:
        """Send a PERSISTENT RESERVE OUT that is answered at once; return its status."""
        cdb, data = out(action, kind, self.key, new, flags)
        return self.do(cdb, data=data).status

    def register(self, flags: int = 0) -> None:
        cdb, data = out(REGISTER, 0, 0, self.key, flags)
        assert self.do(cdb, data=data).status == GOOD

    def write(self) -> int:
        return self.do(write_10(0, 1), data=BLOCK).status

    def attention(self) -> tuple[int, int] | None:
        """What the node is told by its next command."""
        answer = self.do(READY)
        return answer.sense if answer.status else None

    def inquire(self, action: int, length: int = 255) -> bytes:
        """The answer of a PERSISTENT RESERVE IN."""
        return self.do(struct.pack(">BB5xHx", 0x5E, action, length), read=length).data

    def keys(self) -> list[int]:
        data = self.inquire(0)
        return [int.from_bytes(data[at : at + 8], "big") for at in range(8, len(data), 8)]

    def reserved(self) -> tuple[int, int] | None:
        """The holder's key and the type, None if nothing is reserved."""
        data = self.inquire(1)
        return (int.from_bytes(data[8:16], "big"), data[21]) if len(data) > 8 else None


def pair(bench: Bench) -> tuple[Node, Node]:
    """Two nodes, both registered."""
    one, two = Node(bench, ONE, 0xA), Node(bench, TWO, 0xB)
    one.register()
    two.register()
    return one, two


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


# -- what outlives a restart -----------------------------------------------------------------------


def test_a_restart_of_the_target_keeps_the_fence(make_bench: MakeBench) -> None:
    one, _two = pair(make_bench())
    assert one.order(RESERVE, WRITE_EXCLUSIVE) == GOOD
    again = make_bench()
    one, two = Node(again, ONE, 0xA), Node(again, TWO, 0xB)
    assert (one.attention(), two.attention()) == (RESTARTED, RESTARTED)
    assert two.write() == CONFLICT
    assert one.write() == GOOD
    assert one.keys() == [0xA, 0xB]
    assert one.reserved() == (0xA, WRITE_EXCLUSIVE)


def test_what_is_not_kept_yet_is_neither_answered_nor_in_force(make_bench: MakeBench) -> None:
    bench = make_bench()
    one, two = pair(bench)
    bench.loop.by_hand = True
    cdb, data = out(RESERVE, WRITE_EXCLUSIVE, one.key)
    assert one.ask(cdb, data=data) == []
    # Meanwhile nothing else waits, the same session's commands included.
    assert two.write() == GOOD
    assert one.write() == GOOD
    # Started anew now, the target knows nothing of it.
    assert Node(make_bench(), ONE, 0xA).attention() == RESTARTED
    bench.loop.by_hand = False
    assert [answer.status for answer in one.session.hear()] == [GOOD]
    assert two.write() == CONFLICT


def test_those_that_come_meanwhile_are_done_in_order_and_kept_together(bench: Bench) -> None:
    one, two = pair(bench)
    bench.loop.by_hand = True
    cdb, data = out(RESERVE, WRITE_EXCLUSIVE, one.key)
    assert one.ask(cdb, data=data) == []
    cdb, data = out(RESERVE, WRITE_EXCLUSIVE, two.key)
    assert two.ask(cdb, data=data) == []
    cdb, data = out(RELEASE, WRITE_EXCLUSIVE, one.key)
    assert one.ask(cdb, data=data) == []
    assert len(bench.loop.work) == 1
    bench.loop.by_hand = False
    bench.loop.turn()
    assert [answer.status for answer in one.session.hear()] == [GOOD, GOOD]
    assert [answer.status for answer in two.session.hear()] == [CONFLICT]


def test_what_can_not_be_kept_fails_and_has_not_happened(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    bench = make_bench()
    one, two = pair(bench)
    (tmp_path / "frontend.iscsi" / "reservations.new").mkdir()
    cdb, data = out(RESERVE, WRITE_EXCLUSIVE, one.key)
    assert one.do(cdb, data=data).sense == FAILED
    assert two.write() == GOOD
    assert one.reserved() is None
    assert [event.code for event in bench.told] == ["iscsi.keeping.failed"]
    (tmp_path / "frontend.iscsi" / "reservations.new").rmdir()
    assert one.do(cdb, data=data).status == GOOD


def test_a_registration_that_is_aborted_while_it_is_kept_is_waited_for(bench: Bench) -> None:
    one, _two = pair(bench)
    bench.loop.by_hand = True
    cdb, data = out(RESERVE, WRITE_EXCLUSIVE, one.key)
    assert one.ask(cdb, data=data) == []
    assert one.session.ask(task_management(1, one.number + 1, task=one.number)) == []
    bench.loop.by_hand = False
    assert [answer.response for answer in one.session.hear()] == [0]


@pytest.mark.parametrize("damage", [b"", b"tierce-iscsi reservations 9 00000000\n{}\n", None])
def test_where_it_is_not_known_who_has_reserved_nobody_writes(
    make_bench: MakeBench, tmp_path: Path, damage: bytes | None
) -> None:
    one, two = pair(make_bench())
    assert one.order(RESERVE, EXCLUSIVE_ACCESS) == GOOD
    file = tmp_path / "frontend.iscsi" / "reservations"
    whole = file.read_bytes()
    file.write_bytes(whole[:-3] + b"!" + whole[-2:] if damage is None else damage)
    again = make_bench()
    one, two = Node(again, ONE, 0xA), Node(again, TWO, 0xB)
    assert [event.code for event in again.told] == ["iscsi.reservations.damaged"]
    assert (one.attention(), two.attention()) == (RESTARTED, RESTARTED)
    assert (one.write(), two.write()) == (CONFLICT, CONFLICT)
    assert one.do(b"\x16\0\0\0\0\0").status == CONFLICT
    assert one.do(read_10(0, 1), read=512).status == GOOD
    assert one.reserved() == (0, WRITE_EXCLUSIVE), "what is enforced is what is told"
    # Registering alone ends no doubt, and a restart neither.
    one.register()
    assert one.write() == CONFLICT
    third = make_bench()
    one = Node(third, ONE, 0xA)
    assert one.attention() == RESTARTED
    assert one.write() == CONFLICT
    assert one.order(RESERVE, WRITE_EXCLUSIVE) == GOOD
    assert one.write() == GOOD
    assert one.reserved() == (0xA, WRITE_EXCLUSIVE)


@pytest.mark.parametrize(("action", "new"), [(CLEAR, 0), (PREEMPT, 0xDEAD)])
def test_who_is_registered_ends_the_doubt(
    make_bench: MakeBench, tmp_path: Path, action: int, new: int
) -> None:
    Node(make_bench(), ONE, 0xA)
    (tmp_path / "frontend.iscsi" / "reservations").write_bytes(b"?")
    node = Node(make_bench(), TWO, 0xB)
    assert node.attention() == RESTARTED
    node.register()
    assert node.order(action, WRITE_EXCLUSIVE, new) == GOOD
    assert node.write() == GOOD


def test_another_volumes_reservations_are_never_taken(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    one, _two = pair(make_bench(uuid="f" * 32))
    assert one.order(RESERVE, WRITE_EXCLUSIVE) == GOOD
    bench = make_bench()
    assert [event.code for event in bench.told] == ["iscsi.reservations.of-another"]
    node = Node(bench, TWO, 0xB)
    assert node.write() == GOOD, "nor is anyone told of a restart"
    assert node.keys() == []


# -- loss of power ---------------------------------------------------------------------------------


def test_without_aptpl_loss_of_power_ends_reservations(make_bench: MakeBench) -> None:
    one, _two = pair(make_bench())
    assert one.order(RESERVE, WRITE_EXCLUSIVE) == GOOD
    bench = make_bench(boot_id="another")
    two = Node(bench, TWO, 0xB)
    assert two.attention() == RESTARTED
    assert two.keys() == []
    assert two.write() == GOOD


def test_with_aptpl_reservations_outlive_loss_of_power(make_bench: MakeBench) -> None:
    one = Node(make_bench(), ONE, 0xA)
    assert one.inquire(2)[2:4] == bytes((0x05, 0x80)), "PTPL_C, not PTPL_A"
    one.register(APTPL)
    assert one.order(RESERVE, WRITE_EXCLUSIVE) == GOOD
    two = Node(make_bench(boot_id="another"), TWO, 0xB)
    assert two.write() == CONFLICT
    assert two.inquire(2)[2:4] == bytes((0x05, 0x81)), "PTPL_A too"


def test_the_last_registration_says_whether_power_may_be_lost(make_bench: MakeBench) -> None:
    bench = make_bench()
    one, two = Node(bench, ONE, 0xA), Node(bench, TWO, 0xB)
    one.register(APTPL)
    two.register()
    assert one.inquire(2)[3] == 0x80


def test_aptpl_is_refused_where_the_bytes_outlive_what_is_kept(make_bench: MakeBench) -> None:
    node = Node(make_bench(is_folder_lasting=False), ONE, 0xA)
    cdb, data = out(REGISTER, 0, 0, 0xA, APTPL)
    assert node.do(cdb, data=data).sense == (5, 0x2600)
    assert node.inquire(2)[2:4] == bytes((0x04, 0x80))
    assert node.keys() == []
