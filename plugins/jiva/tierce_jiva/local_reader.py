"""Reading a replica's head file in the target's own process, where both are on one machine."""

from __future__ import annotations

import os
from collections.abc import Callable

import attrs

from tierce import Code, Reactor, Request, Status
from tierce_jiva.links import Head


@attrs.define(eq=False)
class _File:
    """An open head file, closed by who uses it last."""

    descriptor: int
    readers: int = 0
    is_forgotten: bool = False

    def close_if_unused(self) -> None:
        if self.is_forgotten and not self.readers:
            os.close(self.descriptor)
            self.descriptor = -1


class LocalFiles:
    """Open head files, for reading only.

    Which file may be read, and when, is the state machine's to decide. A descriptor is kept for
    one connection of one incarnation of the replica, and only if its path leads to the very file
    that the replica has open.

    Args:
        reactor: The target's loop.
        size_bytes: The volume's size in bytes.
    """

    def __init__(self, reactor: Reactor, size_bytes: int) -> None:
        self._reactor = reactor
        self._size_bytes = size_bytes
        self._files: dict[Head, _File] = {}
        self._is_closed = False

    def read_cached(self, head: Head, requests: list[Request]) -> list[Request] | None:
        """Fill what is in the page cache; see `LocalReader`."""
        file = self._files.get(head)
        if file is None:
            file = self._open(head)
            if file is None:
                return None
        preadv, nowait, descriptor = os.preadv, os.RWF_NOWAIT, file.descriptor
        missed: list[Request] = []
        for request in requests:
            buffer = request.buffer
            assert buffer is not None
            try:
                if preadv(descriptor, (buffer,), request.offset, nowait) != request.length:
                    missed.append(request)
            except OSError:
                missed.append(request)
        return missed

    def read(self, head: Head, requests: list[Request], done: Callable[[], None]) -> None:
        """Fill the requests on a worker thread, then call `done`: one that failed has a status,
        the others none. The file is one that `read_cached` has found, and not forgotten."""
        file = self._files[head]
        file.readers += 1
        self._reactor.offload(
            lambda: _read_all(file.descriptor, requests),
            lambda _result, error: self._done(file, done, error),
        )

    def forget(self, head: Head) -> None:
        """Close the file, as soon as no worker reads it."""
        file = self._files.pop(head, None)
        if file is not None:
            file.is_forgotten = True
            file.close_if_unused()

    def close(self) -> None:
        """Close all files, as soon as no worker reads them."""
        self._is_closed = True
        for head in list(self._files):
            self.forget(head)

    def _open(self, head: Head) -> _File | None:
        try:
            descriptor = os.open(head.path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None  # Not there, or no path at all.
        found = os.fstat(descriptor)
        wanted = (head.device, head.inode, self._size_bytes)
        if (found.st_dev, found.st_ino, found.st_size) != wanted:
            os.close(descriptor)
            return None
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        file = self._files[head] = _File(descriptor)
        return file

    def _done(self, file: _File, done: Callable[[], None], error: BaseException | None) -> None:
        file.readers -= 1
        file.close_if_unused()
        if error is not None:
            raise error
        if not self._is_closed:
            done()


def _read_all(descriptor: int, requests: list[Request]) -> None:
    """Fill each request; one that fails gets a status, the others none. On a worker thread."""
    for request in requests:
        assert request.buffer is not None
        at, buffer = request.offset, request.buffer
        reason = f"its file ends before byte {at + request.length}"
        try:
            while buffer and (count := os.preadv(descriptor, (buffer,), at)):
                buffer, at = buffer[count:], at + count
        except OSError as error:
            reason = f"its file can't be read at byte {at}: {error.strerror}"
        if buffer:
            request.status = Status(Code.READ_ERROR, reason, at)
