"""Documents point at what exists, and every page can be reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tierce.config import load_config

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def prose(page: Path) -> str:
    """Return a page without its code."""
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), link
        if anchor and to.suffix == ".md":
            assert anchor in anchors(to), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in LINK.findall(prose(page)):
            to = (page.parent / link.partition("#")[0]).resolve()
            if to.suffix == ".md" and to.exists():
                ahead.append(to)
    assert {page for page in PAGES if "docs" in page.parts} <= reached


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("examples/*.yaml")), ids=lambda path: str(path.name)
)
def test_every_example_is_a_valid_config(path: Path) -> None:
    assert load_config(path).volumes


@pytest.mark.parametrize(
    "path",
    re.findall(r"`(tests/[\w/]+(?:\.py)?/?)`", (ROOT / "docs/explanation/promises.md").read_text()),
)
def test_every_test_that_a_promise_names_exists(path: str) -> None:
    assert (ROOT / path).exists()
