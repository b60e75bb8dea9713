"""Strangers' plugins, as they lie in `tests/strangers`, for a real server."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

STRANGERS = Path(__file__).resolve().parents[1] / "strangers"


def lay_out(names: Iterable[str], site: Path) -> None:
    """Lay plugins out as an installer would."""
    for name in names:
        shutil.copytree(STRANGERS / name, site, dirs_exist_ok=True)
        enter(site)


def enter(site: Path) -> None:
    """Have the package that was copied to `site` found there, by what its pyproject says."""
    file = site / "pyproject.toml"
    about = tomllib.loads(file.read_text())["project"]
    file.unlink()
    info = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
    (info / "METADATA").write_text(head)
    points = about["entry-points"]["tierce.plugins"].items()
    lines = ["[tierce.plugins]", *(f"{name} = {module}" for name, module in points), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))


def install(folder: Path, source: Path, into: Path) -> None:
    """Copy a plugin's folder to `source`, and install it from there as an author would."""
    shutil.copytree(folder, source)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--target", str(into)),
            str(source),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
