"""The little Markdown that the reference pages are made of."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tierce.cli.reference.options import option_rows

#: Said at the top of every page.
NOTICE = "<!-- Written by `tierce docs reference docs/reference` from the code: change that. -->"

_LITERAL = re.compile(r"(?<!`)``([^`]+)``(?!`)")


def page(title: str, introduction: str, *parts: str) -> str:
    """Return a whole page, with one final line feed."""
    return "\n\n".join([NOTICE, f"# {title}", introduction, *filter(None, parts)]) + "\n"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; empty if there are no rows."""
    lines = [f"| {' | '.join(_cell(one) for one in row)} |" for row in rows]
    if not lines:
        return ""
    head = [f"| {' | '.join(heading)} |", f"|{'---|' * len(heading)}"]
    return "\n".join(head + lines)


def options_table(options: type[Any]) -> str:
    """Return the table of an option class; a sentence if it has nothing to set."""
    rows = [
        (f"`{row['name']}`", row["type"], _code(row["default"]), row["doc"])
        for row in option_rows(options)
    ]
    return table(("option", "type", "default", "what it is"), rows) or "Nothing to set."


def prose(documentation: str | None) -> str:
    """Return a docstring as Markdown."""
    return _LITERAL.sub(r"`\1`", inspect.cleandoc(documentation or ""))


def first_sentence(documentation: str | None) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join(prose(documentation).split("\n\n")[0].split())


def attributes_table(documentation: str | None) -> str:
    """Return what a docstring says under `Attributes:` as a table."""
    rows = ((f"`{name}`", text) for name, text in attributes_of(documentation).items())
    return table(("field", "what it is"), rows)


def attributes_of(documentation: str | None) -> dict[str, str]:
    """Return what a docstring says under `Attributes:`, by name."""
    section = re.search(r"^Attributes:\n((?:[ ]{4}.*\n?|\n)+)", prose(documentation), re.MULTILINE)
    if section is None:
        return {}
    found = {}
    for entry in re.split(r"\n(?=    \S)", section[1].rstrip("\n")):
        name, _, text = entry.strip().partition(":")
        found[name] = " ".join(text.split())
    return found


def _code(default: str) -> str:
    return default if default in {"required", "nothing", "none", "its defaults"} else f"`{default}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
