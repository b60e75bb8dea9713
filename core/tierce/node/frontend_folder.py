"""The end of the front ends' own folders, with their volume."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tierce.spec import LocalVolume


def remove_frontend_folders(volume: LocalVolume) -> None:
    """Remove the folder of each front end that serves the volume or has served it, and the files
    in it; gone is gone already.

    A link is removed, never followed; a folder in it was made by no front end and stays.
    """
    for folder in volume.folder.glob("frontend.*"):
        _remove(folder)


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
        with contextlib.suppress(OSError):
            folder.rmdir()
