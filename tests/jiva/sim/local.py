"""Reading a replica's file from the target's own process, as `LocalFiles` does, on simulated
disks: descriptors that outlive their path, reads that wait on a worker thread, short reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jiva.sim.disks import Disk
from tierce import Code, Request, Status
from tierce_jiva.links import Head
from tierce_jiva.target_actions import ReadFile

if TYPE_CHECKING:
    from jiva.sim.target import Target

#: What a worker thread takes at most to read, and to tell; a disk may hang for long.
_THREADS_S = (0.02, 0.05, 2.0)


class SimLocalFiles:
    """Open head files of the target's machine.

    Args:
        target: Whose they are.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._world = target.world
        self._random = target.random
        self._files: dict[Head, Disk] = {}

    def read_cached(self, head: Head, requests: list[Request]) -> list[Request] | None:
        """Fill what is in the page cache; see `LocalReader`."""
        file = self._files.get(head)
        if file is None:
            file = self._open(head)
            if file is None:
                return None
        missed = []
        for request in requests:
            assert request.buffer is not None
            is_cold = file.read_error or self._random.random() < file.is_cold
            if is_cold or file.read_into(request.offset, request.buffer) < request.length:
                missed.append(request)
            else:
                self._world.tally["local read"] += 1
        return missed

    def read(self, action: ReadFile) -> None:
        """Read it on a worker thread, in some time."""
        file = self._files[action.head]
        delay = self._random.random() * self._random.choice(_THREADS_S)
        self._world.later(delay, lambda: self._read_all(file, action))

    def forget(self, head: Head) -> None:
        """Let the file go."""
        self._files.pop(head, None)

    def _open(self, head: Head) -> Disk | None:
        machine = self._target.machine
        for node in self._world.nodes.values():
            disk = node.disk
            is_there = node.machine is machine and head.path == f"/{node.name}/head"
            if node.is_damaged and node.process is None:
                continue  # Nobody restores a folder within the moment in which its process ends.
            if is_there and (disk.inode, disk.length) == (head.inode, disk.size_bytes):
                self._files[head] = disk
                return disk
        return None

    def _read_all(self, file: Disk, action: ReadFile) -> None:
        """On a worker thread; what it has read is told a while later."""
        for request in action.requests:
            assert request.buffer is not None
            there = 0 if file.read_error else file.read_into(request.offset, request.buffer)
            if there < request.length:
                request.status = Status(Code.READ_ERROR, "planned, or short", request.offset)
        self._world.tally["local read on a thread"] += len(action.requests)
        delay = self._random.random() * self._random.choice(_THREADS_S)
        self._world.later(
            delay, lambda: self._target.wakened(lambda: self._target.file_read(action))
        )
