"""Engine `file`: a raw file or a block device, unreplicated. How an engine is written on the batch
level: what the page cache holds is read at once, what it lacks goes to a worker thread, writes go
to the page cache, and only FLUSH waits for the disk.
"""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from itertools import islice
from pathlib import Path

import attrs

from tierce import (
    EXTENT_COUNT_MAX,
    GOOD,
    BaseDevice,
    Capabilities,
    Closed,
    Code,
    Completed,
    ConflictError,
    Event,
    ExtentHold,
    ExtentLock,
    FormatError,
    Geometry,
    LocalVolume,
    Op,
    OpenContext,
    Request,
    Status,
    can_punch_hole,
    explain,
    lock_file,
    punch_hole,
)
from tierce_engines.doubt import REGION_BYTES_MIN
from tierce_engines.extents import find_extents
from tierce_engines.file_record import check_same, record_of, tag, tag_of, write_record
from tierce_engines.flushing import Flusher

_READING = frozenset({Op.READ, Op.BLOCK_STATUS})
_ZEROING = frozenset({Op.DISCARD, Op.WRITE_ZEROES})
#: What a read that may not wait ends with where it would, or where the file system (tmpfs, NFS,
#: FUSE) can't read without waiting.
_NOT_AT_ONCE = frozenset({errno.EAGAIN, errno.EOPNOTSUPP})
#: A medium that fails is reported as an event no more often than this.
_EVENT_INTERVAL_S = 60.0


