"""Files and folders that survive loss of power: made, replaced, removed, sealed.

A file's bytes are durable after an fsync of the file; that it is there, gone or renamed only after
an fsync of the folder that names it, and that folder's own name lies in its parent. What is made,
replaced or removed here is durable on return.

A *sealed* file is a JSON object that says what it is and proves it: a first line
``FAMILY KIND VERSION CRC32C`` (the checksum in hex, of the rest), then the object. A version newer
than the reader's is refused.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tierce.errors import FormatError

#: The family of what core and simple engines seal.
FAMILY = "tierce"
#: A sealed file is a few hundred bytes, with a map of regions some thousand; more is damage.
SEALED_BYTES_MAX = 1 << 20
_VERSION_DIGITS_MAX = 9
#: Why a folder's name can't be made durable by who has not made it: its parent is not his to read,
#: or lies where nothing is ever made.
_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EINVAL})
#: So often it is tried to make a folder below one that others remove.
_ATTEMPT_COUNT = 4
#: Why a folder may stay though it is asked to go: others use it, it is a mount point.
_STAYS = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY})


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path, mode: int = 0o700) -> tuple[Path, ...]:
    """Make a folder and what lies above it.

    Returns: the folders that were not there before, the outermost first.
    Raises: OSError, having removed again what it had made.
    """
    for _ in range(_ATTEMPT_COUNT - 1):
        # Another process may remove meanwhile, as empty, one that was there.
        with contextlib.suppress(FileNotFoundError):
            return _make_missing(path, mode)
    return _make_missing(path, mode)


def _make_missing(path: Path, mode: int) -> tuple[Path, ...]:
    missing: list[Path] = []
    while not path.is_dir():
        if os.path.lexists(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        missing.append(path)
        path = path.parent
    _sync_found(path)
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            if _make_one(folder, mode):
                made.append(folder)
            sync_folder(folder.parent)
    except OSError:
        remove_folders(made)
        raise
    return tuple(made)


def _sync_found(folder: Path) -> None:
    """Make the name of a folder durable that was there: who made it may have been killed before it
    was, or may be at it now. Those above it are: each is before anything is made in it."""
    try:
        sync_folder(folder.parent)
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise


def _make_one(folder: Path, mode: int) -> bool:
    """Make a folder; False if another process has made it meanwhile."""
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False
    return True


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove what `make_folder` returned, the innermost first; those in use stay, and those that
    are gone are gone."""
    for folder in reversed(tuple(folders)):
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in _STAYS:
                raise
            return
        sync_folder(folder.parent)


def remove_file(path: Path) -> None:
    """Remove a file; one that is not there is success."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if path.parent.is_dir():
        sync_folder(path.parent)


def replace_durably(path: Path, data: bytes) -> None:
    """Put `data` in place of what `path` holds: after a crash it is the old or the new."""
    fresh = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600)
    try:
        write_all(descriptor, data, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(fresh, path)
    sync_folder(path.parent)


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it: one write may take less. Not durable yet."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done


def write_sealed(path: Path, kind: str, version: int, body: Mapping[str, Any]) -> None:
    """Replace `path` by a sealed file."""
    replace_durably(path, seal(FAMILY, kind, version, body))


def read_sealed(
    path: Path, kind: str, version: int, *, family: str = FAMILY, advice: str = ""
) -> dict[str, Any]:
    """Read what `write_sealed` wrote; of another family, what `seal` returned.

    Raises:
        FormatError: It is missing, damaged, of another kind, or newer than `version`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(SEALED_BYTES_MAX + 1)
    except OSError as error:
        raise FormatError(f"can't be read: {error.strerror}", path=path) from error
    return unseal(data, family, kind, version, path=path, advice=advice)[1]


def seal(family: str, kind: str, version: int, body: Mapping[str, Any]) -> bytes:
    """Return an object sealed."""
    text = json.dumps(body, indent=1).encode() + b"\n"
    return f"{family} {kind} {version} {_checksum(text)}\n".encode() + text


def unseal(
    data: bytes, family: str, kind: str, version: int, *, path: Path, advice: str = ""
) -> tuple[int, dict[str, Any]]:
    """Return what is in what `seal` returned: the format's version, and the object.

    Args:
        data: The file's bytes.
        family: As it was sealed.
        kind: As it was sealed.
        version: The newest that the caller reads.
        path: The file, for messages.
        advice: What an operator does about a damaged one; a sentence.

    Raises:
        FormatError: It is damaged, of another kind, or newer.
    """
    line, _, text = data.partition(b"\n")
    words = line.decode("ascii", "replace").split(" ")
    is_ours = len(words) == 4 and words[:2] == [family, kind]
    if not is_ours or not words[2].isdecimal() or len(words[2]) > _VERSION_DIGITS_MAX:
        raise FormatError(f"is no {kind} file of {family}", path=path)
    if int(words[2]) == 0:
        raise FormatError("is damaged: there is no format 0", path=path)
    if int(words[2]) > version:
        raise FormatError(
            f"has format {words[2]}, this version reads up to {version}: upgrade Tierce", path=path
        )
    if words[3] != _checksum(text):
        why = "is damaged: its checksum does not match"
        raise FormatError(f"{why}. {advice}" if advice else why, path=path)
    try:
        body = json.loads(text)
    except ValueError as error:
        raise FormatError(f"holds no JSON: {error}", path=path) from error
    if not isinstance(body, dict):
        raise FormatError("holds JSON that is no object", path=path)
    return int(words[2]), body


def _checksum(text: bytes) -> str:
    # Loaded here, so that `tierce --help` stays quick.
    from crc32c import crc32c  # noqa: PLC0415

    return f"{crc32c(text):08x}"
