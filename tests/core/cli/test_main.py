"""`tierce` answers at once: what a command needs is imported when it runs."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import click
import pytest

import tierce
from tierce.cli.main import COMMANDS, LazyGroup, cli, main, mark_preformatted

HEAVY = (
    "lmdb",
    "yaml",
    "asyncio",
    "cattrs",
    "crc32c",
    "importlib.metadata",
    "tierce.config",
    "tierce.server",
    "tierce.process",
    "tierce.registry",
    "tierce.state",
    "tierce.volume",
    "tierce_engines",
    "tierce_iscsi",
    "tierce_jiva",
)


def imported_by(*arguments: str) -> list[str]:
    """Return which of HEAVY a run of the console entry imports, in a fresh interpreter."""
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print('|', [n for n in {HEAVY!r} if n in sys.modules]))\n"
        "from tierce.cli.main import main\n"
        f"main({list(arguments)!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names: list[str] = eval(done.stdout.rpartition("|")[2])
    return names


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["serve", "--help"],
        ["volume", "--help"],
        ["plugin", "--help"],
        ["config", "check", "--help"],
    ],
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments) == []


def test_help_lists_every_command_but_the_hidden_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    for name in COMMANDS:
        assert (f"\n  {name} " in listed) == (name != "docs")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"tierce, version {tierce.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["srve"], "No such command 'srve'"),
        (["--frob"], "No such option"),
        (["serve"], "Missing argument 'FILE'. (see `tierce serve --help`)"),
        (["plugin", "list", "--output", "xml"], "'xml' is not one of"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("tierce: error: ")
    assert said in error
    assert error.count("\n") == 1


def test_the_shell_is_answered_before_any_command_runs() -> None:
    environment = os.environ | {
        "_TIERCE_COMPLETE": "bash_complete",
        "COMP_WORDS": "tierce vol",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tierce.cli.main"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout == "plain,volume\n"


def test_a_raw_docstring_can_mark_what_is_preformatted() -> None:
    @click.group()
    def group() -> None:
        r"""A group.

        \b
        as   it   is
        """

    @group.command()
    def one() -> None:
        r"""A command.

        \b
        as   it   is
        """

    mark_preformatted(group)
    for command in (group, one):
        assert "\b\nas   it   is" in inspect.cleandoc(command.help or "")


def test_every_command_is_found() -> None:
    context = click.Context(cli)
    assert isinstance(cli, LazyGroup)
    assert cli.list_commands(context) == list(COMMANDS)
    assert all(cli.get_command(context, name) for name in COMMANDS)
    assert cli.get_command(context, "nothing") is None
