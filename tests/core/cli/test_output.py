"""How answers are printed, and how errors end a command."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tierce import ConfigError, ConflictError, FormatError, PluginError, TemporaryError, UsageError
from tierce.cli import output
from tierce.cli.output import cell, render, run, show

ROWS = [
    {"name": "demo", "size": "1 GiB", "up": True, "note": ""},
    {"name": "other", "size": "64 KiB", "up": False, "note": "a long note of many words"},
]


def test_rows_are_aligned_under_a_heading() -> None:
    assert render(ROWS, "table", columns=("name", "size", "up")) == (
        "NAME   SIZE    UP\ndemo   1 GiB   yes\nother  64 KiB  no\n"
    )


def test_all_columns_are_shown_if_none_is_named() -> None:
    assert render(ROWS, "table").startswith("NAME   SIZE    UP   NOTE\n")


def test_the_last_column_is_wrapped_to_the_terminal() -> None:
    lines = render(ROWS, "table", columns=("name", "note"), width=31).splitlines()
    assert lines == ["NAME   NOTE", "demo   -", "other  a long note of many", "       words"]


def test_no_rows_are_no_lines() -> None:
    assert render([], "table", columns=("name",)) == ""


def test_a_mapping_is_shown_as_pairs_with_its_parts_below() -> None:
    value = {
        "name": "demo",
        "empty": {},
        "tags": ["a", "b"],
        "usage": {"url": "iscsi://"},
        "replicas": [{"name": "r1", "state": None}, "odd"],
    }
    assert render(value, "table") == (
        "name   demo\n"
        "empty  -\n"
        "tags   a, b\n"
        "usage:\n"
        "  url  iscsi://\n"
        "replicas:\n"
        "  - name   r1\n"
        "    state  -\n"
        "  - odd\n"
    )


@pytest.mark.parametrize("value", [ROWS, {"a": [1, {"b": None}], "ü": "ü"}, []])
def test_json_and_yaml_are_read_back_equal(value: Any) -> None:
    assert json.loads(render(value, "json")) == value
    assert yaml.safe_load(render(value, "yaml")) == value


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (None, "-"),
        (0, "0"),
        (False, "no"),
        ("a\nb", "a b"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ([1, None], "1, -"),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_a_cell_is_one_line(item: Any, text: str) -> None:
    assert cell(item) == text


def test_an_answer_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    show({"a": 1}, "json")
    assert capsys.readouterr() == ('{\n  "a": 1\n}\n', "")


def _interrupted() -> click.Abort:
    """What click makes of Ctrl-C within a command."""
    error = click.Abort()
    error.__cause__ = KeyboardInterrupt()
    return error


def _raise(error: BaseException) -> Callable[[], Any]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("no such volume"), 2, "no such volume"),
        (ConfigError("wrong", file="f.yaml", line=3), 3, "f.yaml:3: wrong"),
        (PluginError("broken", plugin="p", package="k"), 4, "plugin 'p' (package k): broken"),
        (FormatError("torn", path=Path("/x")), 5, "/x: torn"),
        (TemporaryError("later"), 6, "later"),
        (ConflictError("two\nlines"), 7, "two lines"),
        (click.UsageError("bad option"), 2, "bad option"),
        (click.Abort(), 130, output.NOT_ANSWERED),
        (_interrupted(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "/x"), 1, "/x: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (TemporaryError("it said \x1b[2J"), 6, "it said \\x1b[2J"),
    ],
)
def test_what_is_expected_to_go_wrong_is_one_line_and_a_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    assert run(_raise(error)) == code
    assert capsys.readouterr() == ("", f"tierce: error: {said}\n")


def test_anything_else_says_that_it_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_raise(ZeroDivisionError("by zero"))) == output.EXIT_BUG
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert error.endswith(
        "tierce: error: this is a bug in Tierce, please report it: ZeroDivisionError: by zero\n"
    )


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (3, 3), ("text", 0)])
def test_a_command_may_say_its_code(result: object, code: int) -> None:
    assert run(lambda: result) == code


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "from tierce.cli.main import main; main(['config', 'schema'])"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (output.EXIT_BROKEN_PIPE, b"")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stderr", coloured)
    run(_raise(UsageError("wrong")))
    assert "\x1b[31m" in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stderr", plain)
    run(_raise(UsageError("wrong")))
    assert plain.getvalue() == "tierce: error: wrong\n"
    assert not output.has_colour(io.StringIO())
