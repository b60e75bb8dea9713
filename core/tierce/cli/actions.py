"""`tierce volume actions` and `tierce volume act`: managing the parts of a volume that runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from tierce.actions import is_traceparent
from tierce.cli.data_folder import find_data_dir, server_options
from tierce.cli.output import output_option, show
from tierce.errors import UsageError

_COLUMNS = ("part", "action", "arguments", "answers", "summary")


@click.command()
@click.argument("name")
@server_options
@output_option
def actions(name: str, data_dir: Path | None, config: Path | None, output: str) -> None:
    """List what can be asked of the parts of the volume NAME: its engine, filters, front end,
    replicas, and its target.

    In brackets is what may be left out. With --output json each action has the JSON Schema of its
    arguments and of its answer.
    """
    from tierce.process.client import ask  # noqa: PLC0415 - `tierce volume --help` does without it

    data = find_data_dir(data_dir, config)
    rows, answer = ask(data, {"do": "actions", "volume": name})
    rows.sort(key=lambda row: str(row["part"]))
    show(rows if output != "table" else [_row(row) for row in rows], output, columns=_COLUMNS)
    for missing in answer.get("missing", []):
        print(f"tierce: {missing} is not running: its actions are not listed", file=sys.stderr)


@click.command()
@click.argument("name")
@click.argument("part")
@click.argument("action")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE|JSON]...")
@server_options
@output_option
def act(
    name: str,
    part: str,
    action: str,
    arguments: tuple[str, ...],
    data_dir: Path | None,
    config: Path | None,
    output: str,
) -> None:
    """Let PART of the volume NAME carry out ACTION; `tierce volume actions NAME` lists them.

    A VALUE that is JSON is taken as such where the argument is not text; or all arguments as one
    JSON object. Relative paths start from the current folder. Progress is told on standard error.
    Ctrl-C cancels what is not done yet. With TRACEPARENT in the environment the action is told as
    a part of that trace.
    """
    from tierce.process.client import ask  # noqa: PLC0415 - `tierce volume --help` does without it

    words, values = split_arguments(arguments)
    request = {
        "do": "act",
        "volume": name,
        "part": part,
        "action": action,
        "arguments": values,
        "words": words,
        "base": str(Path.cwd()),
        "traceparent": _traceparent(),
    }
    _rows, result = ask(find_data_dir(data_dir, config), request, told=_tell)
    if result or output != "table":
        show(result, output)
    else:
        click.echo(f"volume {name}: {part}: {action}: done")


def split_arguments(arguments: tuple[str, ...]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what was typed as KEY=VALUE, and what JSON objects say.

    Raises:
        UsageError: One is neither.
    """
    words: dict[str, str] = {}
    values: dict[str, Any] = {}
    for one in arguments:
        if one.lstrip().startswith("{"):
            try:
                values |= json.loads(one)
            except ValueError as error:
                raise UsageError(f"argument {one}: not JSON: {error}") from error
            continue
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise UsageError(f"argument {one!r}: expected KEY=VALUE or a JSON object")
        words[key] = value
    return words, values


def _traceparent() -> str:
    """Return the span that a script runs in, by OpenTelemetry's convention. What is none of W3C's
    is passed over, as their standard has it."""
    text = os.environ.get("TRACEPARENT", "")
    return text if is_traceparent(text) else ""


def _tell(row: dict[str, Any]) -> None:
    """Tell how far it is, unless it has only begun."""
    text = " ".join(str(row["text"]).split())
    if row["fraction"] or text:
        print(f"tierce: {row['fraction']:.0%} {text}".rstrip(), file=sys.stderr, flush=True)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "arguments": " ".join(_arguments(row["arguments"])),
        "answers": ", ".join(row["result"]["properties"]),
    }


def _arguments(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    return [
        f"{name}=..." if name in required else f"[{name}={one.get('default', '...')}]"
        for name, one in schema["properties"].items()
    ]
