"""The target processes of the simulation, each with its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jiva.history import ViolationError
from jiva.machines import BLOCK, UUID, Connection, content
from tierce import Code, Op, Request
from tierce_jiva.host import Host, Volume
from tierce_jiva.replicator import Replicator
from tierce_jiva.wire import Frame

if TYPE_CHECKING:
    from jiva.simulation import World

#: Few blocks, so that operations meet: neighbours, another granule, another extent.
HOT = (0, 1, 2, 17, 255, 256, 257)
_OUTSTANDING_MAX = 8
#: The epoch of a target that does not serve yet: later than all that do.
_NOT_YET = 1 << 30


class RestartError(Exception):
    """The target's process ends and is started again."""


class Target:
    """A target process with its client."""

    def __init__(self, world: World, wall_ms: int) -> None:
        self.world = world
        self.is_alive = True
        self.is_fenced = False
        self.epoch = 0
        self.connections: dict[str, Connection] = {}
        self.outstanding = 0
        number = world.random.getrandbits(64)
        self.replicator = Replicator(
            Volume("demo", UUID, world.size_bytes, tuple(world.nodes), number, "target-boot"),
            world.options,
            Host(
                emit=world.note,
                publish=lambda shown: None,
                fenced=self._fenced,
                restart=self._restart,
                local=None,
                wall_ms=lambda: wall_ms,
            ),
        )
        self._guarded(lambda: self.replicator.tick(world.now))
        world.later(0.0, self._tick)
        world.later(0.01, self._connect)
        world.later(0.02, self._client)

    def _fenced(self, _reason: str) -> None:
        self.is_fenced = True

    def _restart(self, reason: str) -> None:
        raise RestartError(reason)

    def _guarded(self, call: Callable[[], None]) -> None:
        if not self.is_alive:
            return
        replicator = self.replicator
        try:
            replicator.links.now = self.world.now
            call()
        except RestartError:
            self.end()
            self.world.later(0.2, self.world.start_target_if_owner(self))
            return
        self._move()
        if self.is_fenced:
            self.end()
            self.world.later(0.2, self.world.start_target_if_owner(self))

    def _move(self) -> None:
        replicator = self.replicator
        hangups, replicator.hangups = replicator.hangups, []
        for name, _reason in hangups:
            connection = self.connections.pop(name, None)
            if connection is not None:
                connection.close_at_target()
        for link in replicator.links:
            if link.outgoing:
                buffers, link.outgoing = link.outgoing, []
                if link.name in self.connections:
                    self.connections[link.name].to_replica.send(buffers)
        self.world.look(self)

    def _tick(self) -> None:
        if self.is_alive:
            self._guarded(lambda: self.replicator.tick(self.world.now))
            self.world.later(0.1, self._tick)

    def _connect(self) -> None:
        world = self.world
        if not self.is_alive:
            return
        for node in world.nodes.values():
            if (
                node.name not in self.connections
                and node.process is not None
                and not world.is_blocked(self, node)
                and world.random.random() < 0.7
            ):
                number = world.next_number()
                connection = Connection(world, self, node, number)
                self.connections[node.name] = connection
                node.process.connections[number] = connection
                node.process.replica.connected(number)
                self._guarded(lambda name=node.name: self.replicator.connected(name))  # type: ignore[misc]
        world.later(0.1, self._connect)

    def received(self, name: str, frames: list[Frame]) -> None:
        self._guarded(lambda: self.replicator.received(name, frames))

    def lost(self, name: str, connection: Connection) -> None:
        if self.connections.get(name) is connection:
            del self.connections[name]
            self._guarded(lambda: self.replicator.disconnected(name, "lost"))

    def end(self) -> None:
        """kill -9; what lies in the sockets may still arrive."""
        self.is_alive = False
        for connection in self.connections.values():
            connection.close_at_target()
        self.connections.clear()

    # -- the client ----------------------------------------------------------------------------

    def _client(self) -> None:
        world = self.world
        if not self.is_alive or world.is_over or world.now > world.faults_s + 3:
            return
        if self.outstanding < _OUTSTANDING_MAX:
            self._guarded(self._ask)
        world.later(world.random.random() * 0.04, self._client)

    def _ask(self) -> None:
        random = self.world.random
        batch = []
        for _ in range(random.randint(1, 3)):
            kind = random.random()
            if kind < 0.5:
                batch.append(self._write())
            elif kind < 0.9:
                batch.append(self._read(random.choice(HOT)))
            else:
                batch.append(Request(Op.FLUSH, tag=self.world.history.now()))
        self.submit(batch)

    def _write(self) -> Request:
        world = self.world
        first = world.random.choice(HOT)
        blocks = tuple(i for i in range(first, first + world.random.randint(1, 3)) if i in HOT)
        blocks = blocks if blocks == tuple(range(first, first + len(blocks))) else (first,)
        version = world.next_number()
        world.history.begin_write(version, blocks, lambda: self.epoch or _NOT_YET)
        data = bytearray(content(version) * len(blocks))
        return Request(Op.WRITE, first * BLOCK, len(data), memoryview(data), tag=version)

    def _read(self, block: int) -> Request:
        now = self.world.history.now()
        return Request(Op.READ, block * BLOCK, BLOCK, memoryview(bytearray(BLOCK)), tag=now)

    def submit(self, batch: list[Request]) -> None:
        self.outstanding += len(batch)
        self.replicator.submit(batch, self._settled)
        self._settled([request for request in batch if request.status is not None])

    def _settled(self, requests: list[Request]) -> None:
        history = self.world.history
        for request in requests:
            assert request.status is not None
            self.outstanding -= 1
            is_good = request.status.code is Code.GOOD
            if request.op is Op.WRITE:
                if is_good:
                    history.acknowledge_write(request.tag)
                assert request.buffer is not None
                # The buffer is its owner's again, who uses it for something else.
                request.buffer[:] = b"\xee" * len(request.buffer)
            elif is_good and request.op is Op.FLUSH:
                history.complete_flush(request.tag)
            elif is_good:
                self._judge_read(request)
            elif request.op is Op.READ and request.status.code is Code.READ_ERROR:
                raise ViolationError(f"nobody could read block {request.offset // BLOCK}")

    def _judge_read(self, request: Request) -> None:
        assert request.buffer is not None
        data = bytes(request.buffer)
        version = int.from_bytes(data[:8], "little")
        block = request.offset // BLOCK
        if data != content(version):
            raise ViolationError(f"block {block} reads as a mixture")
        self.world.history.end_read(block, version, request.tag, self.epoch)
