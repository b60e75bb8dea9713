"""Coverage is kept by package: one that nobody tries is not hidden by the others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from measures.covered import Share, main, shares


def report(**files: tuple[int, int]) -> dict[str, object]:
    return {
        "files": {
            f"core/tierce/{name.replace('__', '/')}.py": {
                "summary": {"num_statements": lines, "missing_lines": missing}
            }
            for name, (lines, missing) in files.items()
        }
    }


def test_files_of_a_package_are_counted_together() -> None:
    told = report(state__lock=(90, 0), state__store=(10, 5), spec=(10, 1))
    assert shares(told) == [Share("tierce", 10, 1), Share("tierce.state", 100, 5)]


@pytest.mark.parametrize(("missing", "code"), [(5, 0), (6, 1)])
def test_a_package_below_the_floor_is_named_and_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: int,
    code: int,
) -> None:
    file = tmp_path / "coverage.json"
    file.write_text(json.dumps(report(state__lock=(100, missing), spec=(1000, 0))))
    monkeypatch.setattr(sys, "argv", ["covered", str(file)])
    assert main() == code
    out, err = capsys.readouterr()
    assert f"tierce.state               100 lines   {100 - missing:.1f} %" in out
    assert ("tierce.state" in err) == bool(code)
