"""The state's events are read while no server runs, and nothing is changed by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierce.errors import FormatError
from tierce.spec import Event
from tierce.state.reading import read_events
from tierce.state.store import StateStore


def test_events_are_read_without_changing_the_state(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with StateStore(folder) as store:
        store.record([Event("a.b", f"{n}", "volume/demo") for n in range(5)])
    before = (folder / "data.mdb").read_bytes()
    events, last = read_events(folder, 2, 2)
    assert [(one["sequence"], one["message"]) for one in events] == [(3, "2"), (4, "3")]
    assert last == 5
    assert (folder / "data.mdb").read_bytes() == before


def test_a_folder_without_a_state_has_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "state", 0, 10) == ([], 0)
    assert not (tmp_path / "state").exists()


def test_a_damaged_state_is_told_and_ends_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with StateStore(folder) as store:
        store.record([Event("a.b", "x", "volume/demo")])
    data = folder / "data.mdb"
    data.write_bytes(data.read_bytes()[:5000])
    with pytest.raises(FormatError, match="is damaged"):
        read_events(folder, 0, 10)
