"""docs/reference/cli.md: every command with its arguments and options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from tierce.cli.main import cli
from tierce.cli.reference.markdown import page, table

_INTRODUCTION = """\
Commands with `--output` print a table, JSON or YAML. Errors are one line on standard error; the
exit codes are [here](exit-codes.md). Colour is used on a terminal only, and not if `NO_COLOR` is
set. `tierce completion SHELL` prints a completion script."""


def cli_page() -> str:
    """Return the page: hidden commands are left out."""
    return page(
        "Command line", _INTRODUCTION, *_command(cli, click.Context(cli, info_name="tierce"))
    )


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"## {context.command_path}\n\n```text\n{usage}\n```\n\n{help_text(command)}"
    yield table(("option", "default", "what it is"), _options(command, context))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            if one is not None and not one.hidden:
                yield from _command(one, click.Context(one, info_name=name, parent=context))


def help_text(command: click.Command) -> str:
    r"""Return a command's help as Markdown: what it marks with \b is preformatted."""
    parts = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            parts.append("```text\n" + paragraph.removeprefix("\b\n") + "\n```")
        else:
            parts.append(paragraph)
    return "\n\n".join(parts)


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str, str]]:
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        names = ", ".join(parameter.opts)
        value = "" if parameter.is_flag else f" {parameter.make_metavar(context)}"
        is_shown = parameter.show_default and not parameter.is_flag
        default = f"`{parameter.get_default(context)}`" if is_shown else ""
        needed = "required" if parameter.required else default
        yield f"`{names}{value}`", needed, parameter.help or ""
