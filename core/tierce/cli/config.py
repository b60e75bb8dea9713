"""`tierce config ...`: check a config file, show what it comes to, and its schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tierce.cli.output import output_option, show

if TYPE_CHECKING:
    from tierce.config import Config

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def config() -> None:
    """Check, show and compare config files. Starts nothing."""


@config.command()
@click.argument("file", type=_FILE)
def check(file: Path) -> None:
    """Check the config FILE: the first mistake is told with its line, and ends with code 3.

    What the plugins that it uses name is imported, in a process of its own: what is missing is
    told, and ends with code 4.

    What works and yet should be known (a broken plugin left out, two replicas that stop at the
    first loss) is told on standard error and changes no exit code.
    """
    from tierce.config import load_config  # noqa: PLC0415 - `tierce --help` does without it
    from tierce.inventory.preflight import examine  # noqa: PLC0415
    from tierce.registry import missing  # noqa: PLC0415

    loaded = load_config(file)
    findings = examine(loaded)
    findings.check_all()
    for error in missing(loaded.registry, used(loaded)):
        raise error
    for advice in (*loaded.advice, *findings.notes):
        print(f"tierce: note: {advice}", file=sys.stderr)
    names = ", ".join(volume.name for volume in loaded.volumes) or "none"
    click.echo(f"{file}: ok; volumes: {names}; data in {loaded.data_dir}")


@config.command("show")
@click.argument("file", type=_FILE)
@output_option
def show_config(file: Path, output: str) -> None:
    """Show every value that the config FILE comes to, and where each came from: FILE:LINE, or
    "default"."""
    from tierce.config import load_config, origin_of  # noqa: PLC0415 - `--help` does without

    loaded = load_config(file)
    rows = [
        {"key": key, "value": value, "origin": origin_of(key, loaded.origins)}
        for key, value in values(loaded)
    ]
    show(rows, output, columns=("key", "value", "origin"))


@config.command()
@click.argument("file", type=_FILE)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="The running server's data folder, where FILE does not say it.",
)
@output_option
def diff(file: Path, data_dir: Path | None, output: str) -> None:
    """Show what the running server would do if FILE were its config file and it read it again.

    Of each volume, front end and process: nothing, live (it takes the options while it runs),
    restart (what stops, and for how long at most), waits (a restart would empty it), made, served,
    no longer served (and what is lost), or refused, and why. Nothing is done.
    """
    from tierce.config import load_config  # noqa: PLC0415 - `tierce --help` does without it
    from tierce.process.client import ask  # noqa: PLC0415

    data = data_dir.absolute() if data_dir is not None else load_config(file).data_dir
    rows, _answer = ask(data, {"do": "diff", "file": str(file.absolute())})
    show(rows, output, columns=("what", "text"))


@config.command()
@click.argument("file", type=_FILE, required=False)
def schema(file: Path | None) -> None:
    """Print the JSON Schema of the config file, for editors: with the plugins that FILE enables,
    or with every installed one."""
    from tierce.config import load_registry  # noqa: PLC0415 - `tierce --help` does without it
    from tierce.config.schema import config_schema  # noqa: PLC0415
    from tierce.registry import Registry  # noqa: PLC0415

    registry = Registry.load() if file is None else load_registry(file)
    click.echo(json.dumps(config_schema(registry), indent=2))


def used(loaded: Config) -> set[tuple[str, str]]:
    """Return what the file uses of its plugins: (family, name), as the registry calls them."""
    things = {("front end", name) for name in loaded.frontends}
    things |= {("service", name) for name in loaded.services}
    things |= {("policy handler", document.kind) for document in loaded.policies}
    for volume in loaded.volumes:
        things.add(("engine", volume.engine))
        things |= {("front end", one.frontend) for one in volume.exports}
        things |= {("filter", name) for name, _options in volume.filters}
    return things


def values(loaded: Config) -> Iterator[tuple[str, Any]]:
    """Yield the key and the value of every setting; keys as in `Config.origins`."""
    from tierce.codec import to_json  # noqa: PLC0415
    from tierce.config import volume_to_mapping  # noqa: PLC0415

    yield "data_dir", str(loaded.data_dir)
    yield (
        "plugins.enable",
        [one.name for one in loaded.registry.plugins if one.state == "enabled"],
    )
    yield from flatten("limits", to_json(loaded.limits))
    for name, options in loaded.frontends.items():
        yield from flatten(f"frontends.{name}", to_json(options, hide_secrets=True))
    for name, service in loaded.services.items():
        yield from flatten(f"services.{name}", to_json(service.options, hide_secrets=True))
        if service.volumes:
            yield f"services.{name}.selector.volumes", list(service.volumes)
    for index, document in enumerate(loaded.policies):
        path = f"policies[{index}]"
        yield f"{path}.kind", document.kind
        yield f"{path}.name", document.name
        yield f"{path}.selector.volumes", list(document.volumes)
        parameters = to_json(document.parameters, hide_secrets=True)
        yield from flatten(f"{path}.parameters", parameters)
    for volume in loaded.volumes:
        mapping = volume_to_mapping(volume, hide_secrets=True)
        yield from flatten(f"volumes.{volume.name}", mapping)


def flatten(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield path and value of everything in a plain value that has no parts of its own."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from flatten(f"{path}.{key}", one)
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for index, one in enumerate(value):
            yield from flatten(f"{path}[{index}]", one)
    else:
        yield path, value
