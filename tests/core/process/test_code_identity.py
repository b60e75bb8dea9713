"""Which code this is: another core, or another version of a plugin, is another code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import tierce
from tierce.process.code_identity import code_identity, core_digest

PRINT = "from tierce.process.code_identity import core_digest; print(core_digest())"


def digest_of(core: Path) -> str:
    """Return the digest that the copy of core in this folder has of itself."""
    code = f"import sys; sys.path.insert(0, {str(core)!r}); {PRINT}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_changed_line_of_core_is_other_code_and_a_copy_of_it_is_not(tmp_path: Path) -> None:
    package = tmp_path / "tierce"
    shutil.copytree(
        Path(tierce.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    assert digest_of(tmp_path) == core_digest()
    with (package / "process" / "plan.py").open("a") as file:
        file.write("# Another version.\n")
    assert digest_of(tmp_path) != core_digest()


def test_another_version_of_a_plugin_is_other_code_and_another_order_is_not() -> None:
    assert code_identity([("a", "1"), ("b", "1")]) == code_identity([("b", "1"), ("a", "1")])
    assert code_identity([("a", "1")]) != code_identity([("a", "2")])
