"""What of reservations outlives a restart of the target, and a loss of power."""

from __future__ import annotations

from pathlib import Path

import pytest

from iscsi.bench import Bench
from iscsi.initiator import read_10, task_management
from iscsi.reserving import (
    APTPL,
    CLEAR,
    CONFLICT,
    EXCLUSIVE_ACCESS,
    FAILED,
    GOOD,
    ONE,
    PREEMPT,
    REGISTER,
    RELEASE,
    RESERVE,
    RESTARTED,
    TWO,
    WRITE_EXCLUSIVE,
    MakeBench,
    Node,
    out,
    pair,
)


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
