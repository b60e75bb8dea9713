"""A replicated volume in one thread: the real state machines, wired by hand-carried frames.

Time stands still until `run` moves it; every connection is a queue of bytes that the test may cut.
"""

from __future__ import annotations

import errno
import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from tierce import Event, Op, Request
from tierce_jiva.ballot import NO_BALLOT, Membership, Record
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.read_path import LocalReader
from tierce_jiva.replica import Replica
from tierce_jiva.replica_actions import (
    Action,
    DigestExtents,
    Fetch,
    Hangup,
    Renew,
    Report,
    Save,
    Send,
    Stop,
    Sync,
)
from tierce_jiva.replicator import Replicator
from tierce_jiva.wire import DIGEST_BYTES, FrameReader

UUID = "0123456789abcdef0123456789abcdef"


class MemoryStore:
    """Bytes with a page cache: `cached` is what reads see, `durable` what a power loss leaves."""

    def __init__(self, size_bytes: int) -> None:
        self.cached = bytearray(size_bytes)
        self.durable = bytearray(size_bytes)
        self.fail_write: OSError | None = None
        self.fail_sync: OSError | None = None
        self.renewals = 0
        self.is_cut = False

    def check(self) -> None:
        if self.is_cut:
            raise OSError(errno.EIO, "the head is shorter than the volume")

    def write(self, offset: int, data: memoryview) -> None:
        if self.fail_write is not None:
            raise self.fail_write
        self.cached[offset : offset + len(data)] = data

    def discard(self, offset: int, length: int) -> None:
        self.write(offset, memoryview(bytes(length)))

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        buffer[:] = self.cached[offset : offset + len(buffer)]
        return True

    def renew(self) -> None:
        self.renewals += 1

    def lose_power(self) -> None:
        self.cached = bytearray(self.durable)


@attrs.define(eq=False)
class Node:
    """A machine with one replica."""

    name: str
    store: MemoryStore
    record: Record
    boot: int = 0
    #: Which file holds its bytes.
    head: str = "1:1"
    incarnation: int = 0
    reports: list[str] = attrs.field(factory=list)
    replica: Replica | None = None
    is_hung: bool = False
    stops: list[str] = attrs.field(factory=list)

    @property
    def boot_id(self) -> str:
        return f"{self.name}-boot-{self.boot}"


@attrs.define(eq=False)
class Pipe:
    """One connection: bytes on their way, each way."""

    number: int
    to_replica: deque[bytes] = attrs.field(factory=deque)
    to_target: deque[bytes] = attrs.field(factory=deque)
    at_replica: FrameReader = attrs.field(factory=FrameReader)
    at_target: FrameReader = attrs.field(factory=FrameReader)


