"""The machines of the simulation: disks with a page cache, replica processes, connections."""

from __future__ import annotations

import errno
import hashlib
from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import attrs

from jiva.history import ViolationError
from tierce_jiva.ballot import Record
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
from tierce_jiva.wire import DIGEST_BYTES, Frame, FrameReader

if TYPE_CHECKING:
    from jiva.sim_target import Target
    from jiva.simulation import World

UUID = "0123456789abcdef0123456789abcdef"
BLOCK = 4096


def content(version: int) -> bytes:
    """Return what a block of that version holds."""
    return version.to_bytes(8, "little") * (BLOCK // 8)


ZEROES = content(0)


class SimStore:
    """Blocks by version. `cached` is what reads see; a loss of power leaves of each block what is
    durable or anything written since."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.cached: dict[int, int] = {}
        self.durable: dict[int, int] = {}
        self.dirty: dict[int, list[int]] = {}
        #: Blocks that a failed fsync left clean in the cache and absent on disk.
        self.forgotten: set[int] = set()
        self.write_error = 0
        self.sync_error = False
        #: A sync failed since the file was opened: none succeeds until it is opened anew.
        self.is_broken = False
        self.is_cold = 0.0

    def check(self) -> None:
        pass

    def write(self, offset: int, data: memoryview) -> None:
        whole, rest = divmod(len(data), BLOCK)
        assert not rest
        assert offset % BLOCK == 0
        count = self.random.randint(0, whole) if self.write_error else whole
        for index in range(count):
            part = bytes(data[index * BLOCK : (index + 1) * BLOCK])
            version = int.from_bytes(part[:8], "little")
            if part != (ZEROES if version == 0 else content(version)):
                raise ViolationError(f"a mixture arrived for block {offset // BLOCK + index}")
            self._put(offset // BLOCK + index, version)
        if self.write_error:
            raise OSError(self.write_error, "planned")

    def discard(self, offset: int, length: int) -> None:
        for index in range(offset // BLOCK, (offset + length) // BLOCK):
            if self.cached.get(index) or index in self.forgotten:
                self._put(index, 0)

    def _put(self, index: int, version: int) -> None:
        self.cached[index] = version
        self.dirty.setdefault(index, []).append(version)
        self.forgotten.discard(index)

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        if self.random.random() < self.is_cold:
            return False
        self.read(offset, buffer)
        return True

    def read(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = bytes(len(buffer))
        first = offset // BLOCK
        for index, version in self.cached.items():
            at = (index - first) * BLOCK
            if version and 0 <= at < len(buffer):
                buffer[at : at + BLOCK] = content(version)

    def digest(self, offset: int, length: int) -> bytes:
        first, end = offset // BLOCK, (offset + length) // BLOCK
        held = sorted((i, v) for i, v in self.cached.items() if v and first <= i < end)
        return hashlib.blake2b(repr(held).encode(), digest_size=DIGEST_BYTES).digest()

    def renew(self) -> None:
        self.is_broken = False

    def begin_sync(self) -> dict[int, int]:
        return {index: len(values) for index, values in self.dirty.items()}

    def end_sync(self, began: dict[int, int], *, failed: bool) -> None:
        for index, count in began.items():
            values = self.dirty.get(index)
            if not values:
                continue
            del values[: count - 1]
            last = values.pop(0)
            if not failed or self.random.random() < 0.5:
                self.durable[index] = last
            elif not values:
                self.forgotten.add(index)
            if not values:
                del self.dirty[index]

    def lose_power(self) -> None:
        for index, values in self.dirty.items():
            self.durable[index] = self.random.choice([self.durable.get(index, 0), *values])
        self.dirty.clear()
        self.forgotten.clear()
        self.cached = dict(self.durable)


@attrs.define(eq=False)
class Node:
    """A machine with one replica."""

    name: str
    store: SimStore
    record: Record
    boot: int = 0
    process: Process | None = None
    is_powered: bool = True
    is_hung: bool = False
    save_error: bool = False
    stalled: list[Callable[[], None]] = attrs.field(factory=list)
    stops: int = 0

    @property
    def boot_id(self) -> str:
        return f"{self.name}-boot-{self.boot}"


class Process:
    """One replica's process: carries the real state machine's actions out, each a while later."""

    def __init__(self, world: World, node: Node) -> None:
        self.world = world
        self.node = node
        self.is_alive = True
        self.connections: dict[int, Connection] = {}
        self.pending_save: Record | None = None
        self.is_failing = False
        node.store.is_broken = False
        self.replica = Replica(
            name=node.name,
            uuid=UUID,
            size_bytes=world.size_bytes,
            record=node.record,
            store=node.store,
            boot_id=node.boot_id,
            head="1:1",
            facts={
                "head": f"/{node.name}/head",
                "device": 1,
                "inode": 1,
                "incarnation": world.next_number(),
            },
        )

    def received(self, number: int, frames: list[Frame]) -> None:
        if self.is_alive:
            self.carry_out(self.replica.received(number, frames))

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if not self.is_alive:
                return
            if isinstance(action, Send):
                connection = self.connections.get(action.connection)
                if connection is not None:
                    connection.to_target.send([action.data])
            elif isinstance(action, Save):
                self.pending_save = action.record
                self._later(self._saved, 0.01)
            elif isinstance(action, Sync):
                began = self.node.store.begin_sync()
                self._later(lambda began=began: self._synced(began), 0.03)  # type: ignore[misc]
            elif isinstance(action, Fetch):
                self._later(lambda action=action: self._fetched(action), 0.05)  # type: ignore[misc]
            elif isinstance(action, DigestExtents):
                self._later(lambda action=action: self._digested(action), 0.02)  # type: ignore[misc]
            elif isinstance(action, Renew):
                self._later(lambda action=action: self._renewed(action), 0.02)  # type: ignore[misc]
            elif isinstance(action, Hangup):
                connection = self.connections.pop(action.connection, None)
                if connection is not None:
                    connection.close_at_replica()
            elif isinstance(action, Report):
                self.world.codes.append(action.code)
            elif isinstance(action, Stop):
                self.node.stops += 1
                self.world.kill_replica(self.node)
                self.world.later(0.3, lambda: self.world.start_replica(self.node))

    def _later(self, call: Callable[[], None], delay_s: float) -> None:
        def run() -> None:
            if not self.is_alive:
                return
            if self.node.is_hung:
                self.node.stalled.append(run)
            else:
                call()

        self.world.later(self.world.random.random() * delay_s, run)

    def _saved(self) -> None:
        record, self.pending_save = self.pending_save, None
        assert record is not None
        if self.node.save_error:
            self.carry_out(self.replica.save_failed("planned"))
            return
        self.world.save(self.node, record)
        self.is_failing = False
        self.carry_out(self.replica.saved())

    def _synced(self, began: dict[int, int]) -> None:
        store = self.node.store
        failed = store.is_broken = store.sync_error or store.is_broken
        self.is_failing = self.is_failing or failed
        self.world.end_sync(store, began, failed=failed)
        self.carry_out(self.replica.synced(OSError(errno.EIO, "planned") if failed else None))

    def _renewed(self, renew: Renew) -> None:
        self.node.store.renew()
        self.carry_out(self.replica.renewed(renew, None))

    def _fetched(self, fetch: Fetch) -> None:
        view, position = memoryview(fetch.buffer), 0
        for offset, length in fetch.extents:
            self.node.store.read(offset, view[position : position + length])
            position += length
        self.carry_out(self.replica.fetched(fetch, None))

    def _digested(self, wanted: DigestExtents) -> None:
        digests = [self.node.store.digest(offset, length) for offset, length in wanted.extents]
        self.carry_out(self.replica.digested(wanted, digests, None))

    def end(self) -> None:
        """kill -9: what was being saved is saved or not; the page cache stays."""
        self.is_alive = False
        if self.pending_save is not None and (self.is_failing or self.world.random.random() < 0.5):
            # A kill between a failed fsync and its record is out of any replica's hands.
            self.world.save(self.node, self.pending_save)
        self.node.process = None
        for connection in list(self.connections.values()):
            connection.close_at_replica()


@attrs.define(eq=False)
class _Stream:
    """One direction of a connection: bytes in order, late, in pieces."""

    connection: Connection
    is_to_target: bool
    queue: deque[list[Any] | None] = attrs.field(factory=deque)
    reader: FrameReader = attrs.field(factory=FrameReader)
    is_pumping: bool = False

    def send(self, buffers: list[Any] | None) -> None:
        """Take bytes, or None for the end. Some lie about as views until they are carried."""
        random = self.connection.world.random
        if buffers is not None and random.random() < 0.8:
            buffers = [b"".join(buffers)]
        self.queue.append(buffers)
        self._wait()

    def _wait(self) -> None:
        if not self.is_pumping and self.queue:
            self.is_pumping = True
            world = self.connection.world
            delay = world.random.random() * world.latency_s
            world.later(delay, self._pump)

    def _pump(self) -> None:
        self.is_pumping = False
        connection = self.connection
        if not (
            connection.is_open_at_target if self.is_to_target else connection.is_open_at_replica
        ):
            self.queue.clear()
        if not self.queue:
            return
        if connection.world.is_blocked(connection.target, connection.node) or (
            connection.node.is_hung and not self.is_to_target
        ):
            self.is_pumping = True
            connection.world.later(0.05, self._pump)
            return
        item = self.queue.popleft()
        if item is None:
            connection.ended(at_target=self.is_to_target)
            return
        data = b"".join(item)
        random = connection.world.random
        cut = random.randrange(len(data)) if random.random() < 0.2 else 0
        for part in (data[:cut], data[cut:]):
            if part:
                connection.carry(self, part)
        self._wait()


class Connection:
    """A target's connection to a replica."""

    def __init__(self, world: World, target: Target, node: Node, number: int) -> None:
        assert node.process is not None
        self.world = world
        self.target = target
        self.node = node
        self.process = node.process
        self.number = number
        self.is_open_at_target = True
        self.is_open_at_replica = True
        self.to_target = _Stream(self, is_to_target=True)
        self.to_replica = _Stream(self, is_to_target=False)

    def carry(self, stream: _Stream, data: bytes) -> None:
        """Hand bytes to their receiver, which may have closed meanwhile."""
        stream.reader.space()[: len(data)] = data
        frames = stream.reader.received(len(data))
        if stream.is_to_target:
            if self.is_open_at_target:
                self.target.received(self.node.name, frames)
        elif self.is_open_at_replica:
            self.process.received(self.number, frames)

    def close_at_target(self) -> None:
        """The target closes: the replica learns it after what was sent."""
        self.is_open_at_target = False
        self.to_replica.send(None)

    def close_at_replica(self) -> None:
        """The replica closes: the target learns it after what was sent."""
        if self.is_open_at_replica:
            self.is_open_at_replica = False
            self.process.connections.pop(self.number, None)
            self.to_target.send(None)

    def ended(self, *, at_target: bool) -> None:
        """The end has arrived."""
        if at_target:
            self.is_open_at_target = False
            self.target.lost(self.node.name, self)
        elif self.is_open_at_replica:
            self.is_open_at_replica = False
            self.process.connections.pop(self.number, None)
            if self.process.is_alive:
                self.process.replica.disconnected(self.number)

    def break_now(self) -> None:
        """Both ends notice now that it is dead; what was on its way is lost."""
        self.to_replica.queue.clear()
        self.to_target.queue.clear()
        self.ended(at_target=False)
        if self.is_open_at_target:
            self.ended(at_target=True)
