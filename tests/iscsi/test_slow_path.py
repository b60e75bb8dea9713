"""Everything but plain READs and WRITEs: data-out, residuals, digests, NOP, logout, text."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from crc32c import crc32c

from iscsi.bench import Bench, Initiator
from iscsi.initiator import (
    NO_TAG,
    TARGET,
    command,
    data_out,
    keys,
    nop_out,
    only,
    pdu,
    read_10,
    request,
    text,
    write_10,
)

R2T, REJECT, DATA_IN = 0x31, 0x3F, 0x25
OVERFLOW, UNDERFLOW = 0x04, 0x02
INQUIRY = bytes((0x12, 0, 0, 0, 96, 0))


def pattern(size: int) -> bytes:
    return bytes(i * 7 % 251 for i in range(size))


def test_a_write_without_data_is_asked_for_in_bursts(bench: Bench) -> None:
    session = bench.session(keys={"MaxBurstLength": "1024", "FirstBurstLength": "512"})
    data = pattern(2560)
    offset = 0
    r2t = only(session.ask(command(write_10(0, 5), 1, write=2560)))
    while r2t.opcode == R2T:
        start, length = r2t.field(40), r2t.field(44)
        assert (start, length) == (offset, min(1024, 2560 - offset))
        half = length // 2
        r2t = only(
            session.ask(
                data_out(1, r2t.transfer_tag, 0, start, data[start : start + half], final=False),
                data_out(
                    *(1, r2t.transfer_tag, 1, start + half, data[start + half : start + length]),
                    final=True,
                ),
            )
        )
        offset += length
    assert r2t.status == 0
    assert bench.device.bytes[:2560] == data


def test_unsolicited_data_follows_a_command_without_the_final_bit(bench: Bench) -> None:
    session = bench.session()
    data = pattern(1536)
    assert session.ask(command(write_10(0, 3), 1, write=1536, data=data[:512], final=False)) == []
    answer = only(
        session.ask(
            data_out(1, NO_TAG, 0, 512, data[512:1024], final=False),
            data_out(1, NO_TAG, 1, 1024, data[1024:], final=True),
        )
    )
    assert answer.status == 0
    assert bench.device.bytes[:1536] == data


def test_data_out_with_a_wrong_number_ends_its_command_and_nothing_else(bench: Bench) -> None:
    session = bench.session()
    r2t = only(session.ask(command(write_10(0, 1), 1, write=512)))
    answer = only(session.ask(data_out(1, r2t.transfer_tag, 27, 0, bytes(512), final=True)))
    assert answer.sense == (0xB, 0x4705)
    # What comes late belongs to nothing.
    assert session.ask(data_out(1, r2t.transfer_tag, 0, 0, bytes(512), final=True)) == []
    assert only(session.ask(nop_out(2))).opcode == 0x20


def test_immediate_data_that_was_ruled_out_ends_the_connection(bench: Bench) -> None:
    session = bench.session(keys={"ImmediateData": "No"})
    session.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    assert session.is_closed


@pytest.mark.parametrize(
    ("expected", "flag", "residual", "length"),
    [(1024, UNDERFLOW, 512, 512), (256, OVERFLOW, 256, 256), (512, 0, 0, 512)],
)
def test_a_read_reports_what_was_expected_and_did_not_come(
    bench: Bench, expected: int, flag: int, residual: int, length: int
) -> None:
    answer = only(bench.session().ask(command(read_10(0, 1), 1, read=expected)))
    assert (answer.flags & 6, answer.field(44), len(answer.data)) == (flag, residual, length)


def test_a_write_that_announces_less_than_its_blocks_writes_what_came(bench: Bench) -> None:
    bench.device.bytes[:1024] = b"o" * 1024
    session = bench.session()
    answer = only(session.ask(command(write_10(0, 2), 1, write=512, data=b"n" * 512)))
    assert (answer.status, answer.flags & 6, answer.field(44)) == (0, OVERFLOW, 512)
    assert bench.device.bytes[:1024] == b"n" * 512 + b"o" * 512


def test_a_read_is_cut_where_the_initiator_wants_it(bench: Bench) -> None:
    bench.device.bytes[:8192] = pattern(8192)
    session = bench.session(
        keys={
            "MaxRecvDataSegmentLength": "1024",
            "MaxBurstLength": "4096",
            "FirstBurstLength": "512",
        }
    )
    found = session.ask(command(read_10(0, 16), 1, read=8192))
    assert b"".join(answer.data for answer in found) == pattern(8192)
    assert [answer.field(36) for answer in found] == list(range(8)), "DataSN"
    assert [answer.field(40) for answer in found] == list(range(0, 8192, 1024)), "offset"
    assert [answer.flags for answer in found] == [0, 0, 0, 0x80, 0, 0, 0, 0x81]


def test_digests_are_checked_and_made(bench: Bench) -> None:
    session = bench.session(keys={"HeaderDigest": "CRC32C", "DataDigest": "CRC32C"})
    session.header_digest = session.data_digest = True
    data = pattern(512)
    answer = only(session.ask(digested(command(write_10(0, 1), 1, write=512, data=data))))
    assert answer.status == 0
    assert only(session.ask(digested(command(read_10(0, 1), 2, read=512)))).data == data
    assert only(session.ask(digested(command(INQUIRY, 3, read=96)))).data[8:14] == b"TIERCE"


def digested(whole: bytes) -> bytes:
    header, data = whole[:48], whole[48:]
    out = header + crc32c(header).to_bytes(4, "little") + data
    return out + crc32c(data).to_bytes(4, "little") if data else out


def test_data_with_a_wrong_digest_are_rejected_and_end_the_connection(bench: Bench) -> None:
    session = bench.session(keys={"DataDigest": "CRC32C"})
    session.data_digest = True
    whole = command(write_10(0, 1), 1, write=512, data=bytes(512)) + b"\0\0\0\0"
    answer = only(session.ask(whole))
    assert (answer.opcode, answer.response) == (REJECT, 0x02)
    assert answer.data == whole[:48]
    assert session.is_closed


def test_a_header_with_a_wrong_digest_ends_the_connection(bench: Bench) -> None:
    session = bench.session(keys={"HeaderDigest": "CRC32C"})
    session.ask(nop_out(1) + b"\0\0\0\0")
    assert session.is_closed


def test_a_silent_session_is_asked_and_then_dropped(bench: Bench) -> None:
    session = bench.session()
    bench.loop.advance(16)
    bench.loop.advance(15)
    ping = only(session.hear())
    assert (ping.opcode, ping.tag) == (0x20, NO_TAG)
    assert ping.transfer_tag != NO_TAG
    bench.loop.advance(15)
    assert session.is_closed


def test_a_session_that_answers_is_kept(bench: Bench) -> None:
    session = bench.session()
    for _ in range(10):
        bench.loop.advance(15)
        for ping in session.hear():
            session.ask(nop_out(1, tag=NO_TAG, transfer_tag=ping.transfer_tag))
    assert not session.is_closed


def test_a_session_that_takes_its_answers_slowly_is_kept(make_bench: Callable[..., Bench]) -> None:
    """8 MiB over a megabit take a minute, in which an initiator may have nothing to say."""
    bench = make_bench(32 << 20)
    session = bench.session()
    session.say(b"".join(command(read_10(0, 16384), n, read=8 << 20) for n in range(1, 5)))
    bench.loop.turn()
    for _ in range(20):
        # More than the kernel holds for it, and never all.
        taken = 0
        while taken < 1 << 20:
            taken += len(session.socket.recv(1 << 16))
            bench.loop.turn()
        bench.loop.advance(15)
    assert bench.frontend.connections()
    bench.loop.advance(45)
    assert not bench.frontend.connections(), "one that takes nothing any more is not"


def test_logout_is_answered_and_closes(bench: Bench) -> None:
    session = bench.session()
    answer = only(session.ask(request(6, 1)))
    assert (answer.opcode, answer.response) == (0x26, 0)
    assert session.is_closed
    assert bench.published.sessions == ()


@pytest.mark.parametrize(
    ("reason", "connection_id", "response"),
    [(2, 1, 2), (1, 9, 1), (1, 1, 0), (0, 9, 0)],
    ids=["recovery", "no such connection", "connection", "session"],
)
def test_a_logout_that_can_not_be_ends_nothing(
    bench: Bench, reason: int, connection_id: int, response: int
) -> None:
    session = bench.session()
    asked = request(6, 1, flags=0x80 | reason, transfer_tag=connection_id << 16)
    answer = only(session.ask(asked))
    assert (answer.opcode, answer.response) == (0x26, response)
    assert session.is_closed == (response == 0)


def test_text_that_comes_in_parts_is_put_together(bench: Bench) -> None:
    session = bench.session()
    whole = text({"SendTargets": "", "X-a": "1"})
    first = only(session.ask(request(4, 1, whole[:9], flags=0x40)))
    assert (first.flags, first.data) == (0, b"")
    last = only(session.ask(request(4, 1, whole[9:], transfer_tag=first.transfer_tag)))
    assert keys(last.data) == {
        "TargetName": TARGET,
        "TargetAddress": keys(last.data)["TargetAddress"],
        "X-a": "NotUnderstood",
    }


def test_text_without_end_ends_the_connection(bench: Bench) -> None:
    session = bench.session()
    for _ in range(3):
        session.ask(request(4, 1, text({"X": "y" * 4000}), flags=0x40, transfer_tag=1))
    assert session.is_closed


def test_logout_waits_for_the_writes_under_way(pending: Bench) -> None:
    session = pending.session()
    session.ask(command(write_10(0, 1), 1, write=512, data=bytes(512)))
    assert session.ask(request(6, 2)) == []
    pending.complete()
    assert only(session.hear()).opcode == 0x26


def test_send_targets_in_a_normal_session_names_this_target(bench: Bench) -> None:
    answer = only(bench.session().ask(request(4, 1, text({"SendTargets": ""}))))
    assert keys(answer.data)["TargetName"] == TARGET
    assert keys(answer.data)["TargetAddress"].startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(TARGET, TARGET), (TARGET.upper(), TARGET), ("iqn.x:other", None), ("All", None)],
)
def test_a_normal_session_learns_of_its_own_target_only(
    bench: Bench, wanted: str, found: str | None
) -> None:
    answer = only(bench.session().ask(request(4, 1, text({"SendTargets": wanted}))))
    assert keys(answer.data).get("TargetName") == found
    assert (answer.data == b"SendTargets=Reject\0") == (wanted == "All")


def test_how_much_the_initiator_takes_at_once_may_be_said_anew(bench: Bench) -> None:
    bench.device.bytes[:4096] = pattern(4096)
    session = bench.session()
    answer = only(session.ask(request(4, 1, text({"MaxRecvDataSegmentLength": "1024"}))))
    assert answer.data == b""
    found = session.ask(command(read_10(0, 8), 1, read=4096))
    assert [len(answer.data) for answer in found] == [1024] * 4
    assert b"".join(answer.data for answer in found) == pattern(4096)
    only(session.ask(request(4, 2, text({"MaxRecvDataSegmentLength": "65536"}))))
    assert len(only(session.ask(command(read_10(0, 8), 2, read=4096))).data) == 4096


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("MaxRecvDataSegmentLength", "Reject"),
        ("HeaderDigest", "Reject"),
        ("MaxBurstLength", "Reject"),
        ("InitiatorName", "Reject"),
        ("X-com.example", "NotUnderstood"),
    ],
)
def test_what_a_login_agrees_on_is_not_changed_later(bench: Bench, key: str, answer: str) -> None:
    found = only(bench.session().ask(request(4, 1, text({key: "1"}))))
    assert keys(found.data) == {key: answer}


def test_text_longer_than_a_segment_goes_out_in_parts(bench: Bench) -> None:
    session = bench.session(keys={"MaxRecvDataSegmentLength": "512"})
    odd = text({f"X-{number:020}": "1" for number in range(60)})
    found = only(session.ask(request(4, 1, odd)))
    data = b""
    while found.flags & 0x40:
        assert len(found.data) == 512
        data += found.data
        found = only(session.ask(request(4, 1, transfer_tag=found.transfer_tag)))
    data += found.data
    assert list(keys(data).values()) == ["NotUnderstood"] * 60
    assert (found.flags, found.transfer_tag) == (0x80, NO_TAG)


def test_an_exchange_that_its_initiator_does_not_end_is_not_ended(bench: Bench) -> None:
    session = bench.session()
    first = only(session.ask(request(4, 1, text({"X-a": "1"}), flags=0)))
    assert (first.flags, keys(first.data)) == (0, {"X-a": "NotUnderstood"})
    assert first.transfer_tag != NO_TAG
    last = only(session.ask(request(4, 1, transfer_tag=first.transfer_tag)))
    assert (last.flags, last.transfer_tag, last.data) == (0x80, NO_TAG, b"")


def test_data_out_that_is_whole_without_saying_so_is_not_waited_for(bench: Bench) -> None:
    session = bench.session()
    r2t = only(session.ask(command(write_10(0, 1), 1, write=512)))
    data = data_out(1, r2t.transfer_tag, 0, 0, pattern(512), final=False)
    assert only(session.ask(data)).status == 0
    assert bench.device.bytes[:512] == pattern(512)


def test_data_out_that_names_no_r2t_is_none(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(64 << 20, memory_bytes=0)
    session = bench.session()
    found = session.ask(*(command(write_10(0, 2048), n, write=1 << 20) for n in (1, 2)))
    assert only(found).tag == 1, "the second waits for memory and has asked for nothing yet"
    assert session.ask(data_out(2, 0, 0, 0, b"", final=True)) == []
    assert session.ask(data_out(2, 0, 0, 0, bytes(512), final=True)) == []
    assert len(bench.connection().tasks.by_tag) == 2


def test_an_unknown_opcode_is_rejected(bench: Bench) -> None:
    session = bench.session()
    answer = only(session.ask(pdu(bytes((0x5C, 0x80)).ljust(48, b"\0"))))
    assert (answer.opcode, answer.response) == (REJECT, 0x05)
    assert only(session.ask(nop_out(1))).opcode == 0x20


def test_snack_is_rejected_at_error_recovery_level_0(bench: Bench) -> None:
    answer = only(bench.session().ask(pdu(bytes((0x10, 0x80)).ljust(48, b"\0"))))
    assert (answer.opcode, answer.response) == (REJECT, 0x03)


def test_another_logical_unit_answers_inquiry_and_nothing_else(bench: Bench) -> None:
    session = bench.session()
    lun = 1 << 48
    assert only(session.ask(command(INQUIRY, 1, read=96, lun=lun))).data[0] == 0x7F
    assert only(session.ask(command(read_10(0, 1), 2, read=512, lun=lun))).sense == (5, 0x2500)


def test_a_bidirectional_command_is_refused(bench: Bench) -> None:
    answer = only(bench.session().ask(command(read_10(0, 1), 1, read=512, flags=0xE1)))
    assert answer.sense == (5, 0x0E03)


def test_a_long_read_of_a_device_that_does_it_later_is_answered_whole(pending: Bench) -> None:
    pending.device.bytes[:] = pattern(1 << 10) * 1024
    session: Initiator = pending.session()
    found = session.ask(command(struct.pack(">BBIBHB", 0x28, 8, 0, 0, 2048, 0), 1, read=1 << 20))
    assert found == [], "FUA: flushed first"
    pending.complete()
    assert b"".join(answer.data for answer in session.hear()) == pattern(1 << 10) * 1024
