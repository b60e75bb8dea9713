"""The machines of the simulation, and the replicas' processes on them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from jiva.shells import ReplicaShell
from jiva.sim.blocks import BLOCK, ViolationError
from jiva.sim.disks import Disk, Image
from jiva.sim.network import Connection
from tierce import BatchEntry
from tierce_jiva.ballot import Membership, Record
from tierce_jiva.record_file import decode_record, encode_record
from tierce_jiva.replica import Replica
from tierce_jiva.replica_actions import (
    Action,
    DigestExtents,
    Fetch,
    FindExtents,
    Hangup,
    Log,
    Pause,
    Reopen,
    Report,
    Resume,
    Save,
    Send,
    Stop,
    Sync,
)
from tierce_jiva.wire import Frame, Kind

if TYPE_CHECKING:
    from jiva.simulation import World

UUID = "0123456789abcdef0123456789abcdef"
#: A supervisor starts what ended at once, or a little later.
_RESTARTS_S = (0.02, 0.1, 0.4)
#: How long workers take at most, but for a sync: that is the disk's affair.
_WORK_S: dict[type[Action], float] = {
    Save: 0.01,
    Fetch: 0.05,
    DigestExtents: 0.02,
    FindExtents: 0.02,
    Reopen: 0.02,
}
_TELL_S = 0.1


@attrs.define(eq=False)
class Machine:
    """What loses power together. Whoever runs on it reads each other's files."""

    name: str
    boot: int = 0
    is_powered: bool = True

    @property
    def boot_id(self) -> str:
        return f"{self.name}-boot-{self.boot}"


@attrs.frozen
class Copy:
    """A replica's folder as it was once."""

    record: Record
    saved: bytes
    image: Image


@attrs.define(eq=False)
class Node:
    """A replica: its folder, and its process if it has one.

    Attributes:
        name: Its name.
        machine: Where it is.
        disk: The file that holds its bytes.
        record: What its folder says.
        saved: The bytes that say it.
        noise: Where a byte of them is read wrong, and how; None where all is well.
        written: Regions that were written since they were marked.
        process: Its process.
        is_hung: Its process stands still.
        save_error: Its record can't be replaced.
        is_damaged: Its folder is not what it was: rolled back, or cut short, and not let in since.
        stalled: What waits until it goes on.
        copies: Copies of its folder that lie about.
    """

    name: str
    machine: Machine
    disk: Disk
    record: Record
    saved: bytes
    noise: tuple[int, int] | None = None
    written: set[int] = attrs.field(factory=set)
    process: Process | None = None
    is_hung: bool = False
    save_error: bool = False
    is_damaged: bool = False
    stalled: list[Callable[[], None]] = attrs.field(factory=list)
    copies: list[Copy] = attrs.field(factory=list)

    @property
    def is_powered(self) -> bool:
        return self.machine.is_powered

    def read_record(self) -> bytes:
        """Read the record's bytes."""
        data = bytearray(self.saved)
        if self.noise is not None:
            at, bit = self.noise
            data[at] ^= 1 << bit
        return bytes(data)


class _WatchedStore:
    """What the replica asks of its disk on its data thread, held to the rule of marks."""

    def __init__(self, world: World, node: Node) -> None:
        self._world = world
        self._node = node
        self.read_cached = node.disk.read_cached
        self.check = node.disk.check

    def write(self, offset: int, data: memoryview) -> None:
        self._mark(offset, len(data))
        self._node.disk.write(offset, data)

    def discard(self, offset: int, length: int) -> None:
        self._mark(offset, length)
        self._node.disk.discard(offset, length)

    def _mark(self, offset: int, length: int) -> None:
        node, regions = self._node, self._world.regions.covering(offset, length)
        if self._world.memory.is_member(node) and not node.record.marks.issuperset(regions):
            raise ViolationError(f"{node.name} writes at {offset} before its mark is durable")
        node.written.update(regions)


