"""The reference pages are those that the code writes, and leave nothing out."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tierce import Event, errors, hookspecs, services
from tierce.cli.main import COMMANDS
from tierce.cli.output import EXIT_BROKEN_PIPE, EXIT_BUG, EXIT_INTERRUPTED, EXIT_UNHEALTHY
from tierce.cli.reference.markdown import (
    attributes_of,
    attributes_table,
    first_sentence,
    prose,
    table,
)
from tierce.cli.reference.options import option_rows
from tierce.cli.reference.pages import pages
from tierce.cli.reference.services_page import CHAPTERS
from tierce.config.model import FileShape
from tierce.options import option_info
from tierce.registry import OWN_PACKAGE, Registry, installed

FOLDER = Path(__file__).parents[3] / "docs" / "reference"
PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_what_the_code_writes(name: str) -> None:
    """If this fails: tierce docs reference docs/reference"""
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]


def test_no_page_is_left_over() -> None:
    others = {"logs.md", "metrics.md", "plugin-mistakes.md"}
    assert {one.name for one in FOLDER.iterdir()} == {*PAGES, *others}


def test_the_command_writes_the_pages(tierce: Callable[..., Any], tmp_path: Path) -> None:
    assert tierce("docs", "reference", tmp_path / "new" / "pages").code == 0
    assert {one.name for one in (tmp_path / "new" / "pages").iterdir()} == set(PAGES)


def test_every_hook_is_documented_with_its_signature() -> None:
    names = [name for name in vars(hookspecs) if name.startswith("tierce_")]
    assert len(names) >= 8
    for name in names:
        assert f"\n## {name}\n" in PAGES["hooks.md"]
        assert f"def {name}(" in PAGES["hooks.md"]
        assert f"| `{name}` | " in PAGES["hooks.md"]


def test_every_option_is_documented() -> None:
    for row in option_rows(FileShape):
        assert f"| `{row['name']}` |" in PAGES["config.md"]
    registry = Registry(one for one in installed() if one.package == OWN_PACKAGE)
    for family, name, description in registry.descriptions():
        assert f"\n### {family.capitalize()} {name}\n" in PAGES["plugins.md"]
        for options in (description.options, getattr(description, "volume_options", None)):
            for field in attrs.fields(options) if options else ():
                assert option_info(field).doc, f"{name}: {field.name}"
                assert family in {"store", "replicator"} or f"`{field.name}`" in PAGES["plugins.md"]


def test_every_exit_code_is_documented() -> None:
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.TierceError):
            assert f"| {error.exit_code} | `{name}` |" in PAGES["exit-codes.md"]
    for code in (0, EXIT_BUG, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE, EXIT_UNHEALTHY):
        assert f"\n| {code} |" in PAGES["exit-codes.md"]


def test_every_command_is_documented() -> None:
    for name in COMMANDS:
        assert (f"\n## tierce {name}\n" in PAGES["cli.md"]) == (name != "docs")
    assert "\n## tierce plugin explain\n" in PAGES["cli.md"]
    assert "\\b" not in PAGES["cli.md"]


def test_every_field_that_services_see_is_documented_with_its_type() -> None:
    kinds = [kind for _call, kinds in CHAPTERS for kind in kinds]
    # What is to be seen is all of the module's values, and an event.
    values = {one for _name, one in inspect.getmembers(services, attrs.has)}
    own = {one for one in values if one.__module__ == services.__name__}
    assert own - {services.ServiceContext} == set(kinds) - {Event}
    for kind in kinds:
        _, _, section = PAGES["services.md"].partition(f"\n### {kind.__name__}\n")
        rows = re.findall(
            r"^\| `(\w+)` \| `(.+?)` \| \S", section.partition("\n### ")[0], re.MULTILINE
        )
        assert [name for name, _type in rows] == [one.name for one in attrs.fields(kind)]
        assert set(attributes_of(kind.__doc__)) == {one.name for one in attrs.fields(kind)}


def test_a_docstrings_attributes_become_a_table() -> None:
    documentation = """A thing.

    Attributes:
        name: Its name,
            on two lines.
        size: Its size | mass.
    """
    assert attributes_table(documentation).splitlines()[2:] == [
        "| `name` | Its name, on two lines. |",
        "| `size` | Its size \\| mass. |",
    ]
    assert attributes_table("A thing.") == ""
    assert first_sentence(documentation) == "A thing."


def test_a_table_without_rows_is_nothing() -> None:
    assert table(("a",), []) == ""
    assert prose("``code``") == "`code`"
