"""Strangers' plugins, as they lie in `tests/strangers`, for a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

STRANGERS = Path(__file__).resolve().parents[1] / "strangers"


def laid_out(names: tuple[str, ...], site: Path) -> dict[str, str]:
    """Lay the plugins out as an installer would, and return the environment that finds them."""
    for name in names:
        project = tomllib.loads((STRANGERS / name / "pyproject.toml").read_text())
        shutil.copytree(STRANGERS / name, site, dirs_exist_ok=True)
        info = site / f"tierce_{name}-1.0.dist-info"
        info.mkdir()
        about = project["project"]
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
        )
        points = about["entry-points"]["tierce.plugins"]
        lines = [f"{key} = {module}" for key, module in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[tierce.plugins]", *lines, ""]))
    path = os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))
    return {"PYTHONPATH": path}


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
