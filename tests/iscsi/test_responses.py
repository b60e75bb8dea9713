"""PDUs of answers: their numbers, digests and parts. No socket is in it."""

from __future__ import annotations

from iscsi.initiator import only
from iscsi.parts import make_parts
from tierce_iscsi.pdu import Opcode, RejectReason
from tierce_iscsi.responses import DATA_IN_COUNT_MAX, OVERFLOW, UNDERFLOW
from tierce_iscsi.scsi.command import Reply
from tierce_iscsi.tasks import SlowTask

READ_BIT = 0x40


def read_task(expected: int) -> SlowTask:
    return SlowTask(7, 0, 0, expected, READ_BIT)


def test_a_response_takes_a_number_and_a_ping_of_ours_does_not() -> None:
    parts = make_parts()
    parts.responses.respond_good(1)
    parts.responses.nop_in(9)
    parts.responses.respond_good(2)
    found = parts.sent()
    assert [answer.opcode for answer in found] == [
        *(Opcode.SCSI_RESPONSE, Opcode.NOP_IN, Opcode.SCSI_RESPONSE)
    ]
    assert [answer.stat_sn for answer in found] == [1, 2, 2]


def test_so_many_commands_less_may_come_as_are_under_way() -> None:
    parts = make_parts()
    parts.session.exp_cmd_sn += 3
    parts.tasks.by_tag.update({tag: read_task(0) for tag in range(2)})
    parts.responses.respond_good(1)
    assert only(parts.sent()).max_cmd_sn == parts.session.exp_cmd_sn + 64 - 1 - 2


def test_a_reject_has_the_header_that_it_rejects() -> None:
    parts = make_parts()
    header = bytes(range(48))
    parts.responses.reject(memoryview(header), RejectReason.COMMAND_NOT_SUPPORTED)
    answer = only(parts.sent())
    assert (answer.opcode, answer.data) == (Opcode.REJECT, header)


def test_more_and_less_than_was_expected_is_told_as_residual() -> None:
    parts = make_parts()
    parts.responses.respond(read_task(4), Reply(b"abcdef"))
    parts.responses.respond(read_task(8), Reply(b"abcdef"))
    more, less = parts.sent()
    assert (more.data, more.flags & 6, more.field(44)) == (b"abcd", OVERFLOW, 2)
    assert (less.data, less.flags & 6, less.field(44)) == (b"abcdef", UNDERFLOW, 2)


def test_data_go_in_parts_that_the_initiator_takes_and_the_last_has_the_status() -> None:
    parts = make_parts(segment_bytes_max=512)
    parts.responses.respond(read_task(1200), Reply(bytes(1200)))
    found = parts.sent()
    assert [len(answer.data) for answer in found] == [512, 512, 176]
    assert [answer.field(36) for answer in found] == [0, 1, 2], "DataSN"
    assert [answer.flags & 1 for answer in found] == [0, 0, 1], "S"
    assert parts.session.stat_sn == 2


def test_a_bounded_part_is_given_at_once_and_the_rest_when_it_is_asked_for() -> None:
    parts = make_parts(segment_bytes_max=512)
    count = DATA_IN_COUNT_MAX + 5
    parts.responses.respond(read_task(512 * count), Reply(bytes(512 * count)))
    assert len(parts.sent()) == DATA_IN_COUNT_MAX
    assert parts.stream.can_resume
    parts.responses.give_more()
    assert len(parts.sent()) == 5
    assert not parts.stream.giving


def test_what_was_agreed_on_is_digested() -> None:
    parts = make_parts(has_header_digest=True, has_data_digest=True)
    parts.responses.respond(read_task(5), Reply(b"hello"))
    # `sent` checks both digests against its own.
    assert only(parts.sent()).data == b"hello"