class FileDevice(BaseDevice):
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
        self._emit = context.emit
        self._subject = f"volume/{volume.name}"
        self._descriptor = open_disk(path)
        try:
            found = self._check(volume)
        except BaseException:
            os.close(self._descriptor)
            raise
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
        self._quiet_until = 0.0
        #: Extents of what is on a worker thread: what overlaps them waits.
        self._lock = ExtentLock()
        #: Why nothing may be read or written any more: the file was cut short.
        self._cut: Status | None = None
        self._flusher = Flusher(context, path, self._descriptor, self._lock)

    def _check(self, volume: LocalVolume) -> int:
        """Hold the file for as long as this process lives; return its length.

        Raises:
            ConflictError: Another volume has it, or it is another one than the volume was made on.
            FormatError: It is too short, or nobody knows what was made.
        """
        take(self._descriptor, volume.name, self._path)
        record = record_of(volume)
        check_same(volume, record, self._path, self._descriptor)
        if not tag_of(self._descriptor) and tag(self._descriptor, volume.uuid):
            message = f"{self._path} is not the file that was made: taken for a copy put in place"
            self._emit(Event("file.replaced", message, self._subject, "warning"))
        if record.path != str(self._path):
            write_record(volume.folder, attrs.evolve(record, path=str(self._path)))
        found = os.lseek(self._descriptor, 0, os.SEEK_END)
        if found < volume.size_bytes:
            raise FormatError(f"has {found} bytes, the volume {volume.size_bytes}", path=self._path)
        return found

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Do at once what does not wait."""
        preadv, pwrite, descriptor = os.preadv, os.pwrite, self._descriptor
        nowait, lock = os.RWF_NOWAIT, self._lock
        read, write, flush = Op.READ, Op.WRITE, Op.FLUSH
        touched, shift = self._flusher.touched, self._flusher.shift
        missed: list[Request] = []
        if self._cut is not None:
            refuse(batch, self._cut)
            return
        for request in batch:
            op, buffer = request.op, request.buffer
            try:
                if lock and op is not flush and not self._is_free(request):
                    self._do_later(request, completed)
                elif op is read:
                    assert buffer is not None
                    if preadv(descriptor, (buffer,), request.offset, nowait) == request.length:
                        request.status = GOOD
                    else:
                        missed.append(request)
                elif op is write:
                    assert buffer is not None
                    offset, length = request.offset, request.length
                    # Noted before, so that one that fails half-way is not forgotten.
                    touched[offset >> shift] = touched[(offset + length - 1) >> shift] = 1
                    if length > REGION_BYTES_MIN:
                        self._flusher.touch(offset, length)
                    if pwrite(descriptor, buffer, offset) == length:
                        request.status = GOOD
                    else:
                        self._do_later(request, completed)
                elif op is flush:
                    self._flusher.flush(request, completed)
                else:
                    self._do_later(request, completed)
            except OSError as error:
                self._fail_at_once(request, error, missed)
        for request in missed:
            self._do_later(request, completed)

    def _fail_at_once(self, request: Request, error: OSError, missed: list[Request]) -> None:
        if request.op is Op.READ and error.errno in _NOT_AT_ONCE:
            missed.append(request)
        else:
            request.status = self._failure(request, error)
            self._tell(request.status)

    def close(self, closed: Closed) -> None:
        """Make everything durable, then close the file."""

        def flushed(status: Status) -> None:
            os.close(self._descriptor)
            closed(status)

        self._flusher.close(flushed)

    # -- what waits --------------------------------------------------------------------------------

    def _is_free(self, request: Request) -> bool:
        is_read = request.op is Op.READ
        return self._lock.is_free(request.offset, request.length, exclusive=not is_read)

    def _do_later(self, request: Request, completed: Completed) -> None:
        """Do it on a worker thread, once nothing that overlaps is under way."""

        def granted(hold: ExtentHold) -> None:
            if exclusive:
                self._flusher.begin_change(request.offset, request.length)
            self._offload(partial(self._do, request), partial(self._done, request, completed, hold))

        exclusive = request.op not in _READING
        self._lock.acquire(request.offset, request.length, granted, exclusive=exclusive)

    def _do(self, request: Request) -> Status:
        """Do one operation, waiting for the disk. On a worker thread."""
        try:
            if request.op in _ZEROING:
                punch_hole(self._descriptor, request.offset, request.length)
            elif request.op is Op.BLOCK_STATUS:
                found = find_extents(self._descriptor, request.offset, request.length)
                request.extents = tuple(islice(found, EXTENT_COUNT_MAX))
            else:
                self._transfer(request)
        except OSError as error:
            return self._failure(request, error)
        except EOFError as end:
            reason = (
                f"{self._path} ends at {end}: it was cut short while it was served. Nothing is "
                "read from it or written to it any more; put its bytes back and start it again"
            )
            self._cut = Status(Code.READ_ERROR, reason, request.offset)
            return self._cut
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
                raise EOFError(offset)
            buffer, offset = buffer[count:], offset + count

    def _done(
        self,
        request: Request,
        completed: Completed,
        hold: ExtentHold,
        status: Status | None,
        error: BaseException | None,
    ) -> None:
        if error is not None:
            raise error
        request.status = status
        if request.op not in _READING:
            self._flusher.end_change(request.offset, request.length)
        if status is not GOOD and status is not None:
            self._tell(status)
        self._lock.release(hold)
        completed([request])

    def _failure(self, request: Request, error: OSError) -> Status:
        name = request.op.name
        why = explain(error)
        reason = f"{self._path}: {name} of {request.length} bytes at {request.offset}: {why}"
        code = Code.READ_ERROR if request.op is Op.READ else Code.WRITE_ERROR
        return Status.from_oserror(error, code, reason, request.offset)

    def _tell(self, status: Status) -> None:
        """Report that the medium fails; not each time."""
        now = self._reactor.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _EVENT_INTERVAL_S
            code = "file.full" if status.code is Code.NO_SPACE else "file.failed"
            self._emit(Event(code, status.reason, self._subject, "error"))


def refuse(batch: list[Request], status: Status) -> None:
    """Give all of them this status."""
    for request in batch:
        request.status = status


def open_disk(path: Path) -> int:
    """Open a regular file, or a block device that nobody uses, for reading and writing.

    Raises:
        FormatError: It is neither, or can't be opened.
        ConflictError: The device is mounted, or part of another.
    """
    try:
        kind = os.stat(path).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISBLK(kind):
            raise FormatError("is neither a file nor a block device", path=path)
        # Of a device that means: nobody else has it, no file system is mounted from it.
        exclusive = os.O_EXCL if stat.S_ISBLK(kind) else 0
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | exclusive)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise ConflictError(
                f"{path} is in use: mounted, or part of another device (`lsblk {path}`)"
            ) from error
        raise FormatError(f"can't be opened: {error.strerror}", path=path) from error


def take(descriptor: int, name: str, path: Path) -> None:
    """Hold an open file for as long as this process has it open.

    Raises:
        ConflictError: Another volume has it.
    """
    if not lock_file(descriptor):
        raise ConflictError(
            f"volume {name}: {path} is open for another volume, which would overwrite it: give "
            "each volume a path of its own"
        )
