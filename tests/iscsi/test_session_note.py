"""The note of who has to hear of a restart."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tierce_iscsi.scsi.persistent_files import SLOT_BYTES, decode_sessions, sessions_header
from tierce_iscsi.scsi.transport import transport_id
from tierce_iscsi.session_note import SessionNote

VOLUME = "a" * 32
PORTS = [transport_id("iqn.x:node", bytes((0x80, 0, 0, 0, 0, number))) for number in range(5)]


@given(
    st.frozensets(st.sampled_from(PORTS)),
    st.lists(st.tuples(st.booleans(), st.sampled_from(PORTS)), max_size=30),
)
def test_the_file_says_at_every_moment_who_is_here(
    first: frozenset[bytes], changes: list[tuple[bool, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made" / "sessions"
        note, here = SessionNote(path, VOLUME, first), set(first)
        assert decode_sessions(path.read_bytes(), VOLUME, path) == frozenset(here)
        for comes, port in changes:
            (note.add if comes else note.remove)(port)
            (here.add if comes else here.discard)(port)
            assert decode_sessions(path.read_bytes(), VOLUME, path) == frozenset(here)
        slots = len(path.read_bytes()) - len(sessions_header(VOLUME))
        assert slots <= len(PORTS) * SLOT_BYTES, "places are used again"
        note.close()


def test_without_the_note_there_is_none(tmp_path: Path) -> None:
    note = SessionNote(tmp_path / "sessions", VOLUME, PORTS)
    note.give_up()
    assert list(tmp_path.iterdir()) == []
