"""The bytes of a connection: where they are received, what is held, what ends it. No socket."""

from __future__ import annotations

import pytest
from crc32c import crc32c

from iscsi.initiator import nop_out
from iscsi.parts import Parts, make_parts
from tierce import ProtocolError
from tierce_iscsi.session import Cause
from tierce_iscsi.stream import DigestError
from tierce_iscsi.text import RECV_SEGMENT_BYTES


def receive(parts: Parts, data: bytes) -> None:
    window = parts.stream.receive_window()
    assert window is not None
    window[: len(data)] = data
    parts.stream.received(len(data))


def digested(header: bytes, data: bytes) -> bytes:
    """Both with their digests, as they travel."""
    return b"".join(part + crc32c(part).to_bytes(4, "little") for part in (header, data))


def test_a_digest_tells_data_that_were_changed_and_a_header_ends_it_at_once() -> None:
    whole = nop_out(1, b"echo")
    good = digested(whole[:48], whole[48:])
    for changed in (None, len(good) - 5):
        parts = make_parts(has_header_digest=True, has_data_digest=True)
        sent = bytearray(good)
        if changed is not None:
            sent[changed] ^= 1
        receive(parts, bytes(sent))
        region = parts.stream.in_region
        assert region is not None
        assert parts.stream.check_digests(region, 0, 4) is (changed is None)
        region.view[20] ^= 1
        with pytest.raises(DigestError, match="header"):
            parts.stream.check_digests(region, 0, 4)


def test_a_segment_longer_than_was_declared_is_refused_by_its_header() -> None:
    parts = make_parts()
    assert parts.stream.pdu_bytes(5) == 48 + 8
    with pytest.raises(ProtocolError, match="at most"):
        parts.stream.pdu_bytes(RECV_SEGMENT_BYTES + 1)


def test_nothing_is_read_while_there_is_no_use_for_it() -> None:
    for stop in ("is_stalled", "is_starved", "ending"):
        parts = make_parts()
        setattr(parts.stream, stop, "it ends" if stop == "ending" else True)
        assert not parts.stream.can_receive
        assert parts.stream.receive_window() is None


def test_a_pdu_that_has_begun_moves_on_when_what_it_lies_in_is_held() -> None:
    parts = make_parts()
    receive(parts, b"a" * 40)
    held = parts.stream.in_region
    assert held is not None
    held.holds += 1
    parts.stream.received(held.size - 40 - 100)
    parts.stream.in_start = held.size - 100 - 20
    held.view[parts.stream.in_start : parts.stream.in_end] = b"b" * 20
    assert parts.stream.receive_window() is not None
    moved = parts.stream.in_region
    assert moved is not None
    assert moved is not held
    assert (parts.stream.in_start, parts.stream.in_end) == (0, 20)
    assert bytes(moved.view[:20]) == b"b" * 20
    assert bytes(held.view[:40]) == b"a" * 40, "it is a pending write's"


def test_answers_go_on_in_the_region_that_is_in_use() -> None:
    stream = make_parts().stream
    assert stream.take_out() is stream.take_out()
    assert stream.take_out() is stream.out_region


def test_the_first_reason_to_end_is_the_one_that_is_told() -> None:
    stream = make_parts().stream
    stream.end("a wrong CmdSN", Cause.PROTOCOL)
    stream.end("the target is going down", Cause.TARGET)
    assert (stream.ending, stream.ending_cause) == ("a wrong CmdSN", Cause.PROTOCOL)


def test_once_disposed_of_it_has_given_all_memory_back_and_wakes_nobody() -> None:
    parts = make_parts()
    receive(parts, b"a")
    parts.stream.take_out()
    parts.responses.respond_good(1)
    parts.stream.close()
    assert parts.stream.is_closed
    assert not parts.stream.output.length
    parts.stream.dispose()
    parts.stream.wake()
    assert parts.woken == []
    assert parts.stream.account.used == 0
