"""What a mutation changes, and what it leaves alone."""

from __future__ import annotations

import ast
import textwrap

import pytest

from measures.mutants import pick, steps
from measures.mutations import mutations
from measures.tree import ROOT, package_of, place_of_test, python_files


def mutants(source: str) -> list[str]:
    """Return what a piece of code becomes."""
    text = textwrap.dedent(source).encode()
    return [one.apply(text).decode() for one in mutations(text)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a < b", ["a <= b"]),
        ("a <= b < c", ["a < b < c", "a <= b <= c"]),
        ("a in b", ["a not in b"]),
        ("(a) is not (b)", ["(a) is (b)"]),
        ("a and b or c", ["a or b or c", "a and b and c"]),
        ("not a", ["(a)"]),
        ("a + b", ["a - b"]),
        ("(a + b) * c", ["(a - b) * c", "(a + b) + c"]),
        ("a = True", ["a = False"]),
        ("a = 41", ["a = 42"]),
        ("a = b", []),
        ("a += b", ["pass"]),
        ("f(a)", ["pass"]),
        ("raise ValueError(a < b)", ["pass"]),
        ('"text"', []),
        ('f"{a + 1}"', []),
        ("assert a < b, 5", []),
    ],
)
def test_each_kind_of_code_has_its_changes(before: str, after: list[str]) -> None:
    assert mutants(before) == after


def test_an_answer_becomes_none_and_a_condition_its_opposite() -> None:
    assert mutants("def f(a):\n    if a.b:\n        return a\n") == [
        "def f(a):\n    if not (a.b):\n        return a\n",
        "def f(a):\n    if a.b:\n        return None\n",
    ]


def test_what_describes_and_what_is_for_types_is_left_alone() -> None:
    assert mutants("a: Literal[5] = option(minimum=5)") == []
    assert mutants("if TYPE_CHECKING:\n    f()\n") == []
    assert mutants("def f(a: X[5] = 6) -> Y[7]: ...") == ["def f(a: X[5] = 7) -> Y[7]: ..."]


def test_a_change_is_told_with_its_line() -> None:
    source = b"a = 1\nif b < c:  # why\n    pass\n"
    (one,) = [one for one in mutations(source) if one.line == 2]
    assert one.describe(source) == "if b[ < => <= ]c: # why"


def test_every_change_of_the_product_is_one_that_python_reads() -> None:
    for path in python_files("core/tierce/volume"):
        source = path.read_bytes()
        for one in mutations(source):
            assert ast.dump(ast.parse(one.apply(source))) != ast.dump(ast.parse(source))


def test_the_same_seed_picks_the_same_mutants() -> None:
    modules = python_files("core/tierce/state")
    assert pick(modules, 5, 7) == pick(modules, 5, 7) != pick(modules, 5, 8)


def test_the_nearest_tests_are_asked_first() -> None:
    module = ROOT / "core/tierce/state/lock.py"
    assert place_of_test(module) == ROOT / "tests/core/state/test_lock.py"
    assert steps(module.relative_to(ROOT)) == [
        ["tests/core/state/test_lock.py"],
        ["tests/core/state"],
        ["tests"],
    ]


def test_a_module_belongs_to_the_package_that_it_is_imported_from() -> None:
    assert package_of(ROOT / "core/tierce/spec.py") == "tierce"
    assert package_of(ROOT / "core/tierce/cli/reference/calls.py") == "tierce.cli.reference"
    assert package_of(ROOT / "plugins/iscsi/tierce_iscsi/scsi/vpd.py") == "tierce_iscsi.scsi"
