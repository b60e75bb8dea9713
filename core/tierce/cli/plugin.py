"""`tierce plugin ...`: what is installed, what it brings, and why something is not enabled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tierce.cli.output import output_option, show
from tierce.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tierce.registry import Registry

_COLUMNS = ("name", "state", "package", "version", "provides", "reason")

#: How a description's optional parts are called in `plugin show`.
_PARTS = ("replicator", "store", "operations")


def _config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The config file that enables plugins; without it every installed one counts.",
    )(command)


@click.group()
def plugin() -> None:
    """List and explain the installed plugins."""


@plugin.command("list")
@_config_option
@output_option
def list_plugins(file: Path | None, output: str) -> None:
    """List the installed plugins: state, package, what each brings."""
    rows = [
        {
            "name": one.name,
            "state": one.state,
            "package": one.package,
            "version": one.version,
            "provides": list(one.provides),
            "reason": one.reason,
        }
        for one in _registry(file).plugins
    ]
    show(rows, output, columns=_COLUMNS)


@plugin.command("show")
@click.argument("name")
@_config_option
@output_option
def show_plugin(name: str, file: Path | None, output: str) -> None:
    """Show the plugin NAME: what it brings, and every option of that."""
    from tierce.registry import nearest  # noqa: PLC0415 - `tierce --help` does without it

    registry = _registry(file)
    for one in registry.plugins:
        if one.name == name:
            answer = {
                "name": one.name,
                "state": one.state,
                "reason": one.reason,
                "package": one.package,
                "version": one.version,
                "provides": list(_provided(registry, one.provides)),
            }
            show(answer, output)
            return
    names = [one.name for one in registry.plugins]
    raise PluginError(f"it is not installed{nearest(name, names)}", plugin=name)


@plugin.command()
@click.argument("name", required=False)
@_config_option
def check(name: str | None, file: Path | None) -> None:
    """Check the plugin NAME, or every enabled one: what it names is imported, in a process of its
    own. What is missing is told, and ends with code 4."""
    from tierce.registry import missing, nearest  # noqa: PLC0415 - `tierce --help` does without

    registry = _registry(file)
    records = [one for one in registry.plugins if name in (None, one.name)]
    if not records:
        names = [one.name for one in registry.plugins]
        raise PluginError(f"it is not installed{nearest(name or '', names)}", plugin=name or "")
    broken = [
        PluginError(one.reason, plugin=one.name, package=one.package)
        for one in records
        if one.state == "broken" or (name and one.state != "enabled")
    ]
    checked = {one.name for one in records}
    errors = [*broken, *(one for one in missing(registry) if one.plugin in checked)]
    for error in errors[1:]:
        click.echo(f"tierce: {error}", err=True)
    for error in errors:
        raise error
    click.echo(f"{', '.join(sorted(checked))}: ok")


@plugin.command()
@click.argument("name")
@_config_option
def explain(name: str, file: Path | None) -> None:
    """Say whether NAME is enabled, and if not, why. NAME is a plugin, or an engine, front end or
    other thing that a plugin brings."""
    click.echo(_registry(file).explain(name))


def _registry(file: Path | None) -> Registry:
    from tierce.registry import Registry  # noqa: PLC0415 - `tierce --help` does without it

    if file is None:
        return Registry.load()
    from tierce.config import load_registry  # noqa: PLC0415

    return load_registry(file)


def _provided(registry: Registry, things: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    from tierce.cli.reference.options import option_rows  # noqa: PLC0415

    for family, name, description in registry.descriptions():
        if f"{family} {name}" not in things:
            continue
        parts = {part: getattr(description, part, None) for part in _PARTS}
        classes = {
            "options": description.options,
            "volume_options": getattr(description, "volume_options", None),
        }
        yield {
            "is": family,
            "name": name,
            "summary": description.summary,
            "contract": description.contract,
            **{
                part: sorted(value) if isinstance(value, frozenset) else value
                for part, value in parts.items()
                if value
            },
            **{key: list(option_rows(one)) for key, one in classes.items() if one},
        }
