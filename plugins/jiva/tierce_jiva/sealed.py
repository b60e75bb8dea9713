"""Jiva's sealed files: those of `tierce.seal`, of a family of their own.

Replacing one is write, fsync, rename, fsync the folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tierce
from tierce_jiva.files import Files

VERSION = 1
_FAMILY = "tierce-jiva"
_ADVICE = (
    "The volume goes on with its other replicas; see docs/howto/operate.md, 'When a replica's "
    "folder is lost'"
)


def encode_sealed(kind: str, version: int, body: Mapping[str, Any]) -> bytes:
    """Return the bytes of a sealed file."""
    return tierce.seal(_FAMILY, kind, version, body)


def decode_sealed(data: bytes, kind: str, version: int, path: Path) -> tuple[int, dict[str, Any]]:
    """Read what `encode_sealed` returned.

    Args:
        data: The file's contents.
        kind: What it should be.
        version: The newest format that can be read.
        path: What to name in errors.

    Returns: its format and the object.

    Raises:
        FormatError: It is damaged, of another kind, or newer than this version.
    """
    return tierce.unseal(data, _FAMILY, kind, version, path=path, advice=_ADVICE)


def write_sealed(files: Files, path: Path, kind: str, body: Mapping[str, Any]) -> None:
    """Replace `path` by a sealed file. On return the new contents survive loss of power; a crash
    leaves the old or the new, never a mixture."""
    fresh = path.with_name(path.name + ".new")
    descriptor = files.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(files, descriptor, encode_sealed(kind, VERSION, body))
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
    return tierce.read_sealed(path, kind, VERSION, family=_FAMILY, advice=_ADVICE)


def write_all(files: Files, descriptor: int, data: bytes) -> None:
    """Write all of it from the file's beginning; OSError where that fails."""
    view, done = memoryview(data), 0
    while done < len(view):
        done += files.pwrite(descriptor, view[done:], done)
