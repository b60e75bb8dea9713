"""The ring: what was written is read whole, or not at all, whoever ends when."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce import Code, FormatError, Op
from tierce.tracing import STAMP_COUNT_MAX, Stamp, TracedIo, span_id_of
from tierce.volume.trace_ring import RING_BYTES, SLOT_BYTES, SLOT_COUNT, TraceRing

SLOTS_AT = RING_BYTES - SLOT_COUNT * SLOT_BYTES


def io(number: int = 0, *stamps: Stamp) -> TracedIo:
    return TracedIo(
        *(Op.WRITE, number, 4096, 3, Code.WRITE_ERROR, 10**18, 312_000_000, False, True),
        *(bytes(range(16)), bytes(8), stamps),
    )


def offsets(ring: TraceRing) -> list[int | None]:
    """The first bytes of the last records, None for one that can't be read."""
    last = ring.next_number
    found = [ring.read(number) for number in range(max(last - SLOT_COUNT, 0), last)]
    return [None if one is None else one["offset"] for one in found]


def test_a_reader_sees_what_was_written(tmp_path: Path) -> None:
    writer = TraceRing.create(tmp_path / "ring")
    reader = TraceRing.open(tmp_path / "ring")
    writer.write(
        io(512, ("device", "", 64_000, 311_000_000, 0), ("jiva.replica", "b", 128, 640, 7))
    )
    found = reader.read(0)
    assert found is not None
    assert found.pop("stages") == [
        {
            "stage": "device",
            "member": "",
            "start_ns": 64_000,
            "elapsed_ns": 311_000_000,
            "number": 0,
            "span_id": span_id_of(bytes(8), "device").hex(),
        },
        {
            "stage": "jiva.replica",
            "member": "b",
            "start_ns": 128,
            "elapsed_ns": 640,
            "number": 7,
            "span_id": span_id_of(bytes(8), "jiva.replica", "b", 7).hex(),
        },
    ]
    assert found == {
        "operation": "write",
        "offset": 512,
        "length": 4096,
        "batch": 3,
        "code": "write error",
        "start_ns": 10**18,
        "elapsed_ns": 312_000_000,
        "is_sampled": False,
        "is_slow": True,
        "trace_id": bytes(range(16)).hex(),
        "span_id": "0" * 16,
    }
    assert (reader.read(1), reader.next_number) == (None, 1)
    writer.close()
    reader.close()


def test_the_oldest_is_overwritten_and_can_not_be_had_any_more(tmp_path: Path) -> None:
    ring = TraceRing.create(tmp_path / "ring")
    for number in range(SLOT_COUNT + 3):
        ring.write(io(number))
    assert [ring.read(number) for number in range(3)] == [None] * 3
    assert offsets(ring) == list(range(3, SLOT_COUNT + 3))
    ring.close()


def test_the_next_process_goes_on_with_numbers_and_names(tmp_path: Path) -> None:
    ring = TraceRing.create(tmp_path / "ring")
    ring.write(io(0, ("device", "", 0, 64, 0)))
    ring.leave_out(7)
    ring.close()
    ring = TraceRing.create(tmp_path / "ring")
    ring.write(io(1, ("filter.a", "b", 0, 64, 0)))
    assert (ring.next_number, ring.left_out_count) == (2, 7)
    stages = [record["stages"][0]["stage"] for record in (ring.read(0), ring.read(1)) if record]
    assert stages == ["device", "filter.a"]
    ring.close()


def test_a_record_that_a_killed_writer_has_left_half_is_not_read_and_is_written_anew(
    tmp_path: Path,
) -> None:
    ring = TraceRing.create(tmp_path / "ring")
    ring.write(io(0))
    # As one that was killed within `write` leaves it: begun, or whole but for the next number.
    ring._slots[SLOT_BYTES // 8] = 3
    assert offsets(ring) == [0]
    assert ring.read(1) is None
    ring.close()
    ring = TraceRing.create(tmp_path / "ring")
    ring.write(io(9))
    assert offsets(ring) == [0, 9]
    ring.close()


@given(at=st.integers(12, 87), bit=st.integers(0, 7))
def test_a_torn_record_is_not_read(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    ring = TraceRing.create(tmp_path_factory.mktemp("ring") / "ring")
    ring.write(io(0, ("device", "", 0, 64, 0)))
    ring._bytes[SLOTS_AT + at] ^= 1 << bit
    assert ring.read(0) is None
    ring.close()


def test_stamps_and_names_beyond_what_fits_are_cut_and_called_other(tmp_path: Path) -> None:
    ring = TraceRing.create(tmp_path / "ring")
    ring.write(io(0, *((f"stage-{number}", "", 0, 64, 0) for number in range(40))))
    record = ring.read(0)
    assert record is not None
    stages = [one["stage"] for one in record["stages"]]
    assert len(stages) == STAMP_COUNT_MAX
    assert stages[:31] == [f"stage-{number}" for number in range(31)]
    assert set(stages[31:]) == {"other"}
    ring.close()


@pytest.mark.parametrize("at", [16, 24])
def test_a_number_that_nothing_can_have_counted_ends_no_writer(tmp_path: Path, at: int) -> None:
    writer = TraceRing.create(tmp_path / "ring")
    writer.write(io(1))
    writer.close()
    with (tmp_path / "ring").open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 8)
    writer = TraceRing.create(tmp_path / "ring")
    writer.leave_out(1)
    writer.write(io(2))
    assert (writer.next_number, writer.left_out_count) == (1, 1)
    assert offsets(writer) == [2]
    writer.close()


@pytest.mark.parametrize("contents", [b"", b"x" * RING_BYTES, b"TIERTRC9"])
def test_what_is_no_ring_is_refused_by_readers_and_made_anew_by_its_writer(
    tmp_path: Path, contents: bytes
) -> None:
    (tmp_path / "ring").write_bytes(contents)
    with pytest.raises(FormatError, match="no ring"):
        TraceRing.open(tmp_path / "ring")
    ring = TraceRing.create(tmp_path / "ring")
    assert ring.next_number == 0
    ring.close()
    with pytest.raises(FormatError, match="can't be read"):
        TraceRing.open(tmp_path / "none")


def test_a_slot_is_marked_before_what_lies_there_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    marks: list[tuple[int, bytes]] = []

    class Watched:
        """The slots' words, which tell what lies in the file when one is stored."""

        def __setitem__(self, _word: int, value: int) -> None:
            marks.append((value, path.read_bytes()[8192 + 16 : 8192 + SLOT_BYTES]))

        def release(self) -> None: ...

    writer = TraceRing.create(path)
    writer._slots = Watched()  # type: ignore[assignment]
    writer.write(io(1))
    writer.close()
    (begun, before), (done, after) = marks
    assert (begun, done) == (1, 2)
    assert before == bytes(len(before)) != after