class Cluster:
    """Three nodes, or as many as asked for, and one target."""

    def __init__(self, count: int = 3, size_bytes: int = 4 << 20, **options: Any) -> None:
        self.size_bytes = size_bytes
        names = tuple(f"replica-{number}" for number in range(1, count + 1))
        membership = Membership(NO_BALLOT, 0, names, names)
        self.nodes = {
            name: Node(
                name,
                MemoryStore(size_bytes),
                Record(NO_BALLOT, membership, f"{name}-boot-0", head="1:1"),
            )
            for name in names
        }
        self.options = JivaOptions(
            replicas=tuple(ReplicaOptions(folder=name) for name in names), **options
        )
        self.events: list[Event] = []
        self.published: Mapping[str, Any] = {}
        self.fenced: list[str] = []
        #: Reads replicas' files in the target's process, where the boot ids agree.
        self.local: LocalReader | None = None
        self.boot_id = "target-boot"
        self.restarts: list[str] = []
        self.now = 100.0
        self.wall = 1_000_000
        self.pipes: dict[str, Pipe] = {}
        self.cut: set[str] = set()
        self.settled: list[Request] = []
        self._number = 0
        self._incarnation = 0
        for node in self.nodes.values():
            self.start_replica(node.name)
        self.target = self.start_target()

    # -- starting and stopping -----------------------------------------------------------------

    def start_replica(self, name: str) -> None:
        node = self.nodes[name]
        self._incarnation += 1
        node.incarnation = self._incarnation
        node.replica = Replica(
            name=name,
            uuid=UUID,
            size_bytes=self.size_bytes,
            record=node.record,
            store=node.store,
            boot_id=node.boot_id,
            head=node.head,
            facts={
                "head": f"/{name}/head",
                "device": 1,
                "inode": int(node.head.partition(":")[0]),
                "incarnation": node.incarnation,
            },
        )

    def kill_replica(self, name: str) -> None:
        self.nodes[name].replica = None
        self.break_pipe(name, "killed")

    def power_off(self, name: str) -> None:
        self.kill_replica(name)
        node = self.nodes[name]
        node.store.lose_power()
        node.boot += 1

    def start_target(self) -> Replicator:
        self.wall += 1
        for name in list(self.pipes):
            self._drop_pipe(name)
        self.target = Replicator(
            Volume("demo", UUID, self.size_bytes, tuple(self.nodes), self.wall, self.boot_id),
            self.options,
            Host(
                emit=self.events.append,
                publish=lambda shown: setattr(self, "published", shown),
                fenced=self.fenced.append,
                restart=self.restarts.append,
                local=self.local,
                wall_ms=lambda: self.wall,
            ),
        )
        self.target.tick(self.now)
        return self.target

    def break_pipe(self, name: str, reason: str) -> None:
        if name in self.pipes:
            self._drop_pipe(name)
            self.target.links.now = self.now
            self.target.disconnected(name, reason)

    def _drop_pipe(self, name: str) -> None:
        pipe = self.pipes.pop(name)
        replica = self.nodes[name].replica
        if replica is not None:
            replica.disconnected(pipe.number)

    # -- moving ----------------------------------------------------------------------------------

    def connect(self) -> None:
        for name, node in self.nodes.items():
            if name not in self.pipes and node.replica is not None and name not in self.cut:
                self._number += 1
                self.pipes[name] = Pipe(self._number)
                node.replica.connected(self._number)
                self.target.connected(name)

    def step(self) -> bool:
        """Carry everything that is on its way one hop; False if nothing was."""
        moved = False
        self.target.links.now = self.now
        for name, reason in self.take_hangups():
            self.break_pipe(name, reason)
            moved = True
        for link in self.target.links:
            if link.outgoing:
                buffers, link.outgoing = link.outgoing, []
                if link.name in self.pipes:
                    self.pipes[link.name].to_replica.append(b"".join(map(bytes, buffers)))
                    moved = True
        for name in list(self.pipes):
            moved |= self._to_replica(name)
        for name in list(self.pipes):
            moved |= self._to_target(name)
        return moved

    def take_hangups(self) -> list[tuple[str, str]]:
        hangups, self.target.hangups = self.target.hangups, []
        return hangups

    def _to_replica(self, name: str) -> bool:
        pipe, node = self.pipes[name], self.nodes[name]
        if node.is_hung or not pipe.to_replica or node.replica is None:
            return False
        data = pipe.to_replica.popleft()
        pipe.at_replica.space()[: len(data)] = data
        frames = pipe.at_replica.received(len(data))
        self._carry_out(node, node.replica.received(pipe.number, frames))
        return True

    def _to_target(self, name: str) -> bool:
        pipe = self.pipes.get(name)
        if pipe is None or not pipe.to_target:
            return False
        data = pipe.to_target.popleft()
        pipe.at_target.space()[: len(data)] = data
        self.target.received(name, pipe.at_target.received(len(data)))
        return True

    def _carry_out(self, node: Node, actions: list[Action]) -> None:
        replica = node.replica
        assert replica is not None
        for action in actions:
            pipe = self.pipes.get(node.name)
            if isinstance(action, Send):
                if pipe is not None and pipe.number == action.connection:
                    pipe.to_target.append(action.data)
            elif isinstance(action, Save):
                node.record = action.record
                self._carry_out(node, replica.saved())
            elif isinstance(action, Sync):
                self._carry_out(node, replica.synced(self._sync(node.store)))
            elif isinstance(action, Fetch):
                pytest.fail("everything is cached here")
            elif isinstance(action, DigestExtents):
                digests = [
                    hashlib.blake2b(
                        node.store.cached[at : at + n], digest_size=DIGEST_BYTES
                    ).digest()
                    for at, n in action.extents
                ]
                self._carry_out(node, replica.digested(action, digests, None))
            elif isinstance(action, Renew):
                node.store.renew()
                self._carry_out(node, replica.renewed(action, None))
            elif isinstance(action, Hangup):
                if pipe is not None and pipe.number == action.connection:
                    self.break_pipe(node.name, action.reason)
            elif isinstance(action, Report):
                node.reports.append(action.code)
            elif isinstance(action, Stop):
                node.stops.append(action.reason)
                self.kill_replica(node.name)
                return

    @staticmethod
    def _sync(store: MemoryStore) -> OSError | None:
        if store.fail_sync is not None:
            return store.fail_sync
        store.durable = bytearray(store.cached)
        return None

    def run(self, seconds: float = 0.0, *, connect: bool = True) -> None:
        """Carry everything to its end, then let time pass in ticks."""
        end = self.now + seconds
        while True:
            for _ in range(10_000):
                if connect:
                    self.connect()
                if not self.step():
                    break
            else:
                raise AssertionError("it never comes to rest")
            if self.now >= end:
                return
            self.now = min(end, self.now + 0.1)
            self.target.tick(self.now)

    # -- using -------------------------------------------------------------------------------------

    def submit(self, *requests: Request) -> list[Request]:
        self.target.links.now = self.now
        self.target.submit(list(requests), self.settled.extend)
        return list(requests)

    def write(self, offset: int, data: bytes) -> Request:
        return self.submit(Request(Op.WRITE, offset, len(data), memoryview(data)))[0]

    def flush(self) -> Request:
        return self.submit(Request(Op.FLUSH))[0]

    def read(self, offset: int, length: int) -> Request:
        buffer = memoryview(bytearray(length))
        return self.submit(Request(Op.READ, offset, length, buffer))[0]

    def codes(self) -> list[str]:
        return [event.code for event in self.events]

    def states(self) -> dict[str, str]:
        return {shown["name"]: shown["state"] for shown in self.published["replicas"]}

    @property
    def is_serving(self) -> bool:
        return self.target.state is State.SERVING


def bytes_of(request: Request) -> bytes:
    assert request.buffer is not None
    return bytes(request.buffer)
