"""Engine `file`: a raw file or a block device, unreplicated. How an engine is written on the batch
level: what the page cache holds is read at once, what it lacks goes to a worker thread, writes go
to the page cache, and only FLUSH waits for the disk.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tierce import (
    GOOD,
    Capabilities,
    Claim,
    Closed,
    Code,
    ConflictError,
    Event,
    Extent,
    ExtentLock,
    FormatError,
    Geometry,
    MemberSpec,
    Op,
    OpenContext,
    Request,
    Settled,
    Status,
    VolumeSpec,
    can_punch_hole,
    punch_hole,
)

_ZEROING = frozenset({Op.DISCARD, Op.WRITE_ZEROES})
#: What a read that may not wait ends with where it would, or where the file system (tmpfs, NFS,
#: FUSE) can't read without waiting.
_NOT_AT_ONCE = frozenset({errno.EAGAIN, errno.EOPNOTSUPP})
#: A medium that fails is reported as an event no more often than this.
_EVENT_INTERVAL_S = 60.0
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileDevice:
    """A file as a device.

    Args:
        context: What core opens the engine with.

    Raises:
        FormatError: The file is missing or shorter than the volume.
        ConflictError: Another volume has it open.
    """

    def __init__(self, context: OpenContext) -> None:
        volume, path = context.volume, Path(context.options.path)
        self.geometry = Geometry(volume.size_bytes, volume.block_size)
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise FormatError(f"can't be opened: {error.strerror}", path=path) from error
        self._take(volume.name)
        found = os.lseek(self._descriptor, 0, os.SEEK_END)
        if found < volume.size_bytes:
            os.close(self._descriptor)
            raise FormatError(f"has {found} bytes, the volume {volume.size_bytes}", path=path)
        is_regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        can_punch = is_regular and can_punch_hole(self._descriptor, found)
        self.capabilities = Capabilities(
            discard=can_punch, write_zeroes=can_punch, block_status=is_regular
        )
        # Readahead fills the cache with large folios, into which a 4 KiB write takes 35 us
        # instead of 2 (ext4, Linux 6.16 and later).
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        self._reactor = context.reactor
        self._offload = context.reactor.offload
        self._emit = context.emit
        self._subject = f"volume/{volume.name}"
        self._quiet_until = 0.0
        #: Extents of what is on a worker thread: what overlaps them waits.
        self._lock = ExtentLock()
        self._flushing: list[tuple[Request, Settled]] | None = None
        self._to_flush: list[tuple[Request, Settled]] = []
        self._flush_failure: Status | None = None

    def _take(self, name: str) -> None:
        """Hold the file for as long as this process lives.

        Raises:
            ConflictError: Another volume has it.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise ConflictError(
                f"volume {name}: {self._path} is open for another volume, which would overwrite "
                "it: give each volume a path of its own"
            ) from None

    def submit(self, batch: list[Request], settled: Settled) -> None:
        """Do at once what does not wait."""
        preadv, pwrite, descriptor = os.preadv, os.pwrite, self._descriptor
        nowait, lock = os.RWF_NOWAIT, self._lock
        read, write, flush = Op.READ, Op.WRITE, Op.FLUSH
        missed: list[Request] = []
        for request in batch:
            op, buffer = request.op, request.buffer
            try:
                if lock and op is not flush and not self._is_free(request):
                    self._do_later(request, settled)
                elif op is read:
                    assert buffer is not None
                    if preadv(descriptor, (buffer,), request.offset, nowait) == request.length:
                        request.status = GOOD
                    else:
                        missed.append(request)
                elif op is write:
                    assert buffer is not None
                    if pwrite(descriptor, buffer, request.offset) == request.length:
                        request.status = GOOD
                    else:
                        self._do_later(request, settled)
                elif op is flush:
                    self._flush(request, settled)
                else:
                    self._do_later(request, settled)
            except OSError as error:
                if op is read and error.errno in _NOT_AT_ONCE:
                    missed.append(request)
                else:
                    request.status = self._failure(request, error)
                    self._tell(request.status)
        for request in missed:
            self._do_later(request, settled)

    def close(self, closed: Closed) -> None:
        """Make everything durable, then close the file."""

        def synced(_result: None, error: BaseException | None) -> None:
            os.close(self._descriptor)
            if error is not None and self._flush_failure is None:
                reason = f"{self._path} could not be flushed: {error}"
                self._flush_failure = Status(Code.WRITE_ERROR, reason)
            # A flush that failed before is not made good by one that works now.
            closed(self._flush_failure or GOOD)

        self._offload(partial(os.fdatasync, self._descriptor), synced)

    # -- what waits --------------------------------------------------------------------------------

    def _is_free(self, request: Request) -> bool:
        is_read = request.op is Op.READ
        return self._lock.is_free(request.offset, request.length, exclusive=not is_read)

    def _do_later(self, request: Request, settled: Settled) -> None:
        """Do it on a worker thread, once nothing that overlaps is under way."""

        def granted(claim: Claim) -> None:
            self._offload(partial(self._do, request), partial(self._done, request, settled, claim))

        exclusive = request.op not in {Op.READ, Op.BLOCK_STATUS}
        self._lock.acquire(request.offset, request.length, granted, exclusive=exclusive)

    def _do(self, request: Request) -> Status:
        """Do one operation, waiting for the disk. On a worker thread."""
        try:
            if request.op in _ZEROING:
                punch_hole(self._descriptor, request.offset, request.length)
            elif request.op is Op.BLOCK_STATUS:
                request.extents = find_extents(self._descriptor, request.offset, request.length)
            else:
                self._transfer(request)
        except OSError as error:
            return self._failure(request, error)
        return GOOD

    def _transfer(self, request: Request) -> None:
        assert request.buffer is not None
        buffer, offset = request.buffer, request.offset
        while buffer:
            if request.op is Op.READ:
                count = os.preadv(self._descriptor, (buffer,), offset)
            else:
                count = os.pwrite(self._descriptor, buffer, offset)
            if not count:
                raise OSError(errno.EIO, f"{self._path} ends at {offset}")
            buffer, offset = buffer[count:], offset + count

    def _done(
        self,
        request: Request,
        settled: Settled,
        claim: Claim,
        status: Status | None,
        error: BaseException | None,
    ) -> None:
        if error is not None:
            raise error
        request.status = status
        if status is not GOOD and status is not None:
            self._tell(status)
        self._lock.release(claim)
        settled([request])

    def _failure(self, request: Request, error: OSError) -> Status:
        name = request.op.name
        reason = f"{self._path}: {name} of {request.length} bytes at {request.offset}: {error}"
        if error.errno in _FULL:
            return Status(Code.NO_SPACE, reason, request.offset)
        code = Code.READ_ERROR if request.op is Op.READ else Code.WRITE_ERROR
        return Status(code, reason, request.offset)

    def _tell(self, status: Status) -> None:
        """Report that the medium fails; not each time."""
        now = self._reactor.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _EVENT_INTERVAL_S
            code = "file.full" if status.code is Code.NO_SPACE else "file.failed"
            self._emit(Event(code, status.reason, self._subject, "error"))

    # -- flushing ----------------------------------------------------------------------------------

    def _flush(self, request: Request, settled: Settled) -> None:
        """One fdatasync at a time; those that come meanwhile share the next one."""
        if self._flush_failure is not None:
            request.status = self._flush_failure
            return
        self._to_flush.append((request, settled))
        if self._flushing is None:
            self._begin_flush()

    def _begin_flush(self) -> None:
        self._flushing, self._to_flush = self._to_flush, []
        self._offload(partial(os.fdatasync, self._descriptor), self._flushed)

    def _flushed(self, _result: None, error: BaseException | None) -> None:
        assert self._flushing is not None
        done, self._flushing = self._flushing, None
        if error is not None:
            # The kernel forgets what it could not write: no later flush may claim success.
            reason = f"{self._path} could not be flushed: {error}. Reopen the volume and check it"
            self._flush_failure = Status(Code.WRITE_ERROR, reason)
            done += self._to_flush
            self._to_flush = []
        status = self._flush_failure or GOOD
        if error is not None:
            self._tell(status)
        if self._to_flush:
            self._begin_flush()
        answers: dict[Settled, list[Request]] = {}
        for request, settled in done:
            request.status = status
            answers.setdefault(settled, []).append(request)
        for settled, requests in answers.items():
            settled(requests)


