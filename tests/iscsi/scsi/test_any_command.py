"""Whatever is asked: GOOD means done to the byte, anything else means that nothing has changed."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iscsi.bench import Bench, Initiator
from iscsi.initiator import Answer, command, data_out
from tierce_iscsi.scsi.table import COMMANDS

BLOCK, BLOCKS = 512, 64
SIZE = BLOCK * BLOCKS
GOOD, CHECK, CONFLICT = 0, 2, 0x18
OVERFLOW, UNDERFLOW, R2T, DATA_IN, RESPONSE = 0x04, 0x02, 0x31, 0x25, 0x21
MISCOMPARE = (0xE, 0x1D00)


@attrs.frozen
class Deed:
    """A command, what it needs, and what it makes of the medium.

    Attributes:
        cdb: As it is sent.
        wanted: Bytes of data-out that the CDB stands for.
        apply: Changes the model as the command with this data should; False: it miscompares.
        is_sound: Nothing is wrong with the CDB.
        takes_less: It may be announced short.
    """

    cdb: bytes
    wanted: int
    apply: Callable[[bytearray, bytes], bool]
    is_sound: bool
    takes_less: bool = False


def cdb_of(opcode: int, flags: int, lba: int, count: int) -> bytes:
    """A CDB with an LBA and a count where its group has them."""
    layouts = {1: ">BBIBHB", 2: ">BBIBHB", 4: ">BBQIBB", 5: ">BBIIBB"}
    layout = layouts[opcode >> 5]
    middle = (lba, 0, count, 0) if layout == ">BBIBHB" else (lba, count, 0, 0)
    return struct.pack(layout, opcode, flags, *middle)


LBAS = st.one_of(st.integers(0, BLOCKS), st.sampled_from([2**32 - 1, 2**31]))
COUNTS = st.integers(0, 9)
FLAGS = st.sampled_from([0, 0, 0, 0x08, 0x10, 0x18, 0x20, 0xE0])


def in_range(lba: int, count: int) -> bool:
    return lba < BLOCKS and lba + count <= BLOCKS


@st.composite
def writes(draw: st.DrawFn) -> Deed:
    opcode, flags = draw(st.sampled_from([0x2A, 0xAA, 0x8A])), draw(FLAGS)
    lba, count = draw(LBAS), draw(COUNTS)

    def apply(model: bytearray, data: bytes) -> bool:
        model[lba * BLOCK : lba * BLOCK + len(data)] = data
        return True

    is_sound = in_range(lba, count) and not flags & 0xE0
    return Deed(cdb_of(opcode, flags, lba, count), count * BLOCK, apply, is_sound, takes_less=True)


@st.composite
def short_writes(draw: st.DrawFn) -> Deed:
    lba, count = draw(st.integers(0, BLOCKS)), draw(st.integers(1, 9))
    cdb = bytes((0x0A, 0, 0, lba, count, 0))

    def apply(model: bytearray, data: bytes) -> bool:
        model[lba * BLOCK : lba * BLOCK + len(data)] = data
        return True

    return Deed(cdb, count * BLOCK, apply, in_range(lba, count), takes_less=True)


@st.composite
def verified_writes(draw: st.DrawFn) -> Deed:
    opcode, check = draw(st.sampled_from([0x2E, 0xAE, 0x8E])), draw(st.integers(0, 3))
    lba, count = draw(LBAS), draw(COUNTS)

    def apply(model: bytearray, data: bytes) -> bool:
        model[lba * BLOCK : lba * BLOCK + len(data)] = data
        return True

    is_sound = in_range(lba, count) and check < 2
    return Deed(cdb_of(opcode, check << 1, lba, count), count * BLOCK, apply, is_sound)


@st.composite
def same_writes(draw: st.DrawFn) -> Deed:
    opcode = draw(st.sampled_from([0x41, 0x93]))
    has_none = opcode == 0x93 and draw(st.booleans())
    unmaps = draw(st.booleans())
    flags = draw(st.sampled_from([0, 0, 0, 0x10, 0x20])) | (8 if unmaps else 0) | has_none
    lba, count = draw(LBAS), draw(COUNTS)

    def apply(model: bytearray, data: bytes) -> bool:
        end = SIZE if not count else (lba + count) * BLOCK
        repeated = (data or bytes(BLOCK)) * ((end - lba * BLOCK) // BLOCK)
        model[lba * BLOCK : end] = repeated
        return True

    is_sound = in_range(lba, count) and not flags & 0xF0 and (not unmaps or opcode == 0x93)
    return Deed(cdb_of(opcode, flags, lba, count), 0 if has_none else BLOCK, apply, is_sound)


@st.composite
def or_writes(draw: st.DrawFn) -> Deed:
    flags, lba, count = draw(FLAGS), draw(LBAS), draw(COUNTS)

    def apply(model: bytearray, data: bytes) -> bool:
        for at, value in enumerate(data):
            model[lba * BLOCK + at] |= value
        return True

    is_sound = in_range(lba, count) and not flags & 0xE0
    return Deed(cdb_of(0x8B, flags, lba, count), count * BLOCK, apply, is_sound)


@st.composite
def comparisons(draw: st.DrawFn) -> Deed:
    flags, lba, count = draw(FLAGS), draw(LBAS), draw(st.integers(0, 3))
    cdb = struct.pack(">BBQ3xBBB", 0x89, flags, lba, count, 0, 0)

    def apply(model: bytearray, data: bytes) -> bool:
        half, at = len(data) // 2, lba * BLOCK
        if model[at : at + half] != data[:half]:
            return False
        model[at : at + half] = data[half:]
        return True

    is_sound = in_range(lba, count) and not flags & 0xE0
    return Deed(cdb, 2 * count * BLOCK, apply, is_sound)


@st.composite
def verifications(draw: st.DrawFn) -> Deed:
    opcode, check = draw(st.sampled_from([0x2F, 0xAF, 0x8F])), draw(st.integers(0, 3))
    lba, count = draw(LBAS), draw(COUNTS)
    wanted = {0: 0, 1: count * BLOCK, 2: 0, 3: min(count, 1) * BLOCK}[check]

    def apply(model: bytearray, data: bytes) -> bool:
        repeated = data * count if check == 3 else data
        return check == 0 or model[lba * BLOCK : (lba + count) * BLOCK] == repeated

    is_sound = in_range(lba, count) and check != 2
    return Deed(cdb_of(opcode, check << 1, lba, count), wanted, apply, is_sound)


DEEDS = st.one_of(
    *(writes(), short_writes(), verified_writes(), same_writes(), or_writes()),
    *(comparisons(), verifications()),
)


@attrs.frozen
class Sending:
    """How an initiator sends what it has.

    Attributes:
        change: Bytes that it announces more or less than the CDB stands for.
        immediate: Share of the data that comes with the command.
        is_zero: All of the data is zero.
        is_old: The first half is what lies there already, for comparisons.
    """

    change: int
    immediate: float
    is_zero: bool
    is_old: bool


SENDINGS = st.builds(
    Sending,
    st.sampled_from([0, 0, 0, 0, -BLOCK, BLOCK, -1, 1, 200, -(10**6)]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.booleans(),
    st.booleans(),
)


def send(
    bench: Bench, session: Initiator, number: int, cdb: bytes, data: bytes, immediate: int
) -> Answer:
    """Send a command and its data, as they are asked for; return the response."""
    found = session.ask(command(cdb, number, write=len(data), data=data[:immediate], tag=number))
    while True:
        if not found:
            bench.complete()
            found = session.hear()
            assert found, "every command is answered"
        answer, *found = found
        if answer.opcode != R2T:
            assert (answer.opcode, found) == (RESPONSE, [])
            return answer
        at, length = answer.field(40), answer.field(44)
        piece = data[at : at + length]
        found = session.ask(data_out(number, answer.transfer_tag, 0, at, piece, final=True))


@settings(max_examples=150)
@given(st.lists(st.tuples(DEEDS, SENDINGS), max_size=6), st.integers(0, 2**32), st.booleans())
def test_good_means_done_to_the_byte_and_anything_else_that_nothing_has_changed(
    tmp_path_factory: pytest.TempPathFactory,
    deeds: list[tuple[Deed, Sending]],
    seed: int,
    leaves_pending: bool,
) -> None:
    dice = random.Random(seed)
    bench = Bench(SIZE, folder=tmp_path_factory.mktemp("kept"), leaves_pending=leaves_pending)
    session = bench.session(keys={"MaxBurstLength": "2048", "FirstBurstLength": "1024"})
    model = bytearray(dice.randbytes(SIZE))
    bench.device.bytes[:] = model
    for number, (deed, sending) in enumerate(deeds, 1):
        announced = max(0, deed.wanted + sending.change)
        data = bytes(announced) if sending.is_zero else dice.randbytes(announced)
        if sending.is_old:
            at = int.from_bytes(deed.cdb[2:10], "big") * BLOCK if deed.cdb[0] == 0x89 else 0
            half = deed.wanted // 2
            data = (bytes(model[at : at + half]).ljust(half, b"?") + data[half:])[:announced]
        immediate = int(min(announced, 1024) * sending.immediate)
        answer = send(bench, session, number, deed.cdb, data, immediate)
        taken = data[: deed.wanted]
        before = bytes(model)
        enough = announced >= deed.wanted or deed.takes_less
        if answer.status == GOOD:
            assert deed.is_sound
            assert enough or deed.cdb[0] in {0x2E, 0xAE, 0x8E}
            assert deed.apply(model, taken)
            over, under = max(0, deed.wanted - announced), max(0, announced - deed.wanted)
            assert answer.field(44) == over + under
            assert answer.flags & 6 == (OVERFLOW if over else UNDERFLOW if under else 0)
        elif answer.sense == MISCOMPARE:
            assert not deed.apply(model, taken)
            model[:] = before
        else:
            is_exact = announced == deed.wanted
            assert not (deed.is_sound and is_exact), "what is right is done"
        assert bench.device.bytes == model
    bench.close()


@settings(max_examples=400)
@given(
    opcode=st.one_of(st.sampled_from(sorted(COMMANDS)), st.integers(0, 255)),
    rest=st.binary(min_size=15, max_size=15),
    action=st.one_of(st.none(), st.integers(0, 31)),
    lun=st.sampled_from([0, 0, 0, 1 << 48, 2**64 - 1]),
    size=st.integers(0, 1024),
    is_read=st.booleans(),
    is_reserved=st.booleans(),
)
def test_any_bytes_are_a_command_that_is_answered_once(
    tmp_path_factory: pytest.TempPathFactory,
    opcode: int,
    rest: bytes,
    action: int | None,
    lun: int,
    size: int,
    is_read: bool,
    is_reserved: bool,
) -> None:
    bench = Bench(SIZE, folder=tmp_path_factory.mktemp("kept"))
    session = bench.session()
    if is_reserved:
        bench.frontend.unit.reservations.now.keys[b"another"] = 7
        bench.frontend.unit.reservations.now.reserve(b"another", 3)
        bench.frontend.unit.reservations.set_legacy(None)
    cdb = bytes((opcode,)) + (rest if action is None else bytes((action,)) + rest[1:])
    sent = b"" if is_read else (rest * (size // 15 + 1))[:size]
    read = size if is_read else 0
    found = session.ask(command(cdb, 1, lun=lun, read=read, write=len(sent), data=sent))
    *data, last = found
    assert all(answer.opcode == DATA_IN for answer in data)
    status = GOOD if last.opcode == DATA_IN else last.status
    assert last.opcode in {DATA_IN, RESPONSE}
    assert status in {GOOD, CHECK, CONFLICT}
    assert sum(len(answer.data) for answer in found if answer.opcode == DATA_IN) <= size
    if status == CHECK:
        assert len(last.data) == 2 + 18
        assert last.data[2] & 0x7F == 0x70
    if is_reserved:
        assert bench.device.bytes == bytes(SIZE), "another's reservation keeps every change out"
    # The session goes on.
    (answer,) = session.ask(command(b"\xa0".ljust(12, b"\0"), 2))
    assert answer.opcode == RESPONSE
    bench.close()


#: Where commands have an allocation length, and with what else they are asked.
ALLOCATIONS = {
    "INQUIRY": (b"\x12\0\0\0\0\0", 3, 2),
    "INQUIRY of a page": (b"\x12\1\xb0\0\0\0", 3, 2),
    "REQUEST SENSE": (b"\x03\0\0\0\0\0", 4, 1),
    "MODE SENSE(6)": (b"\x1a\0\x3f\0\0\0", 4, 1),
    "MODE SENSE(10)": (b"\x5a\0\x3f\0\0\0\0\0\0\0", 7, 2),
    "LOG SENSE": (b"\x4d\0\x40\0\0\0\0\0\0\0", 7, 2),
    "READ DEFECT DATA(10)": (b"\x37\0\0\0\0\0\0\0\0\0", 7, 2),
    "READ DEFECT DATA(12)": (b"\xb7\0\0\0\0\0\0\0\0\0\0\0", 6, 4),
    "READ KEYS": (b"\x5e\0\0\0\0\0\0\0\0\0", 7, 2),
    "REPORT CAPABILITIES": (b"\x5e\2\0\0\0\0\0\0\0\0", 7, 2),
    "READ CAPACITY(16)": (b"\x9e\x10" + bytes(14), 10, 4),
    "GET LBA STATUS": (b"\x9e\x12" + bytes(14), 10, 4),
    "REPORT LUNS": (b"\xa0" + bytes(11), 6, 4),
    "REPORT TARGET PORT GROUPS": (b"\xa3\x0a" + bytes(10), 6, 4),
    "REPORT SUPPORTED OPERATION CODES": (b"\xa3\x0c" + bytes(10), 6, 4),
    "RECEIVE COPY RESULTS": (b"\x84\3" + bytes(14), 10, 4),
}


@pytest.mark.parametrize("name", ALLOCATIONS)
@pytest.mark.parametrize("allocation", [0, 1, 3, 7, 9])
def test_no_more_is_given_than_the_allocation_length(
    bench: Bench, name: str, allocation: int
) -> None:
    cdb, at, width = ALLOCATIONS[name]
    asked = cdb[:at] + allocation.to_bytes(width, "big") + cdb[at + width :]
    (answer,) = bench.session().ask(command(asked, 1, read=255))
    assert answer.opcode in {DATA_IN, RESPONSE}
    assert answer.status == GOOD
    given_count = len(answer.data) if answer.opcode == DATA_IN else 0
    assert given_count <= allocation
    assert (answer.flags & 6, answer.field(44)) == (UNDERFLOW, 255 - given_count)
    if allocation:
        assert given_count, "something is given if something may be"
