"""`tierce volume ...`: commands to the running server."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from tierce.cli.actions import act, actions
from tierce.cli.data_folder import find_data_dir, server_options
from tierce.cli.journal import journal
from tierce.cli.output import EXIT_UNHEALTHY, output_option, show
from tierce.cli.top import top
from tierce.cli.trace import trace
from tierce.cli.why import why
from tierce.errors import UsageError

_COLUMNS = ("health", "name", "size", "engine", "state", "since", "owner", "url", "why")


@click.group()
def volume() -> None:
    """Make, list, show and delete volumes of the running server.

    The server is found by its data folder: --data-dir, or that of --config, or
    TIERCE_DATA_DIR, or ./tierce-data.
    """


volume.add_command(act)
volume.add_command(actions)
volume.add_command(trace)
volume.add_command(journal)
volume.add_command(top)
volume.add_command(why)


@volume.command()
@click.argument("name")
@click.option("--size", required=True, help="For example 1GiB.")
@click.option("--engine", required=True, help="What keeps the bytes; see `tierce plugin list`.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE|JSON",
    help="An option of the engine; a VALUE that is JSON is taken as such. Or all as one object.",
)
@click.option("--frontend", help="What serves it: iscsi, if neither this nor --export is given.")
@click.option(
    "--frontend-option",
    "frontend_options",
    multiple=True,
    metavar="KEY=VALUE|JSON",
    help="An option of the volume for its front end.",
)
@click.option(
    "--export",
    "exports",
    multiple=True,
    metavar="FRONTEND[:ro]|JSON",
    help="One of several ways to it, in place of --frontend; one writes at most. As JSON with its "
    'options: {"frontend": "iscsi", "access": "ro", "options": {...}}.',
)
@click.option("--block-size", type=int, default=512, show_default=True, help="512 or 4096.")
@server_options
@output_option
def create(
    name: str,
    size: str,
    engine: str,
    options: tuple[str, ...],
    frontend: str | None,
    frontend_options: tuple[str, ...],
    exports: tuple[str, ...],
    block_size: int,
    data_dir: Path | None,
    config: Path | None,
    output: str,
) -> None:
    """Make the volume NAME and serve it. It belongs to the state, not to the config file.

    Relative paths in options start from the current folder.
    """
    mapping = {
        "name": name,
        "size": int(size) if size.isascii() and size.isdigit() else size,
        "block_size": block_size,
        "engine": engine,
        "options": parse_options(options),
        **served_by(frontend, frontend_options, exports),
    }
    request = {"do": "create", "volume": mapping, "base": str(Path.cwd())}
    _rows, made = _ask(find_data_dir(data_dir, config), request)
    show(made, output)


@volume.command("list")
@click.option(
    "--check",
    is_flag=True,
    help="End with code 8 if a volume that is wanted is not healthy; name those on standard error.",
)
@server_options
@output_option
def list_volumes(check: bool, data_dir: Path | None, config: Path | None, output: str) -> int:
    """List the volumes that the server knows: how each is (docs/reference/states.md), since when,
    and why."""
    rows, _answer = _ask(find_data_dir(data_dir, config), {"do": "list"})
    show(_table(rows) if output == "table" else rows, output, columns=_COLUMNS)
    unhealthy = [row for row in rows if row["wanted"] and row["health"] != "healthy"]
    if not check or not unhealthy:
        return 0
    named = ", ".join(f"{row['name']} ({row['health']})" for row in unhealthy)
    print(f"tierce: {len(unhealthy)} of {len(rows)} volumes not healthy: {named}", file=sys.stderr)
    return EXIT_UNHEALTHY


def _table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows as people read them."""
    # Loaded here, so that `tierce volume --help` stays quick.
    from tierce.config.quantity import format_size  # noqa: PLC0415

    return [
        {
            **row,
            "size": format_size(row["size"]) if isinstance(row["size"], int) else row["size"],
            "why": "; ".join(filter(None, (row["why"], row["todo"]))),
        }
        for row in rows
    ]


@volume.command("show")
@click.argument("name")
@server_options
@output_option
def show_volume(name: str, data_dir: Path | None, config: Path | None, output: str) -> None:
    """Show all about the volume NAME: who owns it, where each setting came from, how to use it,
    its processes and replicas, and its statistics."""
    _rows, answer = _ask(find_data_dir(data_dir, config), {"do": "show", "name": name})
    show(answer, output)


@volume.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--without",
    multiple=True,
    metavar="REPLICA",
    help="A part that is lost or damaged, to be left alone: it keeps the rest from being deleted "
    "otherwise.",
)
@click.option("--cancel", is_flag=True, help="Keep a volume that waits to be deleted.")
@server_options
def delete(
    name: str,
    yes: bool,
    without: tuple[str, ...],
    cancel: bool,
    data_dir: Path | None,
    config: Path | None,
) -> None:
    """Delete the volume NAME and all its data.

    Nothing goes before all of it is there and says that it is deleted: if a disk is missing, the
    deletion waits for it, and can be taken back meanwhile.
    """
    data = find_data_dir(data_dir, config)
    if cancel:
        if without:
            raise UsageError("--cancel keeps the whole volume: leave --without out")
        _ask(data, {"do": "cancel-delete", "name": name})
        click.echo(f"volume {name} is kept")
        return
    if not yes:
        click.confirm(f"Delete volume {name} and all its data?", abort=True)
    _ask(data, {"do": "delete", "name": name, "without": list(without)})
    click.echo(f"volume {name} is deleted")