def find_extents(descriptor: int, offset: int, length: int) -> tuple[Extent, ...]:
    """Return the runs of data and holes between `offset` and `offset + length`."""
    extents: list[Extent] = []
    end = offset + length
    while offset < end:
        try:
            data = min(os.lseek(descriptor, offset, os.SEEK_DATA), end)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = end
        if data > offset:
            extents.append(Extent(offset, data - offset, is_hole=True))
        if data < end:
            hole = min(os.lseek(descriptor, data, os.SEEK_HOLE), end)
            extents.append(Extent(data, hole - data, is_hole=False))
            data = hole
        offset = data
    return tuple(extents)


def _made(volume: VolumeSpec) -> Path:
    """Return the note that the volume's file is ours to remove."""
    return volume.folder / "file-made-here"


class FileLifecycle:
    """Makes the file with the volume, and removes it with the volume."""

    def create(self, volume: VolumeSpec) -> None:
        """Make the file, sparse; a block device must be there.

        Raises:
            ConflictError: A file is there and has bytes in it: it is left alone.
        """
        path = Path(volume.engine_options.path)
        if path.is_block_device():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(descriptor).st_size
            if found == 0:
                os.ftruncate(descriptor, volume.size_bytes)
                os.fsync(descriptor)
                _made(volume).parent.mkdir(parents=True, exist_ok=True)
                _made(volume).write_text(f"{path}\n")
            elif found != volume.size_bytes:
                raise ConflictError(
                    f"{path} has {found} bytes already, the volume {volume.size_bytes}: choose "
                    "another path, or give the volume that size to use the file as it is"
                )
        finally:
            os.close(descriptor)

    def delete(self, volume: VolumeSpec) -> None:
        """Remove the file if `create` made it; what was there before keeps its bytes."""
        if _made(volume).exists():
            Path(volume.engine_options.path).unlink(missing_ok=True)
            _made(volume).unlink()

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        """Name no process: the target reads and writes the file itself."""
        del volume
        return ()

    def adopt(self, folders: tuple[Path, ...]) -> Mapping[str, Any]:
        """Refuse: a raw file does not say whose it is.

        Raises:
            FormatError: Always.
        """
        raise FormatError(
            "a raw file does not describe its volume: create the volume again with this path and "
            "the file's size, and the file is used as it is",
            path=folders[0],
        )
