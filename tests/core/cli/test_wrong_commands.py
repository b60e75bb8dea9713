"""Every command that is mistyped, or comes at the wrong time, ends with one clear line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.cli.wrong_commands import WITH_SERVER, WITHOUT_SERVER, Wrong, prepare


def test_there_are_as_many_as_operators_find() -> None:
    assert len(WITHOUT_SERVER) + len(WITH_SERVER) >= 80


@pytest.mark.parametrize("one", WITHOUT_SERVER, ids=lambda one: one.what)
def test_a_wrong_command_is_one_line_and_a_code(
    tierce: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Wrong
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIERCE_DATA_DIR", raising=False)
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.StringIO(one.typed))
    done = tierce(*(word.format(here=tmp_path) for word in one.words))
    assert done.code == one.code, done.err
    (line,) = done.err.splitlines()
    assert line.startswith("tierce: error: ")
    assert one.said in line
    assert "Errno" not in line
    # Only a question stands on standard output.
    assert done.out == "" or "[y/N]" in done.out
