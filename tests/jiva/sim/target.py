"""The target processes of the simulation: the real `Replicator` below core's real emulation, in a
shell that keeps time as the product's does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jiva.shells import TargetShell
from jiva.sim.client import Client
from jiva.sim.history import NEVER, Era
from jiva.sim.local import SimLocalFiles
from jiva.sim.machines import UUID, Machine
from jiva.sim.network import Connection
from tierce import (
    Capabilities,
    Completed,
    Event,
    Geometry,
    Request,
    Status,
    Trace,
    Tracer,
    VolumeStatus,
)
from tierce.volume.emulate import Emulator
from tierce_jiva.ballot import Membership
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.links import Head
from tierce_jiva.replicator import Replicator
from tierce_jiva.target_actions import Hangup, ReadFile
from tierce_jiva.timing import Timing
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame

if TYPE_CHECKING:
    from jiva.simulation import World

_TICK_S = 0.1
_CONNECT_S = 0.1
_RESTART_S = 0.2


class RestartError(Exception):
    """The target's process ends and is started again."""


class _Volume:
    """The replicator as a device, for core to stand on."""

    capabilities = Capabilities(discard=True, write_zeroes=True, block_status=True)

    def __init__(self, target: Target) -> None:
        self._target = target
        size = target.world.size_bytes
        self.geometry = Geometry(size, block_size=512, io_bytes_max=BATCH_BYTES_MAX)

    def submit(self, batch: list[Request], settled: Completed) -> None:
        self._target.submit(batch, settled)

    def close(self, closed: Callable[[Status], None]) -> None:
        raise NotImplementedError


