"""Locks on open files."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tierce import lock_file


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A file, opened twice."""
    both = tuple(os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(2))
    yield both[0], both[1]
    for descriptor in both:
        os.close(descriptor)


def test_a_file_has_one_holder(two: tuple[int, int]) -> None:
    first, second = two
    assert lock_file(first)
    assert lock_file(first)
    assert not lock_file(second)
    assert not lock_file(second, is_shared=True)


def test_many_may_share_it_and_nobody_has_it_alone_beside_them(two: tuple[int, int]) -> None:
    first, second = two
    assert lock_file(first, is_shared=True)
    assert lock_file(second, is_shared=True)
    assert not lock_file(second)


def test_its_holder_lets_go_by_closing_the_file(tmp_path: Path, two: tuple[int, int]) -> None:
    third = os.open(tmp_path / "file", os.O_RDWR)
    assert lock_file(third)
    os.close(third)
    assert lock_file(two[0])


@pytest.mark.parametrize(("number", "is_taken"), [(errno.EACCES, True), (errno.ENOLCK, False)])
def test_a_lock_that_another_machine_holds_is_told_from_a_system_without_locks(
    two: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int, is_taken: bool
) -> None:
    def flock(_descriptor: int, _kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    if is_taken:
        assert not lock_file(two[0])
    else:
        with pytest.raises(OSError, match="No locks available"):
            lock_file(two[0])
