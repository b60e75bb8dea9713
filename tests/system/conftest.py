"""Real servers on folders of their own; what a machine lacks is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from serving.libiscsi import library


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*names): programs, `libiscsi`, `root` or device files"
    )


def is_missing(name: str) -> bool:
    if name == "libiscsi":
        return library() is None
    if name == "root":
        return os.geteuid() != 0
    if name.startswith("/"):
        return not Path(name).exists()
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return shutil.which(name, path=path) is None


def refuse(reason: str) -> NoReturn:
    """Skip a test that this machine can't run; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def needed(request: pytest.FixtureRequest) -> None:
    """Skip a test whose needs this machine can't meet; in CI that is a failure."""
    wanted = [name for mark in request.node.iter_markers("needs") for name in mark.args]
    missing = [name for name in wanted if is_missing(name)]
    if missing:
        refuse(f"needs {', '.join(missing)} (scripts/system-packages installs what can be)")
