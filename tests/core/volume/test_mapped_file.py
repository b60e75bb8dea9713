"""A file in shared memory appears whole, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tierce.volume.mapped_file import mapped_anew


def test_nobody_sees_it_before_it_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "page"
    with mapped_anew(path, 8192) as mapping:
        mapping[:3] = b"new"
        assert not path.exists()
    assert path.read_bytes() == b"new".ljust(8192, b"\0")
    # What is written from then on is there too.
    mapping[:3] = b"now"
    assert path.read_bytes()[:3] == b"now"


def test_what_fails_while_it_is_filled_in_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="wrong"), mapped_anew(path, 4096):
        raise ValueError("wrong")
    assert path.read_bytes() == b"old"


def test_all_of_its_space_is_taken_at_once(tmp_path: Path) -> None:
    with mapped_anew(tmp_path / "page", 1 << 20):
        pass
    assert (tmp_path / "page").stat().st_blocks * 512 >= 1 << 20


def test_where_there_is_no_room_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "page"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space"), mapped_anew(path, 4096):
        raise AssertionError("it is not there")
    assert path.read_bytes() == b"old"
