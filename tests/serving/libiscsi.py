"""An iSCSI initiator for tests: libiscsi through ctypes, many commands in flight.

Nothing is retried and nothing is reconnected: a session that breaks says so, and what was in
flight then was neither acknowledged nor refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import select
import time
from collections.abc import Callable
from typing import Any

import attrs

GOOD = 0
CHECK_CONDITION = 2
TASK_SET_FULL = 0x28
#: From here on statuses are libiscsi's own: cancelled, error, timeout.
LOCAL_STATUS = 0x0F000000
SESSION_NORMAL = 2
#: A command that takes longer than this is a failure, not a delay.
COMMAND_TIMEOUT_S = 60

Done = Callable[[int], None]


class BrokenSessionError(Exception):
    """The connection is gone, or there was none."""


class _Url(ctypes.Structure):
    # iscsi/iscsi.h, struct iscsi_url.
    _fields_ = (
        ("portal", ctypes.c_char * 256),
        ("target", ctypes.c_char * 256),
        ("user", ctypes.c_char * 256),
        ("passwd", ctypes.c_char * 256),
        ("target_user", ctypes.c_char * 256),
        ("target_passwd", ctypes.c_char * 256),
        ("lun", ctypes.c_int),
    )


class _UnmapList(ctypes.Structure):
    # iscsi/iscsi.h, struct unmap_list.
    _fields_ = (("lba", ctypes.c_uint64), ("num", ctypes.c_uint32))


_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return libiscsi, or None where it isn't installed."""
    name = ctypes.util.find_library("iscsi")
    if name is None:
        return None
    lib = ctypes.CDLL(name)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for function in (lib.iscsi_create_context, lib.iscsi_parse_full_url):
        function.restype = pointer
    lib.iscsi_get_error.restype = ctypes.c_char_p
    lib.iscsi_get_error.argtypes = [pointer]
    lib.iscsi_full_connect_sync.argtypes = [pointer, ctypes.c_char_p, number]
    for function in (lib.iscsi_write16_task, lib.iscsi_synchronizecache10_task):
        function.restype = pointer
    lib.iscsi_write16_task.argtypes = [
        *(pointer, number, ctypes.c_uint64, pointer, ctypes.c_uint32),
        *([number] * 6),
        *(_CALLBACK, pointer),
    ]
    lib.iscsi_read16_task.restype = pointer
    lib.iscsi_read16_task.argtypes = [
        *(pointer, number, ctypes.c_uint64, ctypes.c_uint32),
        *([number] * 6),
        *(_CALLBACK, pointer),
    ]
    lib.iscsi_synchronizecache10_task.argtypes = [
        *(pointer, number, number, number, number, number),
        *(_CALLBACK, pointer),
    ]
    lib.iscsi_unmap_task.restype = pointer
    lib.iscsi_unmap_task.argtypes = [
        *(pointer, number, number, number, pointer, number),
        *(_CALLBACK, pointer),
    ]
    lib.scsi_task_add_data_in_buffer.argtypes = [pointer, number, pointer]
    return lib


@attrs.define(eq=False)
class _Pending:
    """A command in flight; the buffer must live as long as it."""

    task: int
    buffer: Any
    done: Done


