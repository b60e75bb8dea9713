"""`tierce serve FILE`: serve volumes until told to stop."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def serve(file: Path) -> None:
    r"""Serve the volumes of a config FILE and of its data folder.

    \b
    Ctrl-C or SIGTERM   end everything orderly; a second time hurries
    SIGHUP              read FILE again
    kill -9             ends this process alone: the volumes go on, and the next `tierce serve
                        FILE` takes them over

    Shows how to use each volume and where its data lie, then a line of IOPS, MB/s and the
    replicas' state: every second on a terminal, elsewhere every 10 s while something happens.
    """
    # The server's parts load here, so that `tierce --help` stays quick.
    from tierce.node.journal import Console  # noqa: PLC0415
    from tierce.node.supervisor import serve as run  # noqa: PLC0415

    run(file, Console(sys.stdout))
