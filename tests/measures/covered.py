"""Coverage by package: what `make check` shows, and what it ends with an error for.

A whole tree that is covered to 95 % may have a package that nobody tries; so each has the floor.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from measures.tree import ROOT, package_of

#: The share of lines, in percent, that plain `pytest` must run of each package.
FLOOR = 95.0


@attrs.frozen
class Share:
    """How much of a package is run.

    Attributes:
        package: Its name.
        lines: Lines that can be run.
        missing: Those of them that are not.
    """

    package: str
    lines: int
    missing: int

    @property
    def percent(self) -> float:
        """The share that is run."""
        return 100.0 * (self.lines - self.missing) / self.lines if self.lines else 100.0


def shares(report: Mapping[str, Any]) -> list[Share]:
    """Return the share of each package of what `coverage json` has reported."""
    lines: dict[str, int] = {}
    missing: dict[str, int] = {}
    for name, file in report["files"].items():
        package, summary = package_of(ROOT / name), file["summary"]
        lines[package] = lines.get(package, 0) + summary["num_statements"]
        missing[package] = missing.get(package, 0) + summary["missing_lines"]
    return [Share(package, lines[package], missing[package]) for package in sorted(lines)]


def main() -> int:
    """Print the share of each package; fail if one is below the floor."""
    parser = argparse.ArgumentParser(prog="python -m measures.covered", description=__doc__)
    parser.add_argument("report", type=Path, help="what `coverage json` has written")
    report = json.loads(parser.parse_args().report.read_text())
    low = []
    for share in shares(report):
        is_low = share.percent < FLOOR
        low += [share.package] if is_low else []
        mark = f"  below {FLOOR:.0f} %" if is_low else ""
        print(f"{share.package:24} {share.lines:5} lines {share.percent:6.1f} %{mark}")
    if low:
        print(f"tests run too little of {', '.join(low)}", file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
