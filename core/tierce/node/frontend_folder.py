"""A front end's own folder for a volume: where it lies, and its end with the volume."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tierce.spec import VolumeSpec


def frontend_folder(volume: VolumeSpec) -> Path:
    """Return where the volume's front end keeps what outlives its target; it need not be there."""
    return volume.folder / f"frontend.{volume.frontend}"


def remove_frontend_folder(volume: VolumeSpec) -> None:
    """Remove the folder of the volume's front end, and the files in it; gone is gone already.

    A link is removed, never followed; a folder in it was made by no front end and stays.
    """
    folder = frontend_folder(volume)
    if folder.is_symlink():
        return
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
        with contextlib.suppress(OSError):
            folder.rmdir()
