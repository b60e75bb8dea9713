"""The console entry `tierce`: a group whose commands are imported when they are run.

`tierce --help` must answer at once: the command modules that it lists import click and little
else at their top (tests/core/cli/test_main.py holds that), and what a command needs is imported
when it runs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

import click

import tierce
from tierce.cli.output import run
from tierce.cli.streams import secure_streams

#: Name of a command -> where it lies, in the order of `--help`.
COMMANDS: Mapping[str, str] = {
    "serve": "tierce.cli.serve:serve",
    "volume": "tierce.cli.volume:volume",
    "events": "tierce.cli.events:events",
    "config": "tierce.cli.config:config",
    "plugin": "tierce.cli.plugin:plugin",
    "completion": "tierce.cli.completion:completion",
    "docs": "tierce.cli.docs:docs",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command), f"{place} is no command"
        mark_preformatted(command)
        return command


def mark_preformatted(command: click.Command) -> None:
    r"""Put click's mark for a preformatted paragraph, a backspace, where a help text says \b: a
    docstring with a backslash is a raw one, and can't hold the character itself."""
    if command.help:
        command.help = command.help.replace("\\b\n", "\b\n")
    if isinstance(command, click.Group):
        for one in command.commands.values():
            mark_preformatted(one)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: docs/reference/exit-codes.md. NO_COLOR is respected.",
)
@click.version_option(tierce.__version__, prog_name="tierce")
def cli() -> None:
    """Container-attached block storage: replicated volumes, plugins all the way down."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name, and exit with its code.

    Args:
        arguments: What follows the program's name; None takes those of the process.
    """
    secure_streams()
    sys.exit(run(lambda: cli.main(arguments, prog_name="tierce", standalone_mode=False)))


if __name__ == "__main__":
    main()
