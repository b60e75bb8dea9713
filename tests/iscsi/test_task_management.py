"""Task management: answered when nothing that it ends can be applied any more, or within 10 s."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iscsi.bench import Bench
from iscsi.initiator import Answer, command, only, read_10, request, task_management, write_10
from iscsi.standalone import MemoryDevice
from tierce import Code, Completed, Op, Request, Status
from tierce_iscsi.task_management import FUNCTION_COUNT_MAX

COMPLETE, NO_SUCH_TASK, NO_SUCH_LUN, REJECTED = 0, 1, 2, 255
RESPONSE, SCSI_RESPONSE, LOGOUT_RESPONSE = 0x22, 0x21, 0x26
GOOD, CHECK_CONDITION, TASK_ABORTED = 0, 2, 0x40
ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET, WARM_RESET, COLD_RESET = 1, 2, 4, 5, 6, 7
WAS_RESET = (6, 0x2903)
OTHER = b"\x80\0\0\0\0\2"
FUNCTIONS = pytest.mark.parametrize(
    "function",
    [ABORT_TASK, ABORT_TASK_SET, CLEAR_TASK_SET, LUN_RESET, WARM_RESET],
    ids=["task", "set", "clear", "lun", "warm"],
)


def write(number: int) -> bytes:
    return command(write_10(number, 1), number, write=512, data=bytes([number]) * 512)


class GivesUp(MemoryDevice):
    """A device that answers a write NOT READY though it may still be applied, until the test says
    what became of it."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.given_up: list[Request] = []
        self.asked: list[Callable[[], None]] = []

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for given in batch:
            if given.op is Op.WRITE:
                given.status = Status(Code.NOT_READY, "no majority")
                self.given_up.append(given)
            else:
                given.status = self._do(given)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        if self.given_up:
            self.asked.append(quiet)
        else:
            quiet()

    def forget(self) -> None:
        """None of them will be applied any more."""
        self.given_up.clear()
        asked, self.asked = self.asked, []
        for quiet in asked:
            quiet()


@FUNCTIONS
def test_it_is_answered_only_when_the_writes_it_ends_are_complete(
    pending: Bench, function: int
) -> None:
    session = pending.session()
    session.ask(write(1))
    assert session.ask(task_management(function, 2, task=1)) == []
    # Meanwhile others go on.
    assert only(session.ask(command(read_10(0, 1), 2, read=512))).status == 0
    pending.complete()
    answer = only(session.hear())
    assert (answer.opcode, answer.response) == (RESPONSE, COMPLETE)


@FUNCTIONS
def test_what_takes_too_long_is_rejected_and_goes_on(pending: Bench, function: int) -> None:
    """Linux gives an abort 15 s, and then does worse things."""
    session = pending.session()
    session.ask(write(1))
    assert session.ask(task_management(function, 2, task=1)) == []
    pending.loop.advance(8)
    assert session.hear() == []
    pending.loop.advance(2)
    answer = only(session.hear())
    assert (answer.opcode, answer.response) == (RESPONSE, REJECTED)
    pending.complete()
    answer = only(session.hear())
    assert (answer.opcode, answer.tag, answer.status) == (SCSI_RESPONSE, 1, GOOD)
    assert only(session.ask(command(read_10(0, 1), 2, read=512))).status == GOOD, (
        "nothing was reset"
    )


@FUNCTIONS
def test_a_write_that_the_device_gave_up_is_waited_for_too(
    make_bench: Callable[..., Bench], function: int
) -> None:
    """It was answered NOT READY, and may be applied all the same."""
    device = GivesUp()
    session = make_bench(device=device).session()
    assert only(session.ask(write(1))).status == CHECK_CONDITION
    assert session.ask(task_management(function, 2, task=1)) == []
    device.forget()
    answer = only(session.hear())
    expected = NO_SUCH_TASK if function == ABORT_TASK else COMPLETE
    assert (answer.opcode, answer.response) == (RESPONSE, expected)


@FUNCTIONS
def test_a_device_that_does_not_become_quiet_has_it_rejected(
    make_bench: Callable[..., Bench], function: int
) -> None:
    device = GivesUp()
    bench = make_bench(device=device)
    session = bench.session()
    session.ask(write(1))
    session.ask(task_management(function, 2, task=1))
    bench.loop.advance(10)
    assert only(session.hear()).response == REJECTED
    device.forget()
    assert session.hear() == [], "it has been answered"


def test_the_device_is_asked_one_question_at_a_time(make_bench: Callable[..., Bench]) -> None:
    device = GivesUp()
    session = make_bench(device=device).session()
    session.ask(write(1), *(task_management(ABORT_TASK_SET, 2) for _ in range(3)))
    assert len(device.asked) == 1
    first = device.asked.pop()
    first()
    assert [answer.response for answer in session.hear()] == [COMPLETE]
    assert len(device.asked) == 1, "those who came meanwhile ask anew, together"
    device.forget()
    assert [answer.response for answer in session.hear()] == [COMPLETE, COMPLETE]


