"""`tierce serve FILE`: serve volumes until told to stop."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--strict",
    is_flag=True,
    help="End with an error where anything in FILE can't be served, instead of serving the rest.",
)
def serve(file: Path, strict: bool) -> None:
    r"""Serve the volumes of a config FILE and of its data folder.

    \b
    Ctrl-C or SIGTERM   end everything orderly; a second time hurries
    SIGHUP              read FILE again
    kill -9             ends this process alone: the volumes go on, and the next `tierce serve
                        FILE` takes them over

    Shows how each volume came up, how to use it and where its data lie, then a line of how all are,
    IOPS and MB/s: every second on a terminal, elsewhere every 10 s while something happens.

    A volume that can't be served as FILE says keeps the settings that it had, or is left out, and
    is named; an address that can't be listened at is tried again. Ends with an error only where
    nothing can be served.
    """
    # The server's parts load here, so that `tierce --help` stays quick.
    from tierce.server.event_log import Console  # noqa: PLC0415
    from tierce.server.supervisor import serve as run  # noqa: PLC0415

    run(file, Console(sys.stdout), is_strict=strict)
