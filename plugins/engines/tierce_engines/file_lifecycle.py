"""A file volume's file: made with it or taken as it is, and removed only if it was made."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce import (
    ConflictError,
    FormatError,
    Lifecycle,
    LocalVolume,
    TemporaryError,
    TierceError,
    UsageError,
    VolumeSpec,
    make_folder,
    remove_file,
    remove_folders,
    sync_folder,
)
from tierce_engines.doubt import NAME as DOUBT
from tierce_engines.doubt import SOUND, DoubtNote
from tierce_engines.file import open_disk, take
from tierce_engines.file_record import (
    NAME,
    TAG,
    FileRecord,
    check_same,
    disk_of,
    has_record,
    read_record,
    record_of,
    tag,
    tag_of,
    untag,
    write_record,
)

#: What a deletion may leave alone.
PART = "file"
_DEVICES = Path("/dev")


class FileLifecycle(Lifecycle):
    """Makes the file with the volume, and removes it with the volume."""

    def create(self, volume: LocalVolume) -> None:
        """Make the file, sparse; a block device must be there.

        Raises:
            ConflictError: A file is there and has bytes in it: it is left alone.
            UsageError: The path can't be a volume's.
        """
        path = Path(volume.engine_options.path)
        try:
            if _is_own(volume):
                record = record_of(volume)
            else:
                # Before anything is made: what a crash leaves is known by it.
                record = _plan(volume, path)
                write_record(volume.folder, record)
            if record.is_made:
                _fill(volume, Path(record.path))
            elif not record.disk:
                _tag(volume, Path(record.path))
            DoubtNote(volume.folder, volume.size_bytes).make()
        except OSError:
            with contextlib.suppress(OSError, TierceError):
                self.delete(volume)
            raise

    def delete(self, volume: LocalVolume) -> None:
        """Undo a creation: remove the file if it was made for it and nothing was written to it."""
        if not _is_own(volume):
            return
        record = record_of(volume)
        if record.is_made and Path(record.path).exists():
            descriptor = _open_own(volume, record)
            try:
                if _has_data(descriptor):
                    raise ConflictError(f"{record.path} has been written to: left alone")
            finally:
                os.close(descriptor)
            remove_file(Path(record.path))
        _forget(volume, record)

    def parts(self, volume: VolumeSpec) -> tuple[str, ...]:
        """Name the file."""
        del volume
        return (PART,)

    def check_change(self, before: LocalVolume, now: LocalVolume) -> None:
        """Refuse a path at which the volume's file is not.

        Raises:
            ConflictError: It is not.
        """
        was, path = Path(before.engine_options.path), Path(now.engine_options.path)
        if was == path:
            return
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ConflictError(
                f"volume {now.name} lies in {was}, and {path} can't be opened ({error.strerror}): "
                f"say {was}, or move it there first"
            ) from error
        try:
            check_same(now, record_of(now), path, descriptor)
        finally:
            os.close(descriptor)

    def condemn(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """Note that the volume is to go."""
        if not _is_to_go(volume, without):
            return
        record = record_of(volume)
        if record.is_made:
            os.close(_open_own(volume, record))
        write_record(volume.folder, attrs.evolve(record, is_deleted=True))

    def spare(self, volume: LocalVolume) -> None:
        """Note that it is to stay."""
        if _is_own(volume):
            write_record(volume.folder, attrs.evolve(record_of(volume), is_deleted=False))

    def empty(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """Cut the file down to nothing, if it was made with the volume."""
        if not _is_to_go(volume, without):
            return
        record = record_of(volume)
        if record.is_made:
            descriptor = _open_own(volume, record)
            try:
                os.ftruncate(descriptor, 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def tidy(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """Remove the empty file, or the volume's mark on one that was there before it."""
        if not has_record(volume.folder) or not _is_to_go(volume, without):
            _forget(volume, None)
            return
        record = record_of(volume)
        path = Path(record.path)
        if record.is_made and path.is_file() and not path.stat().st_size:
            remove_file(path)
        elif not record.is_made and path.is_file():
            untag(path, volume.uuid)
        _forget(volume, record)

    def adopt(self, folders: tuple[Path, ...], without: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """Refuse: a raw file does not say what volume it was.

        Raises:
            FormatError: Always.
        """
        del without
        raise FormatError(
            "a raw file does not describe its volume: create the volume again under its name with "
            "this path and the file's size, and the file is used as it is",
            path=folders[0],
        )

    def loss(self, volume: LocalVolume, keep: str) -> str:
        """Say what a failed flush has put in doubt.

        Raises:
            UsageError: Nothing is in doubt.
        """
        if keep:
            raise UsageError(f"volume {volume.name} has one copy: leave --keep {keep} out")
        note = DoubtNote(volume.folder, volume.size_bytes)
        doubt = note.read()
        return note.describe(doubt) if doubt else super().loss(volume, keep)

    def accept_loss(self, volume: LocalVolume, keep: str) -> None:
        """End the doubt, or let the next opening end it when it has written it all again."""
        super().accept_loss(volume, keep)
        note = DoubtNote(volume.folder, volume.size_bytes)
        doubt = note.read()
        note.save(SOUND if doubt.is_rewritten else attrs.evolve(doubt, is_accepted=True))


def _is_own(volume: LocalVolume) -> bool:
    """True if there is a record of this volume, and not of one before it; a damaged one is its."""
    if not has_record(volume.folder):
        return False
    try:
        return read_record(volume.folder).uuid == volume.uuid
    except FormatError:
        return True


# -- making ----------------------------------------------------------------------------------------


def _plan(volume: LocalVolume, path: Path) -> FileRecord:
    """Decide what the volume's file is to be, by what is there; make the folder for a new one.

    Raises:
        ConflictError: What is there can't be used.
        UsageError: It can't be a volume's.
    """
    if not path.exists():
        if Path(os.path.realpath(path)).is_relative_to(_DEVICES):
            raise UsageError(f"volume {volume.name}: there is no device {path}; none is made there")
        made = make_folder(path.parent, 0o755)
        return FileRecord(volume.uuid, str(path), is_made=True, folders_made=len(made))
    try:
        descriptor = open_disk(path)
    except FormatError as error:
        raise UsageError(f"volume {volume.name}: {error}") from error
    try:
        take(descriptor, volume.name, path)
        found = os.lseek(descriptor, 0, os.SEEK_END)
        if path.is_block_device():
            if found < volume.size_bytes:
                raise ConflictError(f"{path} has {found} bytes, the volume {volume.size_bytes}")
            return FileRecord(volume.uuid, str(path), is_made=False, disk=disk_of(descriptor))
        mark = tag_of(descriptor)
    finally:
        os.close(descriptor)
    if found not in (0, volume.size_bytes):
        raise ConflictError(
            f"{path} has {found} bytes already, the volume {volume.size_bytes}: choose "
            "another path, or give the volume that size to use the file as it is"
        )
    former = _former(volume, path)
    if found and mark and (former is None or former.uuid != mark):
        raise ConflictError(
            f"{path} is the file of another volume ({mark}): choose another path. If that volume "
            f"is gone for good, take its mark off: setfattr --remove {TAG} {shlex.quote(str(path))}"
        )
    is_made = not found or (former is not None and former.is_made)
    return FileRecord(volume.uuid, str(path), is_made=is_made)


def _former(volume: LocalVolume, path: Path) -> FileRecord | None:
    """Return what is known of a volume of this name and path that a lost state has left."""
    try:
        former = read_record(volume.folder)
    except FormatError:
        return None
    return former if former.path == str(path) else None


def _fill(volume: LocalVolume, path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < volume.size_bytes:
            os.ftruncate(descriptor, volume.size_bytes)
        tag(descriptor, volume.uuid)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def _tag(volume: LocalVolume, path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        tag(descriptor, volume.uuid)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- removing --------------------------------------------------------------------------------------


def _is_to_go(volume: LocalVolume, without: tuple[str, ...]) -> bool:
    """True unless the file is to be left alone.

    Raises:
        ConflictError: Nothing says what was made.
    """
    if PART in without:
        return False
    try:
        record_of(volume)
    except FormatError as error:
        raise ConflictError(
            f"nothing says whether the file was made with the volume: {error}. {_rest(volume)}"
        ) from error
    return True


def _open_own(volume: LocalVolume, record: FileRecord) -> int:
    """Open the file that was made, and hold it.

    Raises:
        TemporaryError: It is not there, or a process has it open.
        ConflictError: It is another one.
    """
    path = Path(record.path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        raise TemporaryError(
            f"nothing is found of {path}: mount its disk. If it is lost: {_rest(volume)}"
        ) from error
    try:
        take(descriptor, volume.name, path)
        is_own = tag_of(descriptor) in ("", volume.uuid)
    except BaseException:
        os.close(descriptor)
        raise
    if not is_own:
        os.close(descriptor)
        raise ConflictError(f"{path} is another volume's file. {_rest(volume)}")
    return descriptor


def _rest(volume: LocalVolume) -> str:
    return (
        f"`tierce volume delete {volume.name} --without {PART}` forgets the volume and leaves what "
        "is there alone"
    )


def _has_data(descriptor: int) -> bool:
    try:
        os.lseek(descriptor, 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        raise
    return True


def _forget(volume: LocalVolume, record: FileRecord | None) -> None:
    """Remove the volume's notes, and the folders that were made for its file."""
    if record is not None and record.is_made:
        path = Path(record.path)
        remove_folders(list(path.parents)[: record.folders_made][::-1])
    for name in (DOUBT, NAME):
        if (volume.folder / name).exists():
            remove_file(volume.folder / name)