def test_who_gives_up_waiting_for_the_device_is_not_remembered(
    make_bench: Callable[..., Bench],
) -> None:
    """The device may take for ever, and initiators ask again and again."""
    device = GivesUp()
    bench = make_bench(device=device)
    session = bench.session()
    session.ask(write(1))
    for _ in range(20):
        session.ask(task_management(ABORT_TASK_SET, 2))
        bench.loop.advance(10)
        assert only([answer for answer in session.hear() if answer.opcode == RESPONSE]).response
    assert bench.frontend._quiet.waiting_count == 0
    assert len(device.asked) == 1


def test_no_more_than_a_few_functions_of_a_session_wait_at_once(pending: Bench) -> None:
    session = pending.session()
    session.ask(write(1))
    found = session.ask(*(task_management(ABORT_TASK_SET, 2) for _ in range(100)))
    assert [answer.response for answer in found] == [REJECTED] * (100 - FUNCTION_COUNT_MAX)
    pending.complete()
    assert [answer.response for answer in session.hear()] == [COMPLETE] * FUNCTION_COUNT_MAX


def test_aborting_what_is_answered_already_finds_no_task(bench: Bench) -> None:
    session = bench.session()
    session.ask(write(1))
    assert only(session.ask(task_management(ABORT_TASK, 2, task=1))).response == NO_SUCH_TASK


def test_aborting_a_write_that_waits_for_its_data_forgets_it_at_once(bench: Bench) -> None:
    session = bench.session()
    r2t = only(session.ask(command(write_10(0, 1), 1, write=512)))
    assert r2t.opcode == 0x31
    assert only(session.ask(task_management(ABORT_TASK, 2, task=1))).response == COMPLETE
    assert bench.device.bytes[:512] == bytes(512)


def test_what_has_ended_when_a_function_is_rejected_is_told_to_have(pending: Bench) -> None:
    """It waited for its data, so it is over; its initiator must not wait for it."""
    session = pending.session()
    session.ask(write(1), command(write_10(0, 1), 2, write=512))
    session.ask(task_management(ABORT_TASK_SET, 3))
    pending.loop.advance(10)
    found = session.hear()
    assert [(answer.opcode, answer.tag) for answer in found] == [(SCSI_RESPONSE, 2), (RESPONSE, 98)]
    assert (found[0].status, found[1].response) == (TASK_ABORTED, REJECTED)


@pytest.mark.parametrize("function", [ABORT_TASK, ABORT_TASK_SET, LUN_RESET])
def test_nothing_of_a_long_read_comes_behind_the_answer_that_it_is_over(
    make_bench: Callable[..., Bench], function: int
) -> None:
    """Its data are made bit by bit; an initiator that hears of a task it has buried hangs up."""
    bench = make_bench(8 << 20)
    session = bench.session(keys={"MaxRecvDataSegmentLength": "512"})
    session.say(command(read_10(0, 16384), 1, read=8 << 20))
    bench.loop.turn()
    assert bench.connection().stream.giving, "the socket is full and there is more to come"
    session.say(task_management(function, 2, task=1))
    found = session.hear()
    assert (found[-1].opcode, found[-1].response) == (RESPONSE, COMPLETE)
    assert sum(len(answer.data) for answer in found) < 8 << 20
    assert not bench.connection().stream.giving


@pytest.mark.parametrize("function", [CLEAR_TASK_SET, LUN_RESET, WARM_RESET])
def test_the_tasks_of_other_sessions_end_with_task_aborted(pending: Bench, function: int) -> None:
    one, two = pending.session(), pending.session(isid=OTHER)
    two.ask(write(1))
    r2t = only(two.ask(command(write_10(9, 1), 2, write=512)))
    assert r2t.opcode == 0x31
    assert one.ask(task_management(function, 1)) == []
    waiting = only(two.hear())
    assert (waiting.tag, waiting.status) == (2, TASK_ABORTED), "it waited for its data"
    pending.complete()
    told = only(two.hear())
    assert (told.tag, told.status) == (1, TASK_ABORTED), "only when it is complete"
    assert only(one.hear()).response == COMPLETE


def test_the_control_mode_page_says_that_tasks_are_told_of_their_end(bench: Bench) -> None:
    mode_sense = bytes((0x1A, 0x08, 0x0A, 0, 64, 0))
    answer = only(bench.session().ask(command(mode_sense, 1, read=64)))
    page = answer.data[4:]
    assert (page[0], page[5] & 0x40) == (0x0A, 0x40)


