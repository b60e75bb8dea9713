"""What the documents show is what the commands show."""

from __future__ import annotations

import pytest

from core.cli.screens import DOCS, PAGES, renewed, screens


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_the_commands_show(page: str) -> None:
    assert renewed(page) == (DOCS / page).read_text(encoding="utf-8"), (
        "renew it: PYTHONPATH=tests python -m core.cli.screens"
    )


def test_every_screen_is_on_a_page() -> None:
    text = "".join((DOCS / page).read_text(encoding="utf-8") for page in PAGES)
    for command, shown in screens().items():
        assert f"```console\n$ {command}\n{shown}```\n" in text
