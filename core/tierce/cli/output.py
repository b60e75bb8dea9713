"""What every command shares: `--output`, how values are shown, and how errors end a command."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO, TypeVar

import click

from tierce.errors import TierceError, explain, harmless

#: What `--output` takes.
FORMATS = ("table", "json", "yaml")

#: Width of a table when standard output is no terminal: wide enough that nothing is cut.
WIDTH_WITHOUT_TERMINAL = 10_000
#: The narrowest a table's last column gets before it is wrapped into.
LAST_COLUMN_WIDTH_MIN = 24

#: Exit codes beside those of `tierce.errors`. Documented in docs/reference/exit-codes.md.
EXIT_MACHINE = 1
EXIT_USAGE = 2
EXIT_UNHEALTHY = 8
EXIT_BUG = 70  # sysexits.h: EX_SOFTWARE
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
EXIT_BROKEN_PIPE = 1  # as click, which meets most of them

NOT_ANSWERED = "nothing was done: the question was not answered with yes (--yes answers it)"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def output_option(command: _Command) -> _Command:
    """Give a command the option `--output`, as its argument `output`."""
    return click.option(
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How to print the answer.",
    )(command)


def show(value: Any, output: str = "table", *, columns: Sequence[str] = ()) -> None:
    """Print a command's answer on standard output.

    Args:
        value: A mapping, or a list of mappings; JSON values only.
        output: One of FORMATS.
        columns: For a table of several rows: which keys, in which order. None: all, in the order
            of the first row.
    """
    click.echo(render(value, output, columns=columns, width=_width()), nl=False)


def render(
    value: Any, output: str, *, columns: Sequence[str] = (), width: int = WIDTH_WITHOUT_TERMINAL
) -> str:
    """Return the text that `show` prints, with its final line feed; empty for an empty table."""
    if output == "json":
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    if output == "yaml":
        import yaml  # noqa: PLC0415 - `tierce --help` does without it

        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    assert output == "table", f"unknown output {output!r}"
    if isinstance(value, Mapping):
        lines = _pairs(value)
    elif value:
        lines = _table(value, columns or tuple(value[0]), width)
    else:
        lines = []
    return "".join(f"{line}\n" for line in lines)


def has_colour(stream: TextIO) -> bool:
    """True if a stream may be coloured: a terminal, and NO_COLOR (no-color.org) unset or empty."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def run(command: Callable[[], Any]) -> int:
    """Run a command, report what it raises on standard error, and return its exit code.

    What is expected to go wrong is one line; anything else is a bug, and says so.
    """
    try:
        result = command()
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        is_question = isinstance(error, click.Abort) and error.__cause__ is None
        _complain(NOT_ANSWERED if is_question else "interrupted")
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        _complain(error.format_message() + _usage_hint(error))
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except (TierceError, OSError) as error:
        # What is not ours is the machine's: a folder that may not be read, a full disk.
        _complain(explain(error))
        return error.exit_code if isinstance(error, TierceError) else EXIT_MACHINE
    except Exception as error:  # noqa: BLE001 - the last line of defence: it is told, not hidden
        traceback.print_exc()
        _complain(f"this is a bug in Tierce, please report it: {explain(error)}")
        return EXIT_BUG
    return result if isinstance(result, int) else 0


def _complain(message: str) -> None:
    line = " ".join(harmless(message).replace("\t", "").split("\n"))
    prefix = "tierce: error:"
    if has_colour(sys.stderr):
        prefix = click.style(prefix, fg="red", bold=True)
    print(f"{prefix} {line}", file=sys.stderr)


def _usage_hint(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f" (see `{error.ctx.command_path} --help`)"
    return ""


def _width() -> int:
    if not sys.stdout.isatty():
        return WIDTH_WITHOUT_TERMINAL
    return shutil.get_terminal_size().columns


def _pairs(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Show a mapping as aligned "key  value" lines, what lies in it indented below."""
    width = max((len(key) for key, item in value.items() if not _is_nested(item)), default=0)
    lines = []
    for key, item in value.items():
        if _is_nested(item):
            lines.append(f"{indent}{key}:")
            lines += _nested(item, indent + "  ")
        else:
            lines.append(f"{indent}{key:{width}}  {cell(item)}".rstrip())
    return lines


def _nested(item: Any, indent: str) -> list[str]:
    if isinstance(item, Mapping):
        return _pairs(item, indent)
    lines = []
    for element in item:
        if isinstance(element, Mapping):
            block = _pairs(element, indent + "  ")
            block[:1] = [f"{indent}- {line.lstrip()}" for line in block[:1]]
            lines += block
        else:
            lines.append(f"{indent}- {cell(element)}")
    return lines


def _is_nested(item: Any) -> bool:
    """True for what has no place on one line: a mapping, or a list that holds one."""
    if isinstance(item, Mapping):
        return bool(item)
    return isinstance(item, list | tuple) and any(isinstance(one, Mapping) for one in item)


def cell(item: Any) -> str:
    """Return a value as one line of a table shows it."""
    if item is None or item in ("", [], (), {}):
        return "-"
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, list | tuple):
        return ", ".join(cell(one) for one in item)
    if isinstance(item, Mapping):
        return json.dumps(item, ensure_ascii=False)
    return harmless(" ".join(str(item).split("\n")))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], width: int) -> list[str]:
    """Show rows under a heading. Only the last column is wrapped, to `width`."""
    cells = [[column.upper() for column in columns]]
    cells += [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    start = sum(widths[:-1]) + 2 * (len(columns) - 1)
    last = max(width - start, LAST_COLUMN_WIDTH_MIN)
    lines = []
    for row in cells:
        head = "".join(f"{text:{size}}  " for text, size in zip(row[:-1], widths, strict=False))
        parts = textwrap.wrap(row[-1], last) or [""]
        lines.append((head + parts[0]).rstrip())
        lines += [" " * start + part for part in parts[1:]]
    return lines
