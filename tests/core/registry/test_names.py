"""A message about an unknown name helps whoever wrote it."""

from __future__ import annotations

from tierce.registry import nearest


def test_the_nearest_name_is_said() -> None:
    assert nearest("jvia", ["jiva", "file"]) == "; the nearest is 'jiva'"


def test_all_are_said_if_none_is_near() -> None:
    assert nearest("zzz", ["jiva", "file"]) == "; expected one of file, jiva"


def test_that_there_is_none_is_said() -> None:
    assert nearest("x", []) == "; there is none"


def test_a_name_without_end_is_not_compared() -> None:
    assert nearest("jiva" * 1_000_000, ["jiva"]) == "; expected one of jiva"
