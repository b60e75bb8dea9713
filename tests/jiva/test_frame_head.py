"""The front of a frame: what an extension says, and that it changes nothing of what is asked."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiva.ladder import BALLOT, extended_by, frames_of
from tierce import ProtocolError
from tierce_jiva.frame_head import (
    HEADER_BYTES,
    Asking,
    Durations,
    Extension,
    Stages,
    extended,
    what_is_foreign,
)
from tierce_jiva.wire import Kind, encode, encode_ack, encode_extents

FLUSH = encode(Kind.FLUSH, 5, BALLOT)
TRACE = bytes([1, 26]) + bytes(range(24))
DURATIONS = bytes([2, 24, 1, 0]) + bytes(4) + (7).to_bytes(8, "little") + (9).to_bytes(8, "little")

extensions = st.builds(
    Extension,
    is_timed=st.booleans(),
    asking=st.none()
    | st.builds(Asking, st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)),
    durations=st.none()
    | st.builds(
        Durations, st.sampled_from(Stages), st.integers(0, 1 << 62), st.integers(0, 1 << 62)
    ),
)


def read(extension: bytes, flags: int = 0) -> Extension | None:
    (frame,) = frames_of(extended_by(FLUSH, extension, flags))
    return frame.extension


@given(extensions)
def test_what_an_extension_says_is_read_back_beside_the_frame_as_it_was(
    extension: Extension,
) -> None:
    front = encode_extents(Kind.READ, 6, BALLOT, [(512, 4096), (0, 512)])
    (bare,), (frame,) = frames_of(front), frames_of(extended(front, extension))
    assert frame.extension == (None if extension == Extension() else extension)
    assert bare.extension is None
    same = (frame.kind, frame.sequence, frame.ballot, frame.count, bytes(frame.table))
    assert same == (bare.kind, bare.sequence, bare.ballot, bare.count, bytes(bare.table))


def test_where_what_lies_is_as_the_table_says() -> None:
    asking = Asking(bytes(range(16)), bytes(range(16, 24)))
    data = extended(FLUSH, Extension(is_timed=True, asking=asking))
    assert data == extended_by(FLUSH, TRACE, 1)
    told = extended(FLUSH, Extension(durations=Durations(Stages.SYNC_WAIT_SYNC, 7, 9)))
    assert told == extended_by(FLUSH, DURATIONS)


def test_the_front_of_a_batch_is_extended_before_its_bytes() -> None:
    front = encode(Kind.BATCH, 1, BALLOT, payload_bytes=512)
    (frame,) = frames_of(extended(front, Extension(is_timed=True)) + b"x" * 512)
    assert bytes(frame.payload) == b"x" * 512
    assert frame.extension == Extension(is_timed=True)


def test_what_a_newer_release_adds_is_skipped() -> None:
    unknown = bytes([77, 5, 1, 2, 3])
    assert read(unknown + DURATIONS + bytes([78, 2])) == read(DURATIONS)
    assert read(TRACE, flags=0xFFFE) == read(TRACE)
    assert read(b"", flags=0x8000) == Extension()
    newer = DURATIONS[:2] + bytes([9, 0]) + DURATIONS[4:]
    assert read(newer) == Extension()


@pytest.mark.parametrize(
    ("extension", "why"),
    [
        (b"\x01", "ends within an entry, at byte 0 of 1"),
        (bytes([77, 3, 0, 1]), "ends within an entry, at byte 3 of 4"),
        (bytes([1, 0]), "has 0 bytes of 2"),
        (bytes([1, 1]), "has 1 bytes of 2"),
        (TRACE[:-1], "has 26 bytes of 25"),
        (bytes([1, 25]) + bytes(23), "kind 1 in an extension has 25 bytes, expected 26"),
        (bytes([2, 26]) + bytes(24), "kind 2 in an extension has 26 bytes, expected 24"),
        (TRACE + DURATIONS[:-1], "has 24 bytes of 23"),
    ],
)
def test_an_extension_that_is_none_breaks_the_protocol(extension: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        read(extension)


@given(st.binary(max_size=80), st.integers(0, 0xFFFF))
def test_any_bytes_are_an_extension_or_break_the_protocol(extension: bytes, flags: int) -> None:
    with contextlib.suppress(ProtocolError):
        read(extension, flags)


@pytest.mark.parametrize("at", range(36, HEADER_BYTES + len(TRACE)))
def test_the_checksum_covers_the_extension_and_the_flags(at: int) -> None:
    data = bytearray(extended_by(FLUSH, TRACE, 1) + bytes(200))
    data[at] ^= 1
    with pytest.raises(ProtocolError, match=r"checksum|claims"):
        frames_of(bytes(data))


def test_an_extension_longer_than_the_frame_breaks_the_protocol() -> None:
    data = bytearray(FLUSH)
    data[36] = 1
    with pytest.raises(ProtocolError, match="claims 0 bytes"):
        frames_of(bytes(data))


def test_durations_beyond_what_can_be_told_are_cut_or_left_out() -> None:
    ages = Durations(Stages.QUEUE_READ, 1 << 70, 0)
    (frame,) = frames_of(extended(encode_ack(1, BALLOT), Extension(durations=ages)))
    assert frame.extension is not None
    assert frame.extension.durations == Durations(Stages.QUEUE_READ, (1 << 63) - 1, 0)
    assert read(DURATIONS[:-1] + b"\xff") == Extension()


def test_what_is_no_frame_of_ours_is_named() -> None:
    assert "it starts with b'GET '" in what_is_foreign(b"GET ", 1, 1)
    assert "version 9" in what_is_foreign(b"TJIV", 9, 1)
    assert "unknown kind 99" in what_is_foreign(b"TJIV", 1, 99)
