"""Holes in files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tierce import can_punch_hole, punch_hole


def test_a_hole_reads_as_zeroes_and_takes_no_space(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xaa" * 12288)
    with path.open("r+b") as file:
        if not can_punch_hole(file.fileno(), 12288):
            pytest.skip("the file system has no holes")
        os.fsync(file.fileno())
        before = os.fstat(file.fileno()).st_blocks
        punch_hole(file.fileno(), 4096, 4096)
        assert os.fstat(file.fileno()).st_blocks < before
    assert path.read_bytes() == b"\xaa" * 4096 + bytes(4096) + b"\xaa" * 4096


def test_what_can_not_be_punched_says_why(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as file, pytest.raises(OSError, match="Bad file descriptor"):
        punch_hole(file.fileno(), 0, 4096)
