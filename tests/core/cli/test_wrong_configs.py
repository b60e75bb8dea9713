"""Every mistake in a config file is one line that names the file, the line, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.cli.wrong_configs import MISTAKES, NOTES, RIGHT, Mistake, Note

Run = Callable[..., Any]


def test_the_file_without_a_mistake_is_right(tierce: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(RIGHT)
    assert tierce("config", "check", path).code == 0


def test_there_are_as_many_kinds_of_mistake_as_operators_make() -> None:
    assert len({one.what for one in MISTAKES}) == len(MISTAKES) >= 110


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.what)
def test_a_mistake_is_told_in_one_line_with_its_place(
    tierce: Run, tmp_path: Path, mistake: Mistake
) -> None:
    path = mistake.write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = tierce("config", "check", path)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"tierce: error: {path}:{mistake.line}: "), done.err
    assert mistake.said in done.err
    assert done.err.count("\n") == 1
    assert "Errno" not in done.err
    assert len(done.err) < 900
    # To look changes nothing.
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("mistake", MISTAKES[::20], ids=lambda one: one.what)
def test_a_command_that_reads_the_file_tells_no_more(
    tierce: Run, tmp_path: Path, mistake: Mistake
) -> None:
    done = tierce("volume", "list", "--config", mistake.write(tmp_path))
    assert done.code in {2, 3}
    assert done.err.startswith("tierce: error: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("note", NOTES, ids=lambda one: one.what)
def test_what_works_and_should_be_known_is_a_note(tierce: Run, tmp_path: Path, note: Note) -> None:
    done = tierce("config", "check", note.write(tmp_path))
    assert done.code == 0
    assert note.said in done.err
    assert all(line.startswith("tierce: note: ") for line in done.err.splitlines())