@volume.command("accept-loss")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--keep", default="", metavar="REPLICA", help="The part whose bytes are to count from now on."
)
@server_options
def accept_loss(
    name: str, yes: bool, keep: str, data_dir: Path | None, config: Path | None
) -> None:
    """Let the volume NAME go on though something of it may be lost; says what before it asks."""
    data = find_data_dir(data_dir, config)
    _rows, answer = _ask(data, {"do": "loss", "name": name, "keep": keep})
    click.echo(answer["loss"])
    if not yes:
        click.confirm(f"Let volume {name} go on like that?", abort=True)
    _ask(data, {"do": "accept-loss", "name": name, "keep": keep})
    click.echo(f"volume {name} goes on")


@volume.command()
@click.argument("name")
@server_options
def claim(name: str, data_dir: Path | None, config: Path | None) -> None:
    """Serve the volume NAME here again, after another writer had taken it."""
    _ask(find_data_dir(data_dir, config), {"do": "claim", "name": name})
    click.echo(f"volume {name} is served here again")


@volume.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--without",
    multiple=True,
    metavar="REPLICA",
    help="A part whose folder is lost, by its name: replica-3. What may be lost is said.",
)
@click.option("--engine", default="", help="What made it; every engine is asked otherwise.")
@click.option("--frontend", default="", help="What is to serve it; the first otherwise.")
@server_options
def adopt(
    folders: tuple[Path, ...],
    without: tuple[str, ...],
    engine: str,
    frontend: str,
    data_dir: Path | None,
    config: Path | None,
) -> None:
    """Take a volume back from the FOLDERS that hold it, when the state has lost it.

    Works with the running server, or without one. A volume that the config file names is the
    file's again as soon as it is served.
    """
    # Loaded here, so that `tierce volume --help` stays quick.
    from tierce.codec import to_json  # noqa: PLC0415
    from tierce.inventory.adoption import Adoption, adopt_without_server  # noqa: PLC0415
    from tierce.node.carrying_out import carry_out  # noqa: PLC0415
    from tierce.process.client import is_running  # noqa: PLC0415
    from tierce.process.paths import Paths  # noqa: PLC0415
    from tierce.registry import Registry  # noqa: PLC0415

    data = find_data_dir(data_dir, config)
    absolute = tuple(folder.absolute() for folder in folders)
    wanted = Adoption(absolute, without, engine, frontend)
    if is_running(data):
        _rows, answer = _ask(data, {"do": "adopt", **to_json(wanted)})
        click.echo(f"volume {answer['name']} is adopted and served: {answer['url']}")
        return
    registry = Registry.load()
    adopted = adopt_without_server(Paths(data), registry, wanted, partial(carry_out, registry))
    if adopted.loss:
        click.echo(adopted.loss)
    click.echo(
        f"volume {adopted.record.name} is adopted into {data}; "
        "no server runs now, `tierce serve FILE` serves it"
    )


def _ask(data: Path, request: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from tierce.process.client import ask  # noqa: PLC0415

    return ask(data, request)


def served_by(
    frontend: str | None, options: tuple[str, ...], exports: tuple[str, ...]
) -> dict[str, Any]:
    """Return how a volume is to be served, as the config file would say it."""
    if not exports:
        return {"frontend": frontend or "iscsi", "frontend_options": parse_options(options)}
    if frontend or options:
        raise UsageError(
            "--export says already how the volume is served: name the front end of --frontend, and "
            "its options, in an --export of its own"
        )
    return {"exports": [_parse_export(word) for word in exports]}


def _parse_export(word: str) -> dict[str, Any]:
    if word.lstrip().startswith("{"):
        return _parse_object(word, "--export")
    frontend, _, access = word.partition(":")
    return {"frontend": frontend, **({"access": access} if access else {})}


def parse_options(words: tuple[str, ...]) -> dict[str, Any]:
    """Return the options that KEY=VALUE words and JSON objects say.

    Raises:
        UsageError: A word is neither.
    """
    options: dict[str, Any] = {}
    for word in words:
        if word.lstrip().startswith("{"):
            options |= _parse_object(word)
            continue
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"--option {word}: expected KEY=VALUE or a JSON object")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def _parse_object(word: str, option: str = "--option") -> dict[str, Any]:
    try:
        values = json.loads(word)
    except ValueError as error:
        raise UsageError(f"{option} {word}: not JSON: {error}") from error
    assert isinstance(values, dict), "JSON that starts with a brace is an object"
    return values
