"""Each mistake of a stranger is told with the plugin's name, as the page says, and ends nobody."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from core.mistakes.page import PAGE, render
from core.mistakes.rows import ROWS, Row
from core.mistakes.trial import Trial, load


@pytest.fixture
def stranger() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        yield load(lambda module: patch.setitem(sys.modules, "tierce_mistaken", module))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.part}: {row.mistake}")
def test_a_mistake_is_told_with_the_plugins_name_as_the_page_says(
    row: Row, stranger: ModuleType, tmp_path: Path
) -> None:
    """If this fails: make mistakes"""
    trial = Trial(tmp_path, stranger)
    text = trial.plain(row.trial(trial))
    trial.close()
    assert re.search(r"plugin '?mistaken'?\b|tierce_mistaken", text), f"names no plugin: {text}"
    (line,) = re.findall(r"^\| .* \|$", render([(row, text)]), re.MULTILINE)[1:]
    assert PAGE.read_text(encoding="utf-8").count(line) == 1, line


def test_the_page_has_a_row_for_every_mistake_and_no_other() -> None:
    wanted = render([(row, "") for row in ROWS])
    said = PAGE.read_text(encoding="utf-8")
    names = [re.findall(r"^(\| .*?) \|", page, re.MULTILINE) for page in (wanted, said)]
    differing = [pair for pair in zip(*names, strict=False) if len(set(pair)) > 1]
    assert (len(names[0]), differing[:1]) == (len(names[1]), [])
