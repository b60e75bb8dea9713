"""The project's files, for who measures them."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    """Return the files that are committed or about to be, empty outside a git checkout."""
    words = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def python_files(*folders: str) -> list[Path]:
    """Return the modules below these folders of the project."""
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and any(path.is_relative_to(ROOT / one) for one in folders)
    ]


def package_of(module: Path) -> str:
    """Return the package that a product's module belongs to: the first folder of core or of a
    plugin that it lies in, as its users import it."""
    parts = module.relative_to(ROOT).parts
    names = parts[1:-1] if parts[0] == "core" else parts[2:-1]
    return ".".join(names)


def place_of_test(module: Path) -> Path:
    """Return where a product's module has its test module, as the tree is mirrored."""
    parts = module.relative_to(ROOT).parts
    packages = parts[2:-1] if parts[0] == "core" else parts[3:-1]
    first = "core" if parts[0] == "core" else parts[1]
    return ROOT.joinpath("tests", first, *packages, f"test_{module.name}")