class Process(ReplicaShell):
    """One replica's process: carries the real state machine's actions out, each a while later.

    Raises:
        FormatError: Its record is damaged.
    """

    def __init__(self, world: World, node: Node) -> None:
        self.world = world
        self.node = node
        self.is_alive = True
        self.connections: dict[int, Connection] = {}
        self.pending_save: Record | None = None
        #: The membership that lets it in: once that is saved it is as it should be.
        self.proof: Membership | None = None
        #: A sync has failed, and the record does not say so yet.
        self.has_secret = False
        self.incarnation = world.next_number()
        self.random = world.stream("process", self.incarnation)
        node.disk.is_broken = False
        path = Path(f"/{node.name}")
        node.record = decode_record(node.read_record(), UUID, node.name, world.regions, path)
        self.replica = Replica(
            name=node.name,
            uuid=UUID,
            size_bytes=world.size_bytes,
            record=node.record,
            store=_WatchedStore(world, node),
            boot_id=node.machine.boot_id,
            head=node.disk.identity,
            facts={
                "head": f"/{node.name}/head",
                "device": 1,
                "inode": node.disk.inode,
                "incarnation": self.incarnation,
            },
            admit=self._admit if world.delays_admission else None,
            clock=self._clock_ns,
        )
        self._admission = world.stream("admission", self.incarnation)

    # -- what happens ------------------------------------------------------------------------------

    def received(self, number: int, frames: list[Frame]) -> None:
        """Frames have arrived."""
        if not self.is_alive:
            return
        for frame in frames:
            if frame.kind is Kind.CONTROL:
                self._look_for_proof(frame)
        self.carry_out(self.replica.received(number, frames, self._clock_ns()))

    def _clock_ns(self) -> int:
        return int(self.world.now * 1e9)

    def disconnected(self, number: int) -> None:
        """A connection has ended."""
        self.connections.pop(number, None)
        if self.is_alive:
            self.replica.disconnected(number)

    def end(self) -> None:
        """kill -9: what was being saved is saved or not; the page cache stays."""
        self.is_alive = False
        saved = self.pending_save if self.random.random() < 0.5 else None
        # What is saved at the last moment is judged by what dies with the process.
        self.has_secret = self.has_secret and not (saved is not None and saved.suspect)
        if self.node.written:
            self.world.memory.restart(self.node, has_secret=self.has_secret)
        if saved is not None:
            self._keep(saved)
        self.world.memory.tell(self.node)
        if not self.node.written and not self.node.record.suspect:
            # A sync may have failed, of nothing that anybody has written, and nobody knows.
            self.world.memory.mend(self.node)
        self.node.process = None
        for connection in list(self.connections.values()):
            connection.close_at_replica()

    def _look_for_proof(self, frame: Frame) -> None:
        message = frame.control()
        is_accept = message.get("kind") == "accept"
        if is_accept and message["let_in"].get(self.node.name) == self.incarnation:
            self.proof = Membership.from_json(message["membership"])

    # -- what it does ------------------------------------------------------------------------------

    @property
    def medium(self) -> Disk:
        return self.node.disk

    @property
    def is_running(self) -> bool:
        return self.is_alive

    def at_work(self, action: Action, work: Callable[[], None]) -> None:
        if isinstance(action, Save):
            self.pending_save = action.record
            self.world.saw("save", self.node)
        elif isinstance(action, Sync):
            self.world.saw("sync", self.node)
        self._later(work, _WORK_S.get(type(action), self.node.disk.sync_s))

    def when_told(self, action: Action, tell: Callable[[], None]) -> None:
        if isinstance(action, FindExtents):
            # What it saw is told a while later.
            self._later(tell, _TELL_S)
        else:
            tell()

    def hang_up(self, action: Hangup) -> None:
        connection = self.connections.pop(action.connection, None)
        if connection is not None:
            connection.close_at_replica()

    def hold(self, action: Pause | Resume) -> None:
        connection = self.connections.get(action.connection)
        if connection is not None:
            connection.is_paused = isinstance(action, Pause)

    def _admit(self, number: int, _entries: list[BatchEntry]) -> bool:
        """Let a batch wait now and then while things go wrong, and some fail for want of space."""
        chance = self._admission
        if chance.random() < 0.3 or self.world.now > self.world.faults_s:
            return True
        error = OSError(errno.ENOSPC, "planned") if chance.random() < 0.02 else None

        def ready() -> None:
            self.world.tally["late admission"] += 1
            self.carry_out(self.replica.admitted(number, error))

        self._later(ready, chance.choice([0.0, 0.02, 0.2, 1.0]))
        return False

    def report(self, action: Report) -> None:
        self.world.tally[action.code] += 1

    def send(self, action: Send) -> None:
        connection = self.connections.get(action.connection)
        if connection is not None:
            connection.answer(action.data)
        if b'"redone", "done": true' in action.data:
            # Whoever hears of it, or nobody: all was written again, and flushed.
            self.world.memory.mend(self.node)

    def log(self, _action: Log) -> None:
        """Nobody reads it."""

    def stop(self, _action: Stop) -> None:
        """It ends itself, and is started again."""
        self.world.tally["replica ended itself"] += 1
        self.world.kill_replica(self.node)
        self.world.later(
            self.random.choice(_RESTARTS_S), lambda: self.world.start_replica(self.node)
        )

    def _later(self, call: Callable[[], None], delay_s: float) -> None:
        def run() -> None:
            if not self.is_alive:
                return
            if self.node.is_hung:
                self.node.stalled.append(run)
            else:
                call()

        self.world.later(self.random.random() * delay_s, run)

    def save(self, _action: Save) -> str:
        record, self.pending_save = self.pending_save, None
        assert record is not None
        if self.node.save_error:
            self.world.tally["failed save"] += 1
            return "planned"
        self._keep(record)
        self.world.saw("saved", self.node)
        return ""

    def _keep(self, record: Record) -> None:
        node, memory = self.node, self.world.memory
        cleared = node.record.marks - record.marks
        if cleared:
            if memory.is_member(node):
                self._check_settled(cleared)
            self.world.tally["cleared mark"] += len(cleared)
            self.world.saw("cleared mark", node)
            node.written -= cleared
            if not node.written:
                memory.settle(node)
        node.record = record
        node.noise = None
        node.saved = encode_record(record, UUID, node.name, self.world.regions)
        self.has_secret = self.has_secret and not record.suspect
        if record.suspect:
            memory.tell(node)
        proof, accepted = self.proof, record.accepted
        if proof and accepted.ballot == proof.ballot and accepted.rank >= proof.rank:
            self.proof = None
            node.is_damaged = False
            memory.prove(node)
        self.world.saved(node, record)
        memory.accepted(node, record)

    def _check_settled(self, regions: frozenset[int]) -> None:
        """Before a mark goes: no loss of power may take what is read."""
        disk = self.node.disk
        for index, held in disk.cached.items():
            region = index * BLOCK >> self.world.regions.shift
            if region in regions and disk.may_leave(index) != {held}:
                raise ViolationError(f"{self.node.name}'s mark goes, {held} at {index} may be lost")

    def reopen(self) -> None:
        super().reopen()
        self.world.tally["renewal"] += 1

    def begin_sync(self) -> Callable[[], OSError | None]:
        return partial(self._end_sync, self.node.disk.begin_sync())

    def _end_sync(self, began: dict[int, int]) -> OSError | None:
        disk = self.node.disk
        has_failed = disk.sync_error or disk.is_broken
        disk.end_sync(began, failed=has_failed)
        if has_failed:
            disk.is_broken = True
            self.has_secret = bool(self.node.written)
            self.world.lose_to_failed_sync(self.node)
        self.world.saw("failed sync" if has_failed else "synced", self.node)
        return OSError(errno.EIO, "planned") if has_failed else None
