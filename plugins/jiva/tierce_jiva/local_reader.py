"""Reading a replica's head file in the target's own process, where both are on one machine."""

from __future__ import annotations

import os
from collections.abc import Callable

from tierce import Code, Reactor, Request, Status


class LocalFiles:
    """Open head files, for reading only.

    Which file may be read, and when, is the state machine's to decide; a replica's file is never
    replaced under its path while its connection is up.

    Args:
        reactor: The target's loop.
        size_bytes: The volume's size in bytes.
        after: Called after reads of a worker thread were passed on.
    """

    def __init__(self, reactor: Reactor, size_bytes: int, after: Callable[[], None]) -> None:
        self._reactor = reactor
        self._after = after
        self._size_bytes = size_bytes
        self._descriptors: dict[str, int] = {}
        self._running = 0
        self._is_closed = False

    def read(
        self, head: str, requests: list[Request], done: Callable[[list[Request]], None]
    ) -> list[Request] | None:
        """Fill what is in the page cache at once; see `LocalReader`."""
        descriptor = self._descriptors.get(head)
        if descriptor is None:
            descriptor = self._open(head)
            if descriptor is None:
                return None
        preadv, nowait = os.preadv, os.RWF_NOWAIT
        missed: list[Request] = []
        for request in requests:
            buffer = request.buffer
            assert buffer is not None
            try:
                if preadv(descriptor, (buffer,), request.offset, nowait) != request.length:
                    missed.append(request)
            except OSError:
                missed.append(request)
        if missed:
            self._running += 1
            self._reactor.offload(
                lambda: _read_all(descriptor, missed),
                lambda _result, error: self._done(missed, done, error),
            )
        return missed

    def close(self) -> None:
        """Close the files, as soon as no worker reads them."""
        self._is_closed = True
        if not self._running:
            for descriptor in self._descriptors.values():
                os.close(descriptor)
            self._descriptors.clear()

    def _open(self, head: str) -> int | None:
        try:
            descriptor = os.open(head, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        if os.fstat(descriptor).st_size != self._size_bytes:
            os.close(descriptor)
            return None
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        self._descriptors[head] = descriptor
        return descriptor

    def _done(
        self,
        requests: list[Request],
        done: Callable[[list[Request]], None],
        error: BaseException | None,
    ) -> None:
        self._running -= 1
        if error is not None:
            raise error
        if self._is_closed:
            self.close()
        else:
            done(requests)
            self._after()


def _read_all(descriptor: int, requests: list[Request]) -> None:
    """Fill each request; one that fails gets a status, the others none. On a worker thread."""
    for request in requests:
        assert request.buffer is not None
        at, buffer = request.offset, request.buffer
        reason = "the file is too short"
        try:
            while buffer and (count := os.preadv(descriptor, (buffer,), at)):
                buffer, at = buffer[count:], at + count
        except OSError as error:
            reason = str(error)
        if buffer:
            request.status = Status(Code.READ_ERROR, reason, at)