class Target(TargetShell):
    """A target process with its client.

    Args:
        world: Everything.
        machine: Where it runs; None for one without replicas.
        number: Counts the world's targets.
    """

    def __init__(self, world: World, machine: Machine | None, number: int) -> None:
        self.world = world
        self.number = number
        self.machine = machine
        self.random = world.stream("target", world.next_number())
        self.is_alive = True
        self.is_fenced = False
        self.is_stalled = False
        self.is_closing = False
        self.era = Era()
        #: The membership in force that the judge has seen.
        self.seen: Membership | None = None
        self.connections: dict[str, Connection] = {}
        #: What happened while it stood still, in the order of its happening.
        self._waiting: list[Callable[[], None]] = []
        self._is_ticking = False
        boot_id = machine.boot_id if machine else "a machine without replicas"
        names, bits = tuple(world.nodes), self.random.getrandbits(64)
        self._local = SimLocalFiles(self) if machine else None
        self._tracer = Tracer(lambda _io: None, every=4) if world.follows else Tracer()
        self._closed: Callable[[], None] | None = None
        self.replicator = Replicator(
            Volume("demo", UUID, world.size_bytes, names, bits, boot_id),
            world.options,
            Host(self._local, world.wall_ms, Timing(self._tracer)),
        )
        self.device = Emulator(_Volume(self))
        self.client = Client(self)
        self.guarded(lambda: self.replicator.tick(world.now))
        world.later(0.01, self._connect)
        world.later(0.02, self.client.wake)

    # -- the shell ---------------------------------------------------------------------------------

    def guarded(self, call: Callable[[], None]) -> None:
        """Run what may end the process, then do what the state machine asks for."""
        if not self.is_alive:
            return
        try:
            call()
            self._carry_out()
        except RestartError:
            self._end_and_come_back()
            return
        if self.is_fenced:
            self._end_and_come_back()

    def wakened(self, call: Callable[[], None]) -> None:
        """Run it when the process runs."""
        if self.is_stalled:
            self._waiting.append(call)
        else:
            self.guarded(call)

    def stall(self) -> None:
        """SIGSTOP."""
        self.world.say(f"T{self.number} stands still")
        self.is_stalled = self.is_alive

    def resume(self) -> None:
        """SIGCONT: what has happened meanwhile is found all at once, much later."""
        self.world.say(f"T{self.number} goes on")
        self.is_stalled = False
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self.guarded(call)

    def _end_and_come_back(self) -> None:
        self.end()
        self.world.later(_RESTART_S, self.world.start_target_if_owner(self))

    def _carry_out(self) -> None:
        agenda = self.replicator.agenda
        self.act(agenda)
        for completed, requests in agenda.take_completed().items():
            self._answered(requests)
            completed(requests)
        for link in self.replicator.links:
            if link.outgoing:
                buffers, link.outgoing = link.outgoing, []
                if link.name in self.connections:
                    self.connections[link.name].ask(buffers)
        self.world.look(self)
        if not self._is_ticking and self.replicator.is_busy:
            self._is_ticking = True
            self.world.later(_TICK_S, lambda: self.wakened(self._tick))

    def report(self, event: Event) -> None:
        self.world.note(event)

    def publish(self, shown: VolumeStatus) -> None:
        """Nobody looks."""

    def hang_up(self, action: Hangup) -> None:
        connection = self.connections.pop(action.name, None)
        if connection is not None:
            connection.close_at_target()

    def read_file(self, action: ReadFile) -> None:
        assert self._local is not None
        self._local.read(action)

    def forget_file(self, head: Head) -> None:
        assert self._local is not None
        self._local.forget(head)

    def fence(self, _reason: str) -> None:
        self.is_fenced = True

    def restart(self, reason: str) -> None:
        raise RestartError(reason)

    def ended(self) -> None:
        assert self._closed is not None
        self._closed()

    def _tick(self) -> None:
        self._is_ticking = False
        self.replicator.tick(self.world.now)

    def submit(self, batch: list[Request], settled: Completed) -> None:
        """Take requests, as `JivaDevice.submit` does; some of them are followed."""
        self._tracer.left -= len(batch)
        if self._tracer.left < 0:
            self._tracer.sample(batch, int(self.world.now * 1e9))
        self.replicator.submit(self.world.now, batch, settled)
        self._answered(batch)
        self.act(self.replicator.agenda)

    def _answered(self, requests: list[Request]) -> None:
        """Those that were followed are so no more."""
        for request in requests:
            if isinstance(request.trace, Trace) and request.status is not None:
                self.world.tally["followed"] += 1
                self._tracer.forget(request)

    # -- connections -------------------------------------------------------------------------------

    def _connect(self) -> None:
        world = self.world
        if not self.is_alive:
            return
        for node in world.nodes.values():
            if (
                node.name not in self.connections
                and not self.is_stalled
                and node.process is not None
                and not world.is_blocked(self, node)
                and self.random.random() < 0.7
            ):
                number = world.next_number()
                connection = Connection(world, self, node, number)
                self.connections[node.name] = connection
                node.process.connections[number] = connection
                node.process.replica.connected(number)
                self.guarded(lambda name=node.name: self._connected(name))  # type: ignore[misc]
        world.later(_CONNECT_S, self._connect)

    def _connected(self, name: str) -> None:
        self.replicator.connected(self.world.now, name)

    def received(self, name: str, frames: list[Frame]) -> None:
        """Frames have arrived."""
        self.guarded(lambda: self.replicator.received(self.world.now, name, frames))

    def file_read(self, read: ReadFile) -> None:
        """A worker thread has read a file."""
        self.replicator.file_read(self.world.now, read)

    def lost(self, name: str, connection: Connection) -> None:
        """A connection has ended."""
        if self.connections.get(name) is connection:
            del self.connections[name]
            self.wakened(lambda: self._lost(name))

    def _lost(self, name: str) -> None:
        self.replicator.disconnected(self.world.now, name, "lost")

    def is_client_write(self, sequence: int) -> bool:
        """True if a frame of that sequence carries a client's write or flush."""
        return any(
            sequence in link.writes or sequence in link.flushes for link in self.replicator.links
        )

    # -- the end -----------------------------------------------------------------------------------

    def close(self, closed: Callable[[], None]) -> None:
        """Close in order, once nothing is under way."""
        self.world.say(f"T{self.number} closes")
        self.is_closing = True
        self.client.drain(lambda: self.guarded(lambda: self._close(closed)))

    def _close(self, closed: Callable[[], None]) -> None:
        was_serving = self.replicator.state is State.SERVING

        def done() -> None:
            if was_serving:
                self.world.tally["close"] += 1
            self.end()
            closed()

        self._closed = done
        self.replicator.close(self.world.now)

    def end(self) -> None:
        """kill -9; what lies in the sockets may still arrive."""
        was_alive = self.is_alive
        if was_alive:
            self.world.say(f"T{self.number} ends")
        self.is_alive = False
        self.is_stalled = False
        if not self.era.number or self.era.number > self.world.history.newest:
            self.era.number = NEVER
        for connection in self.connections.values():
            connection.close_at_target()
        self.connections.clear()
        if was_alive:
            self.world.rollbacks.lose_who_can_tell()
