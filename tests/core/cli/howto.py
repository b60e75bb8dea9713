"""The plugin that docs/howto/write-a-plugin.md writes, as files, from the page itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from serving.strangers import enter

FOLDER = Path(__file__).parents[3] / "docs" / "howto"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a language on a page."""
    text = (FOLDER / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def howto_files() -> dict[str, str]:
    """Return the files by name: the blocks of one name come one after another."""
    text = (FOLDER / "write-a-plugin.md").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for language, name, body in re.findall(
        r"^```(python|toml) ?(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        assert name or language == "toml", "a block of code that no file holds"
        found.setdefault(name or "pyproject.toml", []).append(body)
    return {name: "\n\n".join(bodies) for name, bodies in found.items()}


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write the files, as their author would have them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def install(files: Mapping[str, str], site: Path) -> None:
    """Put the package where an installer would, with what it says of itself."""
    write(files, site)
    enter(site)
