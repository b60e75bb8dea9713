"""The sparse-file store: one replica's bytes in one file, and everything else left to the file
system.

Writes go to the page cache at once; `flush` makes them durable and is the only call that waits
for the disk by design. Reads are tried without waiting first; what is not in the page cache goes
to a worker thread.
"""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

from tierce import (
    EXTENT_COUNT_MAX,
    Extent,
    FormatError,
    Store,
    StoreContext,
    StoreOpenContext,
    StoreUsage,
)
from tierce_jiva.digests import digest_state, zero_digest
from tierce_jiva.file_identity import identity_of
from tierce_jiva.files import Files, OsFiles

#: What descriptions and folders call this store.
SPARSE_FILE = "sparse-file"
#: The file in the replica's folder.
HEAD = "head-000.img"

#: How much of an extent is read at once to be digested: small enough for the CPU's cache.
_DIGEST_STEP_BYTES = 256 << 10
#: Where no hole can be made, zeroes are written in pieces of this size.
_BLOCK_BYTES = 4096
#: What `st_blocks` counts, whatever the file system's block is.
_SECTOR_BYTES = 512


class SparseFileStore(Store):
    """One replica's bytes.

    `write`, `discard` and `read_cached` are called on the data thread; `read`, `digest`,
    `find_extents`, `flush` and `reopen` may wait and are called on worker threads. Overlapping
    reads and writes are the caller's to order.

    Args:
        path: The file; it exists and is `size_bytes` long.
        size_bytes: The volume's size in bytes.
        files: The file system.

    Raises:
        FormatError: The file is not as long as the volume.
        OSError: It can't be opened.
    """

    def __init__(self, path: Path, size_bytes: int, files: Files | None = None) -> None:
        self.path = path
        self.size_bytes = size_bytes
        self._files: Files = files or OsFiles()
        self._descriptor = self._open()
        self._pwrite = self._files.pwrite
        self._sync_failed: OSError | None = None
        self._sync_lock = threading.Lock()

    @classmethod
    def create(cls, context: StoreContext) -> None:
        """Make the file, a hole as long as the volume."""
        create_head(context.folder, context.size_bytes, OsFiles())

    @classmethod
    def destroy(cls, context: StoreContext) -> None:
        """Remove the file."""
        destroy_head(context.folder, OsFiles())

    @classmethod
    def identify(cls, context: StoreContext) -> str:
        """Return which file it is.

        Raises:
            FormatError: It is not there.
        """
        return identify_head(context.folder, OsFiles())

    @classmethod
    def open(cls, context: StoreOpenContext) -> SparseFileStore:
        """Open the file.

        Raises:
            FormatError: It is not there, or not as long as the volume.
        """
        path = context.folder / HEAD
        try:
            return cls(path, context.size_bytes)
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=path) from error

    def local_path(self) -> Path | None:
        """Return the file, if its path still leads to the one that is open."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return self.path.absolute() if os.path.samestat(found, os.fstat(self._descriptor)) else None

    def _open(self) -> int:
        descriptor = self._files.open(self.path, os.O_RDWR)
        found = os.fstat(descriptor).st_size
        if found != self.size_bytes:
            self._files.close(descriptor)
            raise FormatError(
                f"is {found} bytes long, the volume is {self.size_bytes}", path=self.path
            )
        # Readahead would fill the cache with large folios, into which a 4 KiB write takes 35 us
        # instead of 2 (ext4, Linux 6.16 and later).
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        return descriptor

    def reopen(self) -> None:
        """Open the file anew after a failed flush: what is written from now on can be flushed.
        What was written before must be written again. Waits for a flush under way.

        Raises:
            OSError: The medium failed.
        """
        # By its descriptor: the same file, whatever its path leads to meanwhile.
        fresh = self._files.open(Path(f"/proc/self/fd/{self._descriptor}"), os.O_RDWR)
        try:
            os.posix_fadvise(fresh, 0, 0, os.POSIX_FADV_RANDOM)
            with self._sync_lock:
                # The number stays the same and always names the file: other threads use it.
                self._files.duplicate(fresh, self._descriptor)
                self._sync_failed = None
        finally:
            self._files.close(fresh)

    def check(self) -> None:
        """See that the file is as long as the volume.

        Raises:
            OSError: It is not: bytes are missing.
        """
        found = os.lseek(self._descriptor, 0, os.SEEK_END)
        if found != self.size_bytes:
            reason = f"{self.path} is {found} bytes long, the volume is {self.size_bytes}"
            raise OSError(errno.EIO, reason)

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`. On return it survives the end of this process.

        Raises:
            OSError: The medium failed, or is full.
        """
        written = self._pwrite(self._descriptor, data, offset)
        while written < len(data):
            data = data[written:]
            offset += written
            written = self._pwrite(self._descriptor, data, offset)
            if not written:
                raise OSError(errno.EIO, "a write took no bytes")

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes and give its space back.

        Raises:
            OSError: The medium failed.
        """
        try:
            self._files.punch_hole(self._descriptor, offset, length)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._write_zeroes(offset, length)

    def _write_zeroes(self, offset: int, length: int) -> None:
        """Where no holes can be made the bytes count, not the space. But what was a hole from the
        beginning is left alone: it is to take no space now. What merely reads as zeroes is
        written: that may be the cache, of which a failed sync has left nothing on the disk."""
        zeroes = memoryview(bytes(_BLOCK_BYTES))
        for at in range(offset, offset + length, _BLOCK_BYTES):
            block = zeroes[: offset + length - at]
            if not self._is_hole(at, len(block)):
                self.write(at, block)

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        """Fill `buffer` if all of it is in the page cache; False if that would wait."""
        try:
            done = self._files.preadv(self._descriptor, (buffer,), offset, os.RWF_NOWAIT)
        except OSError as error:
            # Where it would wait, or where the file system (tmpfs, NFS, FUSE) can't tell.
            if error.errno in {errno.EAGAIN, errno.EOPNOTSUPP}:
                return False
            raise
        return done == len(buffer)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer`, waiting for the disk.

        Raises:
            OSError: The medium failed.
        """
        done = 0
        while done < len(buffer):
            count = self._files.preadv(self._descriptor, (buffer[done:],), offset + done)
            if not count:
                raise OSError(errno.EIO, f"{self.path} ends before byte {offset + done}")
            done += count

    def digest(self, offset: int, length: int) -> bytes:
        """Return the extent's BLAKE2b, 16 bytes. A hole is not read.

        Raises:
            OSError: The medium failed.
        """
        if self._is_hole(offset, length):
            return zero_digest(length)
        state = digest_state()
        buffer = memoryview(bytearray(min(length, _DIGEST_STEP_BYTES)))
        for start in range(offset, offset + length, _DIGEST_STEP_BYTES):
            part = buffer[: min(_DIGEST_STEP_BYTES, offset + length - start)]
            self.read(start, part)
            state.update(part)
        return state.digest()

    def find_extents(self, offset: int, length: int) -> list[Extent]:
        """Return which parts of the extent hold data, in order, without gaps, at least one and at
        most EXTENT_COUNT_MAX: they may end before it does. What is written meanwhile may or may
        not be seen.

        Raises:
            OSError: The medium failed, or bytes are missing at the file's end.
        """
        found: list[Extent] = []
        end = offset + length
        while offset < end and len(found) < EXTENT_COUNT_MAX:
            stop = self._seek(offset, end, os.SEEK_DATA)
            is_hole = stop > offset
            if not is_hole:
                # What is punched between the two calls is told as data, so that it goes on.
                least = min(offset + _BLOCK_BYTES, end)
                stop = max(self._seek(offset, end, os.SEEK_HOLE), least)
            found.append(Extent(offset, stop - offset, is_hole))
            offset = stop
        # A file that was cut short has a hole there too.
        self.check()
        return found

    def _seek(self, offset: int, end: int, whence: int) -> int:
        try:
            return min(os.lseek(self._descriptor, offset, whence), end)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return end  # No data up to the file's end.

    def _is_hole(self, offset: int, length: int) -> bool:
        # The position that this moves matters to nobody: everything reads and writes at offsets.
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA) >= offset + length
        except OSError as error:
            if error.errno != errno.ENXIO:
                return False
        # No data up to the file's end, which must be where it was.
        self.check()
        return True

    def flush(self) -> None:
        """Make every write that returned before durable. Never succeeds again once it failed:
        the kernel forgets what it could not write.

        Raises:
            OSError: The medium failed, now or earlier.
        """
        with self._sync_lock:
            if self._sync_failed is not None:
                raise self._sync_failed
            try:
                self._files.fdatasync(self._descriptor)
            except OSError as error:
                self._sync_failed = error
                raise

    def usage(self) -> StoreUsage:
        """Return what the file takes of its disk: its holes take nothing."""
        return StoreUsage(used_bytes=os.fstat(self._descriptor).st_blocks * _SECTOR_BYTES)

    def close(self) -> None:
        """Close the file. What was not flushed is the kernel's to write."""
        self._files.close(self._descriptor)


def create_head(folder: Path, size_bytes: int, files: Files) -> None:
    """Make the file of a store, in place of what a creation that was cut off has left."""
    head = files.open(folder / HEAD, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        files.truncate(head, size_bytes)
        files.fsync(head)
    finally:
        files.close(head)


def destroy_head(folder: Path, files: Files) -> None:
    """Remove the file of a store; durable on return."""
    (folder / HEAD).unlink(missing_ok=True)
    files.sync_folder(folder)


def identify_head(folder: Path, files: Files) -> str:
    """Return which file a store's is.

    Raises:
        FormatError: It can't be opened.
    """
    try:
        head = files.open(folder / HEAD, os.O_RDONLY)
    except OSError as error:
        raise FormatError(f"can't be read: {error.strerror}", path=folder / HEAD) from error
    try:
        return identity_of(head)
    finally:
        files.close(head)
