"""The connections of the simulation: bytes in order, late, in pieces; cut, blocked or damaged."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from jiva.sim.moments import let_in_by, moment_of_answer, moment_of_question
from tierce import ProtocolError
from tierce_jiva.wire import FrameReader

if TYPE_CHECKING:
    from jiva.sim.machines import Node
    from jiva.sim.target import Target
    from jiva.simulation import World

#: How long what can't be delivered now waits before it is tried again.
_RETRY_S = 0.05


@attrs.define(eq=False)
class _Stream:
    """One direction of a connection."""

    connection: Connection
    is_to_target: bool
    queue: deque[list[Any] | None] = attrs.field(factory=deque)
    reader: FrameReader = attrs.field(factory=FrameReader)
    is_pumping: bool = False
    #: The next bytes arrive with one bit turned over.
    is_noisy: bool = False

    def send(self, buffers: list[Any] | None) -> None:
        """Take bytes, or None for the end. Some lie about as views until they are carried."""
        if buffers is not None and self.connection.random.random() < 0.8:
            buffers = [b"".join(buffers)]
        self.queue.append(buffers)
        self._wait()

    def _wait(self) -> None:
        if not self.is_pumping and self.queue:
            self.is_pumping = True
            connection = self.connection
            delay = connection.random.random() * connection.world.latency_s
            connection.world.later(delay, self._pump)

    def _pump(self) -> None:
        self.is_pumping = False
        connection = self.connection
        if not connection.is_open(at_target=self.is_to_target):
            self.queue.clear()
        if not self.queue:
            return
        if connection.is_held(to_target=self.is_to_target):
            self.is_pumping = True
            connection.world.later(_RETRY_S, self._pump)
            return
        item = self.queue.popleft()
        if item is None:
            connection.ended(at_target=self.is_to_target)
            return
        data = item[0] if len(item) == 1 else b"".join(item)
        self._deliver(data)
        self._wait()

    def _deliver(self, data: bytes) -> None:
        connection, random = self.connection, self.connection.random
        if self.is_noisy:
            self.is_noisy = False
            noisy = bytearray(data)
            # Mostly in the header and the table: payloads are long.
            end = len(noisy) if random.random() < 0.4 else min(len(noisy), 68)
            noisy[random.randrange(end)] ^= 1 << random.randrange(8)
            data = bytes(noisy)
        if random.random() < 0.2:
            cut = random.randrange(len(data))
            connection.carry(self, memoryview(data)[:cut])
            if connection.is_paused and not self.is_to_target:
                self.queue.appendleft([memoryview(data)[cut:]])
            else:
                connection.carry(self, memoryview(data)[cut:])
        else:
            connection.carry(self, data)


class Connection:
    """A target's connection to a replica."""

    def __init__(self, world: World, target: Target, node: Node, number: int) -> None:
        assert node.process is not None
        self.world = world
        self.target = target
        self.node = node
        self.process = node.process
        self.number = number
        self.random = world.stream("connection", number)
        self.is_open_at_target = True
        self.is_open_at_replica = True
        #: The replica takes nothing more for now.
        self.is_paused = False
        self.to_target = _Stream(self, is_to_target=True)
        self.to_replica = _Stream(self, is_to_target=False)

    def is_open(self, *, at_target: bool) -> bool:
        """True if that end is open."""
        return self.is_open_at_target if at_target else self.is_open_at_replica

    def is_held(self, *, to_target: bool) -> bool:
        """True if nothing gets through in that direction now."""
        is_still = self.target.is_stalled if to_target else self.node.is_hung
        is_still |= self.is_paused and not to_target
        return is_still or self.world.is_blocked(self.target, self.node)

    def ask(self, buffers: list[Any]) -> None:
        """The target sends."""
        for buffer in buffers:
            if type(buffer) is bytes and b'"kind": "accept"' in buffer[:256]:
                self.world.memory.claim(let_in_by(buffer))
        self.to_replica.send(buffers)
        if self.world.is_watched:
            for buffer in buffers:
                moment = moment_of_question(buffer, self.target.is_client_write)
                if moment:
                    self.world.saw(moment, self.node)

    def answer(self, data: bytes) -> None:
        """The replica sends."""
        self.to_target.send([data])

    def carry(self, stream: _Stream, data: bytes | memoryview) -> None:
        """Hand bytes to their receiver, which may have closed meanwhile."""
        to_target = stream.is_to_target
        if not data or not self.is_open(at_target=to_target):
            return
        stream.reader.space()[: len(data)] = data
        try:
            frames = stream.reader.received(len(data))
            if frames and to_target:
                for frame in frames:
                    self.world.saw(moment_of_answer(frame), self.node)
                self.target.received(self.node.name, frames)
            elif frames:
                self.process.received(self.number, frames)
        except ProtocolError:
            # As the shells do: the connection ends, and nothing else.
            self.world.tally["damaged frame"] += 1
            self.ended(at_target=to_target)
            (self.to_replica if to_target else self.to_target).send(None)

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
            self.process.disconnected(self.number)

    def break_now(self) -> None:
        """Both ends notice now that it is dead; what was on its way is lost."""
        self.to_replica.queue.clear()
        self.to_target.queue.clear()
        self.ended(at_target=False)
        if self.is_open_at_target:
            self.ended(at_target=True)
