"""Sizes are of what stands there."""

from __future__ import annotations

from measures.sizes import circles, describe, measure
from measures.tree import ROOT


def test_lines_of_modules_and_of_functions_are_counted() -> None:
    here = ROOT / "tests/measures/test_sizes.py"
    sizes = measure([here])
    assert sizes.lines == len(here.read_text().splitlines())
    assert len(sizes.functions) == 3
    (own,) = [lines for name, lines in sizes.functions.items() if "are_counted" in name]
    assert own == 7


def test_the_middle_and_the_largest_are_told() -> None:
    told = describe("modules", {f"{number}": number for number in range(1, 12)})
    assert told == "modules: 11, median 6, nine of ten up to 11, largest 11 (11)"


def test_no_package_has_a_circle() -> None:
    assert circles("tierce_engines") == 0
