"""Task management: answered when nothing that it ends can be applied any more."""

from __future__ import annotations

import pytest

from iscsi.bench import Bench
from iscsi.initiator import command, only, read_10, task_management, write_10

COMPLETE, NO_SUCH_TASK, NO_SUCH_LUN = 0, 1, 2
RESPONSE = 0x22


def write(number: int) -> bytes:
    return command(write_10(number, 1), number, write=512, data=bytes([number]) * 512)


@pytest.mark.parametrize("function", [1, 2, 4, 5, 6], ids=["task", "set", "clear", "lun", "warm"])
def test_it_is_answered_only_when_the_writes_it_ends_have_settled(
    parking: Bench, function: int
) -> None:
    session = parking.session()
    session.ask(write(1))
    assert session.ask(task_management(function, 2, task=1)) == []
    # Meanwhile others go on.
    assert only(session.ask(command(read_10(0, 1), 2, read=512))).status == 0
    parking.settle()
    answer = only(session.hear())
    assert (answer.opcode, answer.response) == (RESPONSE, COMPLETE)


def test_aborting_what_is_answered_already_finds_no_task(bench: Bench) -> None:
    session = bench.session()
    session.ask(write(1))
    assert only(session.ask(task_management(1, 2, task=1))).response == NO_SUCH_TASK


def test_aborting_a_write_that_waits_for_its_data_forgets_it_at_once(bench: Bench) -> None:
    session = bench.session()
    r2t = only(session.ask(command(write_10(0, 1), 1, write=512)))
    assert r2t.opcode == 0x31
    assert only(session.ask(task_management(1, 2, task=1))).response == COMPLETE
    assert bench.device.bytes[:512] == bytes(512)


def test_a_reset_ends_the_tasks_of_every_session_and_tells_the_others(parking: Bench) -> None:
    one, two = parking.session(), parking.session(isid=b"\x80\0\0\0\0\2")
    two.ask(write(1))
    assert one.ask(task_management(5, 1)) == []
    parking.settle()
    assert only(one.hear()).response == COMPLETE
    answer = only(two.ask(command(read_10(0, 1), 2, read=512)))
    assert answer.sense == (6, 0x2903)
    assert only(two.ask(command(read_10(0, 1), 3, read=512))).status == 0


def test_clearing_the_task_set_tells_those_that_lost_something(parking: Bench) -> None:
    one, two = parking.session(), parking.session(isid=b"\x80\0\0\0\0\2")
    two.ask(write(1))
    one.ask(task_management(4, 1))
    parking.settle()
    assert only(two.ask(command(read_10(0, 1), 2, read=512))).sense == (6, 0x2F00)
    assert only(one.hear()).response == COMPLETE


def test_a_reset_waits_for_the_writes_of_sessions_that_are_gone(parking: Bench) -> None:
    one, two = parking.session(), parking.session(isid=b"\x80\0\0\0\0\2")
    two.ask(write(1))
    two.close()
    assert one.ask(task_management(5, 1)) == []
    parking.settle()
    assert only(one.hear()).response == COMPLETE


def test_a_cold_reset_ends_every_session(bench: Bench) -> None:
    one, two = bench.session(), bench.session(isid=b"\x80\0\0\0\0\2")
    one.ask(task_management(7, 1))
    assert one.is_closed
    assert two.is_closed


def test_reassigning_is_not_supported(bench: Bench) -> None:
    assert only(bench.session().ask(task_management(8, 1))).response == 4


def test_a_function_on_another_unit_finds_none(bench: Bench) -> None:
    assert only(bench.session().ask(task_management(5, 1, lun=1 << 48))).response == NO_SUCH_LUN
