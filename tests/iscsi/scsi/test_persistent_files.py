"""What is kept of a unit, as bytes: it comes back as it was, or is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from tierce import FormatError
from tierce_iscsi.scsi.persistent_files import (
    FREE_SLOT,
    SLOT_BYTES,
    OtherVolumeError,
    decode_reservations,
    decode_sessions,
    encode_reservations,
    session_slot,
    sessions_header,
)
from tierce_iscsi.scsi.registrations import TYPES, Registrations
from tierce_iscsi.scsi.transport import transport_id

VOLUME, BOOT, PATH = "a" * 32, "this one", Path("kept")
PORTS = st.builds(
    transport_id,
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40),
    st.binary(min_size=6, max_size=6),
)


@st.composite
def registrations(draw: st.DrawFn) -> Registrations:
    keys = draw(st.dictionaries(PORTS, st.integers(1, 2**64 - 1), max_size=5))
    is_held = bool(keys) and draw(st.booleans())
    return Registrations(
        keys=keys,
        holder=draw(st.sampled_from(sorted(keys))) if is_held else None,
        kind=draw(st.sampled_from(sorted(TYPES))) if is_held else 0,
        generation=draw(st.integers(0, 2**40)),
        outlives_power=draw(st.booleans()),
        is_in_doubt=draw(st.booleans()),
    )


@given(registrations())
def test_registrations_come_back_as_they_were(now: Registrations) -> None:
    assert decode_reservations(encode_reservations(now, VOLUME, BOOT), VOLUME, BOOT, PATH) == now


@given(registrations(), st.data())
def test_any_changed_byte_is_noticed(now: Registrations, data: st.DataObject) -> None:
    whole = bytearray(encode_reservations(now, VOLUME, BOOT))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        decode_reservations(bytes(whole), VOLUME, BOOT, PATH)


@given(registrations(), st.data())
def test_any_cut_is_noticed(now: Registrations, data: st.DataObject) -> None:
    whole = encode_reservations(now, VOLUME, BOOT)
    with pytest.raises(FormatError):
        decode_reservations(whole[: data.draw(st.integers(0, len(whole) - 1))], VOLUME, BOOT, PATH)


@given(registrations())
def test_after_loss_of_power_what_was_not_to_outlive_it_is_gone(now: Registrations) -> None:
    after = decode_reservations(encode_reservations(now, VOLUME, BOOT), VOLUME, "another", PATH)
    assert after == (now if now.outlives_power or now.is_in_doubt else Registrations())


def noted(ports: Iterable[bytes], volume: str = VOLUME) -> bytes:
    return sessions_header(volume) + b"".join(map(session_slot, ports))


@given(st.lists(st.one_of(PORTS, st.none()), max_size=6))
def test_sessions_come_back_as_they_were(ports: list[bytes | None]) -> None:
    slots = b"".join(FREE_SLOT if one is None else session_slot(one) for one in ports)
    found = decode_sessions(sessions_header(VOLUME) + slots, VOLUME, PATH)
    assert found == frozenset(one for one in ports if one is not None)


@given(st.lists(PORTS, min_size=1, max_size=3), st.data())
def test_any_changed_byte_of_the_sessions_is_noticed(
    ports: list[bytes], data: st.DataObject
) -> None:
    whole = bytearray(noted(ports))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        decode_sessions(bytes(whole), VOLUME, PATH)


@given(st.lists(PORTS, min_size=1, max_size=3), st.data())
def test_any_cut_of_the_sessions_is_noticed_unless_slots_are_left_whole(
    ports: list[bytes], data: st.DataObject
) -> None:
    whole = noted(ports)
    end = data.draw(st.integers(0, len(whole) - 1))
    if (end - len(sessions_header(VOLUME))) % SLOT_BYTES:
        with pytest.raises(FormatError):
            decode_sessions(whole[:end], VOLUME, PATH)


def test_a_name_that_no_slot_holds_stands_for_everyone() -> None:
    long = transport_id("iqn.x:" + "n" * 400, bytes(6))
    assert decode_sessions(noted([long]), VOLUME, PATH) is None
    assert len(session_slot(long)) == SLOT_BYTES


def test_another_volumes_file_is_told_from_a_damaged_one() -> None:
    with pytest.raises(OtherVolumeError):
        decode_reservations(
            encode_reservations(Registrations(), "b" * 32, BOOT), VOLUME, BOOT, PATH
        )
    with pytest.raises(OtherVolumeError):
        decode_sessions(noted((), "b" * 32), VOLUME, PATH)


def sealed(kind: str, body: object) -> bytes:
    text = json.dumps(body).encode()
    return f"tierce-iscsi {kind} 1 {crc32c(text):08x}\n".encode() + text


@pytest.mark.parametrize(
    "change",
    [
        {"registrations": None},
        {"registrations": [["iqn.x", "1"]]},
        {"holder": "iqn.x:a,i,0x800000000001", "type": 1},
        {"type": 1},
        {"type": []},
        {"generation": "many"},
    ],
)
def test_a_sealed_file_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    body: dict[str, object] = {"volume": VOLUME, "boot_id": BOOT, "registrations": []}
    body |= {"holder": None, "type": 0, "generation": 0, "outlives_power": False, "in_doubt": False}
    decode_reservations(sealed("reservations", body), VOLUME, BOOT, PATH)
    with pytest.raises(FormatError):
        decode_reservations(sealed("reservations", body | change), VOLUME, BOOT, PATH)


def test_a_slot_that_names_no_initiator_port_is_refused() -> None:
    slot = b"%08x %s\n" % (crc32c(b"nobody"), b"nobody".ljust(SLOT_BYTES - 10))
    with pytest.raises(FormatError, match="names no initiator port"):
        decode_sessions(sessions_header(VOLUME) + slot, VOLUME, PATH)


def test_a_newer_format_says_that_it_is_newer() -> None:
    with pytest.raises(FormatError, match="format 2"):
        decode_sessions(b"tierce-iscsi sessions 2 00000000\n{}", VOLUME, PATH)
