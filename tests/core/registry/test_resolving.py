"""A factory's name leads to the thing, or to one error."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tierce import PluginError
from tierce.registry import resolve


def test_a_reference_is_imported() -> None:
    assert resolve("tierce.errors:PluginError") is PluginError


def test_a_reference_may_lead_into_a_class() -> None:
    assert resolve("pathlib:Path.cwd") == Path.cwd


@pytest.mark.parametrize("reference", ["", "a", "a:", ":a", "a.b", "a b:c", "a:b;c", "..a:b"])
def test_what_is_no_reference_is_refused(reference: str) -> None:
    with pytest.raises(PluginError, match="form"):
        resolve(reference)


def test_a_missing_module_is_an_error_that_names_it() -> None:
    with pytest.raises(PluginError, match=r"can't import tierce_nowhere\.x"):
        resolve("tierce_nowhere.x:y")


def test_a_missing_name_is_an_error_that_names_it() -> None:
    with pytest.raises(PluginError, match="pathlib has no 'nothing'"):
        resolve("pathlib:nothing")


def test_whatever_an_import_raises_is_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tierce_failing.py").write_text("1 / 0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(PluginError) as caught:
        resolve("tierce_failing:x")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.plugin == "tierce_failing"


def test_what_the_system_refuses_an_import_is_told_without_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tierce_reading.py").write_text("open('/nowhere/to/be/found')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(PluginError) as caught:
        resolve("tierce_reading:x")
    assert str(caught.value).endswith(
        "can't import tierce_reading: /nowhere/to/be/found: No such file or directory"
    )
