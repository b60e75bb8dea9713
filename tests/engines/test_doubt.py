"""What is in doubt is remembered; what can't be read is in doubt."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tierce_engines.doubt import (
    NOTE_BYTES,
    REGION_COUNT_MAX,
    SOUND,
    Doubt,
    DoubtNote,
    region_shift,
)

MIB = 1 << 20
DOUBT = Doubt(frozenset({1, 2, 5}), "/disk could not be flushed", 60.0)
ONCE = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None
)


@pytest.fixture
def note(tmp_path: Path) -> DoubtNote:
    made = DoubtNote(tmp_path, 8 * MIB)
    made.make()
    return made


def test_a_new_volume_is_sound_and_making_its_note_again_changes_nothing(note: DoubtNote) -> None:
    assert not note.read()
    note.save(DOUBT)
    note.make()
    assert note.read() == DOUBT


@ONCE
@given(st.frozensets(st.integers(0, REGION_COUNT_MAX - 1)), st.text(), st.booleans(), st.booleans())
def test_what_was_noted_is_read_whatever_it_is(
    tmp_path: Path, regions: frozenset[int], why: str, rewritten: bool, accepted: bool
) -> None:
    note = DoubtNote(tmp_path, MIB * REGION_COUNT_MAX)
    saved = Doubt(regions, why[:500], 1.5, rewritten, accepted)
    note.save(saved)
    assert note.read() == saved
    assert note.path.stat().st_size == NOTE_BYTES


def test_the_longest_note_fits(tmp_path: Path) -> None:
    note = DoubtNote(tmp_path, MIB * REGION_COUNT_MAX)
    every = Doubt(note.every_region(), "\u20ac" * 9999, 1.5)
    note.save(every)
    assert note.read().regions == every.regions
    assert note.path.stat().st_size == NOTE_BYTES


@pytest.mark.parametrize("size_bytes", [512, MIB, 32 << 30, (32 << 30) + 512, 15 << 40, 1 << 60])
def test_the_regions_of_any_volume_fit_and_cover_it(tmp_path: Path, size_bytes: int) -> None:
    note = DoubtNote(tmp_path, size_bytes)
    every = sorted(note.every_region())
    assert len(every) <= REGION_COUNT_MAX
    assert 1 << region_shift(size_bytes) >= MIB
    assert note.extent(0)[0] == 0
    offset, length = note.extent(every[-1])
    assert offset + length == size_bytes


@ONCE
@given(st.integers(0, NOTE_BYTES // 512), st.booleans())
def test_a_note_that_is_torn_is_the_old_the_new_or_everything(
    tmp_path: Path, sectors: int, tail: bool
) -> None:
    """As a loss of power may leave what is written in place."""
    note = DoubtNote(tmp_path, 8 * MIB)
    note.save(SOUND)
    old = note.path.read_bytes()
    note.save(DOUBT)
    new = note.path.read_bytes()
    at = sectors * 512
    note.path.write_bytes(old[:at] + new[at:] if tail else new[:at] + old[at:])
    found = note.read()
    assert found in (SOUND, DOUBT) or found.regions == note.every_region()


@pytest.mark.parametrize("data", [None, b"", b"\0" * NOTE_BYTES, b"tierce doubt 1 00000000\n{}"])
def test_a_note_that_is_lost_or_damaged_leaves_nothing_undoubted(
    note: DoubtNote, data: bytes | None
) -> None:
    note.path.unlink()
    if data is not None:
        note.path.write_bytes(data)
    found = note.read()
    assert found.regions == note.every_region()
    assert "can't be read" in found.why


def test_it_is_told_in_words(note: DoubtNote) -> None:
    told = note.describe(DOUBT)
    assert told.startswith("/disk could not be flushed (1970-01-01 00:01:00Z). What was written")
    assert "2097152 bytes at 1048576; 1048576 bytes at 5242880" in told
    assert "may still change from newer to older" in told
    assert "stay like that" in note.describe(attrs.evolve(DOUBT, is_rewritten=True))
    many = Doubt(frozenset(range(0, 8, 2)) | {7}, "why", 0.0)
    assert "at 0; 1048576 bytes at 2097152; 1048576 bytes at 4194304; 2097152 bytes at" in (
        note.describe(many)
    )
    wide = DoubtNote(note.path.parent, 40 * MIB)
    assert wide.describe(Doubt(frozenset(range(0, 40, 2)), "why", 0.0)).count("; ") == 4
    assert "16 other places" in wide.describe(Doubt(frozenset(range(0, 40, 2)), "why", 0.0))
