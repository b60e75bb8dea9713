"""Sealed files: JSON objects that say what they are, of which version, and prove it by checksum.

A first line ``tierce-jiva KIND VERSION CRC32C`` (checksum in hex, of the rest), then the object.
Replacing one is write, fsync, rename, fsync the folder. A version newer than ours is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crc32c import crc32c

from tierce import FormatError
from tierce_jiva.files import Files

VERSION = 1
_SEAL = "tierce-jiva"
#: A sealed file is a few hundred bytes; more is damage.
SEALED_BYTES_MAX = 1 << 20
_VERSION_DIGITS_MAX = 9


def encode_sealed(kind: str, version: int, body: Mapping[str, Any]) -> bytes:
    """Return the bytes of a sealed file."""
    text = json.dumps(body, indent=1).encode() + b"\n"
    return b"%s %s %d %08x\n" % (_SEAL.encode(), kind.encode(), version, crc32c(text)) + text


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
    line, _, text = data.partition(b"\n")
    words = line.decode("ascii", "replace").split(" ")
    is_ours = len(words) == 4 and words[0] == _SEAL and words[1] == kind
    if not is_ours or not words[2].isdecimal() or len(words[2]) > _VERSION_DIGITS_MAX:
        raise FormatError(f"is no {kind} file of a jiva replica", path=path)
    if int(words[2]) == 0:
        raise FormatError("is damaged: there is no format 0", path=path)
    if int(words[2]) > version:
        raise FormatError(
            f"has format {words[2]}, this version reads up to {version}: upgrade Tierce", path=path
        )
    if words[3] != f"{crc32c(text):08x}":
        raise FormatError(
            "is damaged: its checksum does not match. The volume goes on with its other replicas; "
            "see docs/howto/operate.md, 'When a replica's folder is lost'",
            path=path,
        )
    try:
        body = json.loads(text)
    except ValueError as error:
        raise FormatError(f"holds no JSON: {error}", path=path) from error
    if not isinstance(body, dict):
        raise FormatError("holds JSON that is no object", path=path)
    return int(words[2]), body


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
    try:
        with path.open("rb") as file:
            data = file.read(SEALED_BYTES_MAX + 1)
    except OSError as error:
        raise FormatError(f"can't be read: {error.strerror}", path=path) from error
    return decode_sealed(data, kind, VERSION, path)[1]


def write_all(files: Files, descriptor: int, data: bytes) -> None:
    """Write all of it from the file's beginning; OSError where that fails."""
    view, done = memoryview(data), 0
    while done < len(view):
        done += files.pwrite(descriptor, view[done:], done)
