"""Sealed files (`tierce.seal`) of the family ``tierce-jiva``, written through a replica's file
system. Replacing one is write, fsync, rename, fsync the folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce import FormatError, seal, unseal
from tierce_jiva.files import Files

VERSION = 1
_FAMILY = "tierce-jiva"
#: A sealed file is a few hundred bytes; more is damage.
SEALED_BYTES_MAX = 1 << 20
_DAMAGED = (
    "The volume goes on with its other replicas; see docs/howto/operate.md, 'When a replica's "
    "folder is lost'"
)


def write_sealed(files: Files, path: Path, kind: str, body: Mapping[str, Any]) -> None:
    """Replace `path` by a sealed file. On return the new contents survive loss of power; a crash
    leaves the old or the new, never a mixture."""
    data = seal(_FAMILY, kind, VERSION, body)
    fresh = path.with_name(path.name + ".new")
    descriptor = files.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        _write_all(files, descriptor, memoryview(data))
        files.fsync(descriptor)
    finally:
        files.close(descriptor)
    files.replace(fresh, path)
    files.sync_folder(path.parent)


def read_sealed(path: Path, kind: str) -> dict[str, Any]:
    """Read what `write_sealed` wrote.

    Raises:
        FormatError: It is missing, damaged, of another kind, or newer than this version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(SEALED_BYTES_MAX + 1)
    except OSError as error:
        raise FormatError(f"can't be read: {error.strerror}", path=path) from error
    return unseal(data, _FAMILY, kind, VERSION, path=path, advice=_DAMAGED)


def _write_all(files: Files, descriptor: int, data: memoryview) -> None:
    done = 0
    while done < len(data):
        done += files.pwrite(descriptor, data[done:], done)
