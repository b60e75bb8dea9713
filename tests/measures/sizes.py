"""Sizes of the tree: `make sizes` prints what a reader has to hold, and what holds it."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import grimp

from measures.tree import ROOT, python_files

#: The folders of the product; its packages are found in them.
PRODUCT = ("core", "plugins")


@attrs.frozen
class Sizes:
    """What was counted.

    Attributes:
        modules: Lines of each module, by its place.
        functions: Lines of each function, by its module and name.
    """

    modules: dict[str, int]
    functions: dict[str, int]

    @property
    def lines(self) -> int:
        """All lines together."""
        return sum(self.modules.values())


def measure(files: Sequence[Path]) -> Sizes:
    """Count the lines of modules and of their functions."""
    modules: dict[str, int] = {}
    functions: dict[str, int] = {}
    for path in files:
        source, name = path.read_text(), str(path.relative_to(ROOT))
        modules[name] = len(source.splitlines())
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                functions[f"{name}:{node.lineno} {node.name}"] = node.end_lineno - node.lineno + 1
    return Sizes(modules, functions)


def circles(package: str) -> int:
    """Return how many imports close a circle between the children of a package, or of one below it;
    imports for types alone count."""
    graph = grimp.build_graph(package)
    return sum(
        len(graph.nominate_cycle_breakers(one))
        for one in (package, *graph.find_descendants(package))
        if graph.find_children(one)
    )


def describe(what: str, values: dict[str, int]) -> str:
    """Return one line: count, median, nine tenths, largest."""
    numbers = sorted(values.values())
    tenths = statistics.quantiles(numbers, n=10)
    largest = max(values, key=lambda name: values[name])
    middle = f"median {statistics.median(numbers):.0f}, nine of ten up to {tenths[-1]:.0f}"
    return f"{what}: {len(numbers)}, {middle}, largest {values[largest]} ({largest})"


def main() -> int:
    """Print them."""
    product, tests = measure(python_files(*PRODUCT)), measure(python_files("tests"))
    print(describe("modules", product.modules))
    print(describe("functions", product.functions))
    ratio = tests.lines / product.lines
    print(f"lines: {product.lines} of product, {tests.lines} of tests ({ratio:.2f} to 1)")
    print(describe("test modules", tests.modules))
    packages = ["tierce", *(f"tierce_{path.name}" for path in (ROOT / "plugins").iterdir())]
    found = {package: circles(package) for package in sorted(packages)}
    print("circles: " + ", ".join(f"{name} {count}" for name, count in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