class Session:
    """One session on LUN 0, driven by `serve`.

    Args:
        url: iscsi://HOST:PORT/IQN/LUN.
        initiator: The initiator's IQN.
        block_size: The volume's, in bytes.
    """

    def __init__(self, url: str, initiator: str, block_size: int = 512) -> None:
        lib = library()
        assert lib is not None, "libiscsi is not installed"
        self._lib = lib
        self._block_size = block_size
        self._pending: dict[int, _Pending] = {}
        self._last = 0
        self._callback = _CALLBACK(self._answered)
        self._context: int | None = self._ask("create_context", initiator.encode())
        self.is_broken = False
        self.sense: list[int] = []
        parsed = self._ask("parse_full_url", self._at, url.encode())
        if not parsed:
            raise ValueError(self._error())
        where = _Url.from_address(parsed)
        portal, target, self._lun = where.portal, where.target, where.lun
        self._ask("destroy_url", ctypes.c_void_p(parsed))
        self._ask("set_targetname", self._at, target)
        self._ask("set_session_type", self._at, SESSION_NORMAL)
        self._ask("set_noautoreconnect", self._at, 1)
        self._ask("set_timeout", self._at, 5)
        if self._ask("full_connect_sync", self._at, portal, self._lun):
            error = self._error()
            self.close()
            raise BrokenSessionError(error)
        self._ask("set_timeout", self._at, COMMAND_TIMEOUT_S)

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def write(self, offset: int, data: bytes, done: Done, *, fua: bool = False) -> None:
        """Send a WRITE(16); `done` gets the status."""
        buffer = ctypes.create_string_buffer(data, len(data))
        lba, size = divmod(offset, self._block_size)
        assert size == 0
        self._start(
            "write16_task",
            *(lba, ctypes.addressof(buffer), len(data), self._block_size, 0, 0, int(fua), 0, 0),
            buffer=buffer,
            done=done,
        )

    def read(self, offset: int, length: int, done: Callable[[int, bytes], None]) -> None:
        """Send a READ(16); `done` gets the status and what was read."""
        buffer = ctypes.create_string_buffer(length)
        task = self._start(
            "read16_task",
            *(offset // self._block_size, length, self._block_size, 0, 0, 0, 0, 0),
            buffer=buffer,
            done=lambda status: done(status, buffer.raw),
        )
        # Nothing has been received yet: replies come in `serve` only.
        self._lib.scsi_task_add_data_in_buffer(task, length, ctypes.addressof(buffer))

    def discard(self, offset: int, length: int, done: Done) -> None:
        """Send an UNMAP of one extent."""
        extents = _UnmapList(offset // self._block_size, length // self._block_size)
        self._start("unmap_task", 0, 0, ctypes.addressof(extents), 1, buffer=extents, done=done)

    def flush(self, done: Done) -> None:
        """Send a SYNCHRONIZE CACHE(10) of the whole volume."""
        self._start("synchronizecache10_task", 0, 0, 0, 0, buffer=None, done=done)

    def serve(self, wait_s: float = 1.0) -> None:
        """Send and receive what is possible now; wait for it at most so long."""
        if self.is_broken:
            return
        descriptor = self._ask("get_fd", self._at)
        poll = select.poll()
        poll.register(descriptor, self._ask("which_events", self._at))
        ready = poll.poll(wait_s * 1000)
        if self._ask("service", self._at, ready[0][1] if ready else 0) < 0:
            self.is_broken = True

    def complete(self, within_s: float = COMMAND_TIMEOUT_S) -> None:
        """Drive until nothing is in flight or the session is broken."""
        deadline = time.monotonic() + within_s
        while self._pending and not self.is_broken:
            assert time.monotonic() < deadline, f"{self.in_flight} commands were not answered"
            self.serve(0.2)

    def write_now(self, offset: int, data: bytes) -> None:
        """Write and wait; anything but GOOD is an error."""
        statuses: list[int] = []
        self.write(offset, data, statuses.append)
        self.complete()
        self._expect_good(statuses)

    def read_now(self, offset: int, length: int) -> bytes:
        """Read and wait; anything but GOOD is an error."""
        answers: list[tuple[int, bytes]] = []
        self.read(offset, length, lambda status, data: answers.append((status, data)))
        self.complete()
        self._expect_good([status for status, _ in answers])
        return answers[0][1]

    def flush_now(self) -> None:
        """Flush and wait; anything but GOOD is an error."""
        statuses: list[int] = []
        self.flush(statuses.append)
        self.complete()
        self._expect_good(statuses)

    def error(self) -> str:
        """Return what the library says of the last failure."""
        return self._error()

    def close(self) -> None:
        """End the connection without a logout; what is in flight is forgotten."""
        if self._context is not None:
            self.is_broken = True
            self._pending.clear()
            self._ask("destroy_context", self._at)
            self._context = None

    @property
    def _at(self) -> ctypes.c_void_p:
        assert self._context is not None, "the session is closed"
        return ctypes.c_void_p(self._context)

    def _ask(self, name: str, *arguments: Any) -> Any:
        return getattr(self._lib, f"iscsi_{name}")(*arguments)

    def _error(self) -> str:
        return str((self._lib.iscsi_get_error(self._at) or b"").decode(errors="replace"))

    def _expect_good(self, statuses: list[int]) -> None:
        if self.is_broken or not statuses or statuses[0] >= LOCAL_STATUS:
            raise BrokenSessionError(self._error())
        assert statuses[0] == GOOD, f"status {statuses[0]:#x}: {self._error()}"

    def _start(self, name: str, *arguments: Any, buffer: Any, done: Done) -> int:
        self._last += 1
        number = self._last
        self._pending[number] = _Pending(0, buffer, done)
        task = self._ask(name, self._at, self._lun, *arguments, self._callback, number)
        if not task:
            del self._pending[number]
            self.is_broken = True
            raise BrokenSessionError(self._error())
        if number in self._pending:
            self._pending[number].task = task
        return int(task)

    def _answered(self, _context: int, status: int, _task: int, number: int) -> None:
        pending = self._pending.pop(number, None)
        if pending is None:
            return
        if status >= LOCAL_STATUS:
            # Cancelled, as the connection broke: whether it was done nobody knows.
            self.is_broken = True
        elif pending.task:
            self._lib.scsi_free_scsi_task(ctypes.c_void_p(pending.task))
        with contextlib.suppress(BrokenSessionError):
            pending.done(status)
