"""What policies want, kept for the next server in a file that may be damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierce.process.wanted_settings import WANTED_BYTES_MAX, read_wanted, write_wanted

WANTED = {"night": {"demo": {"filters[0]": {"rate": 5, "names": ["a"]}}}}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_wanted(tmp_path / "file", WANTED)
    assert read_wanted(tmp_path / "file") == WANTED


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"night": 5}', '{"night": {"demo": {"options": []}}}', "\x00" * 9]
)
def test_what_is_no_such_file_is_as_if_nothing_were_wanted(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert read_wanted(tmp_path / "file") == {}


def test_without_a_file_nothing_is_wanted(tmp_path: Path) -> None:
    assert read_wanted(tmp_path / "file") == {}


def test_what_would_not_be_read_is_not_written(tmp_path: Path) -> None:
    write_wanted(tmp_path / "file", WANTED)
    with pytest.raises(OSError, match="are allowed"):
        write_wanted(
            tmp_path / "file", {"long": {"demo": {"options": {"x": "y" * WANTED_BYTES_MAX}}}}
        )
    assert read_wanted(tmp_path / "file") == WANTED
