"""Which running server a command means: it is found by its data folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tierce.errors import UsageError

#: Where the data folder is if nothing says so.
DEFAULT_DATA_DIR = "tierce-data"
DATA_DIR_VARIABLE = "TIERCE_DATA_DIR"


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which server is meant."""
    for option in (
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The server's config file.",
        ),
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help="The server's data folder.",
        ),
    ):
        command = option(command)
    return command


def find_data_dir(data_dir: Path | None, config: Path | None) -> Path:
    """Return the data folder that is meant, absolute.

    Raises:
        UsageError: Both were given.
        ConfigError: The config file is wrong.
    """
    if data_dir is not None and config is not None:
        raise UsageError("--data-dir and --config both say which data folder; give one")
    if config is not None:
        # Loaded here, so that `tierce volume --help` stays quick.
        from tierce.config import load_config  # noqa: PLC0415

        return load_config(config).data_dir
    return (data_dir or Path(os.environ.get(DATA_DIR_VARIABLE, DEFAULT_DATA_DIR))).absolute()