@pytest.mark.parametrize("function", [LUN_RESET, WARM_RESET])
def test_a_reset_is_told_to_every_session_the_issuers_too(bench: Bench, function: int) -> None:
    one, two = bench.session(), bench.session(isid=OTHER)
    assert only(one.ask(task_management(function, 1))).response == COMPLETE
    for session in (one, two):
        assert only(session.ask(command(read_10(0, 1), 1, read=512))).sense == WAS_RESET
        assert only(session.ask(command(read_10(0, 1), 2, read=512))).status == GOOD


def test_clearing_the_task_set_is_told_by_the_tasks_alone(bench: Bench) -> None:
    """With the TAS bit set there is no unit attention for it (SAM-5 section 5.6)."""
    one, two = bench.session(), bench.session(isid=OTHER)
    assert only(one.ask(task_management(CLEAR_TASK_SET, 1))).response == COMPLETE
    for session in (one, two):
        assert only(session.ask(command(read_10(0, 1), 1, read=512))).status == GOOD


def test_abort_task_set_leaves_the_tasks_of_others_alone(pending: Bench) -> None:
    one, two = pending.session(), pending.session(isid=OTHER)
    one.ask(write(1))
    two.ask(write(1))
    one.ask(task_management(ABORT_TASK_SET, 2))
    pending.complete()
    assert only(one.hear()).response == COMPLETE
    assert only(two.hear()).status == GOOD


def test_a_task_that_both_its_own_and_another_initiator_end_is_told_to_nobody(
    pending: Bench,
) -> None:
    one, two = pending.session(), pending.session(isid=OTHER)
    two.ask(write(1))
    one.ask(task_management(LUN_RESET, 1))
    two.ask(task_management(ABORT_TASK, 2, task=1))
    pending.complete()
    assert only(one.hear()).response == COMPLETE
    answer = only(two.hear())
    assert (answer.opcode, answer.response) == (RESPONSE, COMPLETE)


def test_a_tag_is_in_use_until_its_task_is_complete(pending: Bench) -> None:
    """Else tasks that were given up would pile up beside the queue's depth."""
    session = pending.session()
    session.ask(write(1), task_management(ABORT_TASK, 2, task=1))
    again = command(write_10(1, 1), 2, tag=1, write=512, data=bytes(512))
    answer: Answer = only(session.ask(again))
    assert (answer.opcode, answer.response) == (0x3F, 0x07), "TASK IN PROGRESS"


def test_tasks_that_are_given_up_count_until_they_are_complete(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(leaves_pending=True, queue_depth=4)
    session = bench.session()
    for number in range(1, 40):
        session.ask(write(number), task_management(ABORT_TASK, number + 1, task=number))
    assert len(bench.connection().tasks.by_tag) == 4
    assert len(bench.pending) == 4


def test_a_reset_waits_for_the_writes_of_sessions_that_are_gone(pending: Bench) -> None:
    one, two = pending.session(), pending.session(isid=OTHER)
    two.ask(write(1))
    two.close()
    assert one.ask(task_management(LUN_RESET, 1)) == []
    pending.complete()
    assert only(one.hear()).response == COMPLETE


def test_a_function_whose_initiator_has_gone_is_done_all_the_same(pending: Bench) -> None:
    one, two = pending.session(), pending.session(isid=OTHER)
    two.ask(write(1))
    one.ask(task_management(LUN_RESET, 1))
    one.close()
    pending.complete()
    assert only(two.hear()).status == TASK_ABORTED
    assert only(two.ask(command(read_10(0, 1), 2, read=512))).sense == WAS_RESET


def test_a_cold_reset_ends_every_session(bench: Bench) -> None:
    one, two = bench.session(), bench.session(isid=OTHER)
    one.ask(task_management(COLD_RESET, 1))
    assert one.is_closed
    assert two.is_closed


def test_reassigning_is_not_supported(bench: Bench) -> None:
    assert only(bench.session().ask(task_management(8, 1))).response == 4


def test_a_function_on_another_unit_finds_none(bench: Bench) -> None:
    answer = only(bench.session().ask(task_management(LUN_RESET, 1, lun=1 << 48)))
    assert answer.response == NO_SUCH_LUN


# -- logout ----------------------------------------------------------------------------------------


def test_a_logout_that_takes_too_long_says_that_it_did_not_clean_up(pending: Bench) -> None:
    session = pending.session()
    session.ask(write(1), request(6, 2))
    pending.loop.advance(8)
    assert session.hear() == []
    pending.loop.advance(2)
    answer = only(session.hear())
    assert (answer.opcode, answer.response) == (LOGOUT_RESPONSE, 3)
    assert session.is_closed


def test_a_logout_waits_for_what_the_device_gave_up(make_bench: Callable[..., Bench]) -> None:
    device = GivesUp()
    session = make_bench(device=device).session()
    session.ask(write(1))
    assert session.ask(request(6, 2)) == []
    device.forget()
    answer = only(session.hear())
    assert (answer.opcode, answer.response) == (LOGOUT_RESPONSE, 0)
