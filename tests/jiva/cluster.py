"""A replicated volume in one thread: the real state machines, wired by hand-carried frames.

Time stands still until `run` moves it; every connection is a queue of bytes that the test may cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from jiva.nodes import MemoryStore, Node, NodeProcess, Pipe
from jiva.shells import TargetShell
from tierce import GOOD, BatchEntry, Event, Op, Request, Tracer, VolumeStatus
from tierce_jiva.ballot import NO_BALLOT, Membership, Record
from tierce_jiva.host import Host, State, Volume
from tierce_jiva.links import Head
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.replica import Replica
from tierce_jiva.replicator import Replicator
from tierce_jiva.target_actions import Hangup, LocalReader, ReadFile
from tierce_jiva.timing import Timing
from tierce_jiva.wire import Frame

UUID = "0123456789abcdef0123456789abcdef"


class Cluster(TargetShell):
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
        self.published = VolumeStatus()
        self.fenced: list[str] = []
        #: Reads replicas' files in the target's process, where the boot ids agree.
        self.local: LocalReader | None = None
        #: Who is followed, of targets that are started from now on.
        self.tracer = Tracer()
        self.boot_id = "target-boot"
        self.restarts: list[str] = []
        self.now = 100.0
        self.wall = 1_000_000
        self.pipes: dict[str, Pipe] = {}
        self.cut: set[str] = set()
        self.late: list[tuple[str, Pipe]] = []
        self.settled: list[Request] = []
        self.hangups: list[Hangup] = []
        #: What worker threads are to read, and the files that are not read any more.
        self.reads: list[ReadFile] = []
        self.forgotten: list[Head] = []
        #: How often the target has ended in order.
        self.ends = 0
        #: When who was connected to: a link that is hung up on is not made anew without end.
        self._attempts: deque[tuple[str, float]] = deque(maxlen=32)
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
            admit=partial(self._admit, node) if node.must_admit else None,
            clock=self.clock_ns,
        )
        node.process = NodeProcess(self, node, node.replica)

    def clock_ns(self) -> int:
        """The time, as a clock has it."""
        return round(self.now * 1e9)

    @staticmethod
    def _admit(node: Node, number: int, entries: list[BatchEntry]) -> bool:
        node.asked.append((number, entries))
        return False

    def admit(self, name: str, error: OSError | None = None) -> None:
        """A replica's store admits the batch that waits longest, or can't take it."""
        node = self.nodes[name]
        number, _ = node.asked.pop(0)
        if node.process is not None:
            node.process.carry_out(node.process.replica.admitted(number, error))

    def kill_replica(self, name: str) -> None:
        node = self.nodes[name]
        node.replica = node.process = None
        node.waiting.clear()
        node.store.restart()
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
            Host(self.local, lambda: self.wall, Timing(self.tracer)),
        )
        self.target.tick(self.now)
        self.carry_out()
        return self.target

    def break_pipe(self, name: str, reason: str) -> None:
        if name in self.pipes:
            self._drop_pipe(name)
            self.target.disconnected(self.now, name, reason)
            self.carry_out()

    def half_open(self, name: str) -> None:
        """The target takes the connection for lost; what it had sent is still on its way."""
        self.late.append((name, self.pipes.pop(name)))
        self.target.disconnected(self.now, name, "half open")
        self.carry_out()

    def arrive_late(self) -> None:
        """What was on its way on connections that were given up arrives now."""
        late, self.late = self.late, []
        for name, pipe in late:
            self.pipes, pipes = {name: pipe}, self.pipes
            while pipe.to_replica:
                self._to_replica(name)
            self.pipes = pipes

    def stranger(self, name: str, frames: list[Frame]) -> None:
        """Frames arrive at a replica from another target, which is gone when it is answered."""
        node = self.nodes[name]
        self._number += 1
        replica, process = node.replica, node.process
        assert replica is not None
        assert process is not None
        replica.connected(self._number)
        process.carry_out(replica.received(self._number, frames))
        replica.disconnected(self._number)

    def _drop_pipe(self, name: str) -> None:
        pipe = self.pipes.pop(name)
        replica = self.nodes[name].replica
        if replica is not None:
            replica.disconnected(pipe.number)

    # -- moving ----------------------------------------------------------------------------------

    def connect(self) -> None:
        for name, node in self.nodes.items():
            attempts = self._attempts.count((name, self.now))
            if name in self.pipes or name in self.cut or attempts > 2:
                continue
            if node.replica is not None:
                self._attempts.append((name, self.now))
                self._number += 1
                self.pipes[name] = Pipe(self._number)
                node.replica.connected(self._number)
                self.target.connected(self.now, name)
                self.carry_out()

    def step(self) -> bool:
        """Carry everything that is on its way one hop; False if nothing was."""
        moved = bool(self.hangups)
        hangups, self.hangups = self.hangups, []
        for hangup in hangups:
            self.break_pipe(hangup.name, hangup.reason)
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

    def _to_replica(self, name: str) -> bool:
        pipe, node = self.pipes[name], self.nodes[name]
        process = node.process
        if node.is_hung or pipe.is_paused or not pipe.to_replica or process is None:
            return False
        data = pipe.to_replica.popleft()
        pipe.at_replica.space()[: len(data)] = data
        frames = pipe.at_replica.received(len(data))
        process.carry_out(process.replica.received(pipe.number, frames, self.clock_ns()))
        return True

    def join_for_replicas(self) -> None:
        """What the target has sent reaches every replica; what they answer stays on its way."""
        for link in self.target.links:
            if link.outgoing and link.name in self.pipes:
                buffers, link.outgoing = link.outgoing, []
                self.pipes[link.name].to_replica.append(b"".join(map(bytes, buffers)))
        for name in list(self.pipes):
            while self._to_replica(name):
                pass

    def join_for_target(self, name: str) -> None:
        """What a replica has answered reaches the target in one segment."""
        answers = self.pipes[name].to_target
        whole = b"".join(answers)
        answers.clear()
        answers.append(whole)

    def _to_target(self, name: str) -> bool:
        pipe = self.pipes.get(name)
        if pipe is None or not pipe.to_target or self.nodes[name].is_mute:
            return False
        data = pipe.to_target.popleft()
        pipe.at_target.space()[: len(data)] = data
        self.target.received(self.now, name, pipe.at_target.received(len(data)))
        self.carry_out()
        return True

    def carry_out(self) -> None:
        """Do what the target asks for; connections are broken, and frames sent, with `step`."""
        agenda = self.target.agenda
        if agenda.actions:
            self.act(agenda)
        for completed, requests in agenda.take_completed().items():
            completed(requests)

    def report(self, event: Event) -> None:
        self.events.append(event)

    def publish(self, shown: VolumeStatus) -> None:
        self.published = shown

    def hang_up(self, action: Hangup) -> None:
        self.hangups.append(action)

    def read_file(self, action: ReadFile) -> None:
        self.reads.append(action)

    def forget_file(self, head: Head) -> None:
        self.forgotten.append(head)

    def fence(self, reason: str) -> None:
        self.fenced.append(reason)

    def restart(self, reason: str) -> None:
        self.restarts.append(reason)

    def ended(self) -> None:
        self.ends += 1

    def read_files(self) -> None:
        """Worker threads have read what they were to read."""
        reads, self.reads = self.reads, []
        for read in reads:
            self.target.file_read(self.now, read)
            self.carry_out()

    def close(self) -> None:
        """The target is to end in order."""
        self.target.close(self.now)
        self.carry_out()

    def release(self, name: str) -> None:
        """What a replica's disk was asked to do is done, and nothing waits any more."""
        node = self.nodes[name]
        node.held.clear()
        waiting, node.waiting = node.waiting, []
        for work in waiting:
            if node.replica is not None:
                work()

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
            self._pass_time(min(0.1, end - self.now))

    def _pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.tick()

    def tick(self) -> None:
        self.target.tick(self.now)
        self.carry_out()

    def step_until(self, is_so: Callable[[], bool]) -> None:
        """Carry everything hop by hop until something is so; time passes where all rests."""
        for _ in range(1000):
            if is_so():
                return
            self.connect()
            if not self.step():
                self._pass_time(0.1)
        raise AssertionError("it never came")

    # -- using -------------------------------------------------------------------------------------

    def submit(self, *requests: Request) -> list[Request]:
        self.target.submit(self.now, list(requests), self.settled.extend)
        self.carry_out()
        return list(requests)

    def write(self, offset: int, data: bytes) -> Request:
        return self.submit(Request(Op.WRITE, offset, len(data), memoryview(data)))[0]

    def flush(self) -> Request:
        return self.submit(Request(Op.FLUSH))[0]

    def read(self, offset: int, length: int) -> Request:
        buffer = memoryview(bytearray(length))
        return self.submit(Request(Op.READ, offset, length, buffer))[0]

    def status(self, offset: int, length: int) -> Request:
        return self.submit(Request(Op.BLOCK_STATUS, offset, length))[0]

    def put(self, offset: int, data: bytes) -> None:
        """Write and have it acknowledged."""
        write = self.write(offset, data)
        self.run()
        assert write.status is GOOD

    def get(self, offset: int, length: int = 4096) -> bytes:
        """Read, and have it."""
        read = self.read(offset, length)
        self.run()
        assert read.status is GOOD, read.status
        return bytes_of(read)

    def cached(self, offset: int, length: int = 1) -> list[bytes]:
        """Return what each replica's cache holds there."""
        return [bytes(node.store.cached[offset : offset + length]) for node in self.nodes.values()]

    def durable(self, offset: int, length: int = 1) -> list[bytes]:
        """Return what each replica's disk holds there."""
        return [bytes(node.store.durable[offset : offset + length]) for node in self.nodes.values()]

    def codes(self) -> list[str]:
        return [event.code for event in self.events]

    def states(self) -> dict[str, str]:
        return {shown.name: shown.state for shown in self.published.members}

    @property
    def is_serving(self) -> bool:
        return self.target.state is State.SERVING


def bytes_of(request: Request) -> bytes:
    assert request.buffer is not None
    return bytes(request.buffer)


def opened(count: int = 3, **options: Any) -> Cluster:
    """Return a volume that serves, clean."""
    cluster = Cluster(count, **options)
    cluster.run(3)
    assert cluster.is_serving
    return cluster
