"""`tierce docs reference DIR`: writes the reference pages from the code. For developers; hidden."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(hidden=True)
def docs() -> None:
    """Write documentation from the code."""


@docs.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def reference(folder: Path) -> None:
    """Write the reference pages into FOLDER, docs/reference in a checkout."""
    from tierce.cli.reference.pages import pages  # noqa: PLC0415 - `tierce --help` does without

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(folder / name)
