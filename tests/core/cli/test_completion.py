"""`tierce completion` prints a script for each shell."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from tierce.cli.completion import VARIABLE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_tierce(tierce: Callable[..., Any], shell: str) -> None:
    if shell == "bash" and not shutil.which("bash"):
        pytest.skip("bash is not installed, and click asks it for its version")
    done = tierce("completion", shell)
    assert done.code == 0
    assert f"{VARIABLE}={shell}_complete" in done.out


def test_another_shell_is_refused(tierce: Callable[..., Any]) -> None:
    assert tierce("completion", "csh").code == 2
