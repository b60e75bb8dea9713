"""A cluster under one seed: real state machines, simulated network, disks, clock and clients.

A seed decides everything; a failing one is printed and replays exactly. `seeds.py` runs many; see
docs/explanation/replication.md.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from jiva.sim.aims import Aims
from jiva.sim.blocks import BLOCK, OutsideError, ViolationError
from jiva.sim.client import FAR, HOT
from jiva.sim.disks import SYNC_S, Disk
from jiva.sim.faults import plan_faults
from jiva.sim.forcing import keep_only
from jiva.sim.history import NOT_YET, History
from jiva.sim.judgement import judge
from jiva.sim.machines import UUID, Machine, Node, Process
from jiva.sim.memory import Memory
from jiva.sim.rollbacks import Rollbacks
from jiva.sim.scenarios import plan_scenarios
from jiva.sim.target import Target
from jiva.sim.trace import Trace
from tierce import FormatError
from tierce_jiva.ballot import NO_BALLOT, Membership, Record
from tierce_jiva.host import State
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.record_file import encode_record
from tierce_jiva.regions import Regions

if TYPE_CHECKING:
    from jiva.sim.faults import Fault

FAULTS_S = 5.0
CALM_S = 120.0
_WALL_MS = 1_000_000_000
_SIZES = ((1 << 20) + (64 << 10), (8 << 20) + (64 << 10))


class World:
    """Everything. One seed, one run.

    Args:
        seed: It decides everything.
        faults_s: How many simulated seconds things go wrong.
        faults: What goes wrong by chance; empty for all that can.
        asks_status: Clients ask for holes too. A seed plays another history then.
        delays_admission: Stores let batches wait. Another history too.
        follows: Some I/Os are sampled, and frames are timed. Another history too.
    """

    def __init__(
        self,
        seed: int,
        faults_s: float = FAULTS_S,
        faults: tuple[Fault, ...] = (),
        *,
        asks_status: bool = False,
        delays_admission: bool = False,
        follows: bool = False,
    ) -> None:
        self.asks_status = asks_status
        self.delays_admission = delays_admission
        self.follows = follows
        self.faults = faults
        self.seed = seed
        self.faults_s = faults_s
        self.random = random = self.stream("world")
        self.now = 0.0
        self.wall_offset_ms = 0
        self._calls: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self.is_over = False
        self.may_be_unreadable = False
        self.latency_s = random.choice([0.002, 0.02, 0.1])
        self.size_bytes = random.choice(_SIZES)
        self.regions = Regions(self.size_bytes)
        self.hot = tuple(b for b in HOT + FAR if b * BLOCK < self.size_bytes)
        self.history = History(self.hot)
        #: What clients believe to be in a block.
        self.believed: dict[int, int] = {}
        self.tally: Counter[str] = Counter()
        self.codes: list[str] = []
        self.fault_count = 0
        self.trace: Trace | None = None
        names = tuple(
            f"replica-{number}" for number in range(1, random.choice([3, 3, 3, 3, 2, 1, 5]) + 1)
        )
        self.options = JivaOptions(
            replicas=tuple(ReplicaOptions(folder=name) for name in names),
            reconnect_grace_s=random.choice([0.3, 0.3, 0.8]),
            dead_s=1.0,
            flush_dead_s=1.5,
            alone_after_s=2.0,
            not_ready_after_s=3.0,
            opening_patience_s=0.3,
            clean_after_s=random.choice([0.1, 0.2, 0.4]),
        )
        self._make_nodes(names)
        #: The highest ballot that was served in.
        self._served = NO_BALLOT
        self.blocked: set[tuple[int, str]] = set()
        self.targets: list[Target] = []
        self.rollbacks = Rollbacks(self)
        self.aims = Aims(self)
        self.is_watched = self.aims.is_watching
        for node in self.nodes.values():
            self.start_replica(node)
        self.owner = self.start_target()

    def _make_nodes(self, names: tuple[str, ...]) -> None:
        membership = Membership(NO_BALLOT, 0, names, names)
        is_apart = self.random.random() < 0.8
        self.machines = [Machine(name) for name in (names if is_apart else ("machine",))]
        self.nodes: dict[str, Node] = {}
        for index, name in enumerate(names):
            machine = self.machines[index if is_apart else 0]
            disk = Disk(self.stream("disk", name), self.next_number(), self.size_bytes, {})
            record = Record(NO_BALLOT, membership, machine.boot_id, head=disk.identity)
            saved = encode_record(record, UUID, name, self.regions)
            self.nodes[name] = Node(name, machine, disk, record, saved)
        self.memory = Memory(self.nodes, self.history, membership)

    # -- time and chance ---------------------------------------------------------------------------

    def stream(self, *key: object) -> Random:
        """Return a source of chance of its own, so that one part's choices do not depend on
        how often another one was asked."""
        return Random(f"{self.seed} {key}")

    def later(self, delay_s: float, call: Callable[[], object]) -> None:
        """Call it so many simulated seconds from now."""
        heapq.heappush(self._calls, (self.now + delay_s, self.next_number(), call))

    def next_number(self) -> int:
        """Return a number that was not given out before."""
        self._number += 1
        return self._number

    def wall_ms(self) -> int:
        """The wall clock, which may jump."""
        return _WALL_MS + self.wall_offset_ms + int(self.now * 1000)

    def run_until(self, end: float, is_done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass."""
        calls = self._calls
        while calls and calls[0][0] <= end and not is_done():
            self.now, _, call = heapq.heappop(calls)
            call()

    # -- what is seen ------------------------------------------------------------------------------

    def note(self, event: Any) -> None:
        """A target reports an event."""
        self.say(f"{event.code}: {event.message}")
        self.codes.append(event.code)
        self.tally[event.code] += 1
        self.saw(event.code.rpartition(".")[2].replace("-", " "), None)

    def saw(self, moment: str, node: Node | None) -> None:
        """Something passes by that one may wait for."""
        if self.is_watched:
            self.aims.saw(moment, node)

    def say(self, text: str) -> None:
        """Tell whoever follows this seed."""
        if self.trace is not None:
            self.trace.say(text)

    def saved(self, node: Node, record: Record) -> None:
        """A replica's record is durable."""
        if self.trace is not None:
            self.trace.saved(node, record)

    def watch(self, node: Node) -> None:
        """A replica has a new file."""
        if self.trace is not None:
            self.trace.watch(node)

    def look(self, target: Target) -> None:
        """A target may have come to serve, or a membership into force."""
        if target.replicator.state is not State.SERVING:
            return
        membership = target.replicator._controller._quorum.membership
        if membership is target.seen:
            return
        assert membership is not None
        target.seen = membership
        self.say(f"T{target.number} serves by {membership.sequence} {membership.in_sync}")
        if target.era.number == NOT_YET:
            is_superseded = membership.ballot < self._served
            self._served = max(self._served, membership.ballot)
            self.history.serve(target.era, is_superseded=is_superseded)
        self.memory.in_force(membership)

    def check_durable(self, target: Target) -> None:
        """A target has answered a flush."""
        quorum = target.replicator._controller._quorum
        if target.era.number == self.history.newest and quorum.membership is not None:
            members = set(quorum.membership.in_sync) & set(quorum.latest.in_sync)
            self.memory.check_durable(self.hot, members)

    # -- targets -----------------------------------------------------------------------------------

    def start_target(self) -> Target:
        """Start a target, on a machine of its own or beside a replica."""
        powered = [machine for machine in self.machines if machine.is_powered]
        machine = self.random.choice(
            [*powered, None] if len(self.machines) > 1 else powered or [None]
        )
        target = Target(self, machine, len(self.targets))
        self.say(f"T{target.number} starts on {machine.name if machine else 'a machine apart'}")
        self.targets.append(target)
        self.owner = target
        return target

    def start_target_if_owner(self, target: Target) -> Callable[[], None]:
        """A supervisor starts what ended again, unless another one has the volume by now."""

        def start() -> None:
            if self.owner is target and not target.is_alive:
                self.start_target()

        return start

    def is_blocked(self, target: Target, node: Node) -> bool:
        """True if nothing gets through between them."""
        return (id(target), node.name) in self.blocked

    def block(self, target: Target, node: Node) -> None:
        """Let nothing through between them; they notice a while later."""
        self.say(f"T{target.number} can't reach {node.name}")
        self.blocked.add((id(target), node.name))
        connection = target.connections.get(node.name)

        def notice() -> None:
            if connection is not None and self.is_blocked(target, node):
                connection.break_now()

        self.later(1 + self.random.random() * 2, notice)

    def unblock(self, target: Target, node: Node) -> None:
        """Let everything through again."""
        self.say(f"T{target.number} can reach {node.name}")
        self.blocked.discard((id(target), node.name))

    # -- replicas ----------------------------------------------------------------------------------

    def start_replica(self, node: Node) -> None:
        """Start a replica's process, if it is not running and can."""
        disk = node.disk
        if node.process is None and node.is_powered and disk.length == disk.size_bytes:
            self.say(f"{node.name} starts")
            try:
                node.process = Process(self, node)
            except FormatError:
                self.tally["damaged record"] += 1

    def kill_replica(self, node: Node) -> None:
        """kill -9."""
        if node.process is not None:
            self.say(f"{node.name} ends")
            node.process.end()
        node.is_hung = False
        node.stalled.clear()

    def hang(self, node: Node, *, is_hung: bool) -> None:
        """SIGSTOP or SIGCONT."""
        node.is_hung = is_hung and node.process is not None
        if not node.is_hung:
            stalled, node.stalled = node.stalled, []
            for call in stalled:
                call()

    def shake(self, node: Node, *, is_sync: bool = False) -> None:
        """It has lost some of what it had not made durable; or has failed to sync it."""
        if node.process is not None:
            node.process.proof = None
        had = bool(self.memory.holders())
        self.memory.shake(node, is_sync=is_sync)
        self.say(f"{node.name} may have lost something; {self.memory.holders()} have not")
        self.tally["last memory lost"] += had and not self.memory.holders()

    def lose_to_failed_sync(self, node: Node) -> None:
        """A sync has failed: that counts as a loss of power, and what it left goes at once, some
        time later, or never."""
        self.tally["failed sync"] += 1
        self.say(f"{node.name} fails to sync, {sorted(node.disk.forgotten)} are not on its disk")
        if node.written or self.memory.is_marked(node):
            self.shake(node, is_sync=True)
        else:
            self.memory.spare(node)
        self.memory.keep_secret(node)
        if not node.disk.forgotten:
            return
        # A target beside it reads what is evicted before anybody can have told it.
        is_read_here = any(t.is_alive and t.machine is node.machine for t in self.targets)
        soonest_s = 1.0 if is_read_here else 0.0
        delay_s = self.random.choice([0.0, 0.1, 1.0, 3.0, None])
        if delay_s is not None:
            self.later(soonest_s + self.random.random() * delay_s, lambda: self.evict(node))

    def evict(self, node: Node) -> None:
        """What a failed sync left clean in a cache is let go."""
        before = node.disk.evictions
        node.disk.evict()
        count = node.disk.evictions - before
        self.tally["eviction"] += count
        self.say(f"{node.name} evicts {count} blocks")
        if count and not self.memory.holders():
            self.history.lose_memory()

    # -- machines ----------------------------------------------------------------------------------

    def power_off(self, machine: Machine) -> None:
        """Everything on it is gone but what is durable."""
        self.say(f"{machine.name} loses power")
        for target in self.targets:
            if target.is_alive and target.machine is machine:
                target.end()
                self.later(0.5 + self.random.random(), self.start_target_if_owner(target))
        machine.is_powered = False
        machine.boot += 1
        for node in self.nodes.values():
            if node.machine is machine:
                self._lose_power(node)

    def _lose_power(self, node: Node) -> None:
        process = node.process
        connections = list(process.connections.values()) if process is not None else []
        self.kill_replica(node)
        for connection in connections:
            # Nobody says good-bye: the other end notices later.
            connection.to_target.queue.clear()
            self.later(self.random.random() * 2, connection.break_now)
        node.disk.lose_power()
        if node.written or self.memory.is_marked(node):
            self.shake(node)

    def power_on(self, machine: Machine) -> None:
        """It boots."""
        self.say(f"{machine.name} boots")
        machine.is_powered = True
        for node in self.nodes.values():
            self.start_replica(node)

    # -- the run -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Faults, then calm, then the last judgement.

        Raises:
            ViolationError: The promise, or a rule that it rests on, was broken.
        """
        try:
            self._run()
        except OutsideError as end:
            self.say(str(end))
            self.tally["outside the promise"] += 1

    def _run(self) -> None:
        plan_faults(self)
        if not self.faults:
            plan_scenarios(self)
        self.is_watched = True
        self.run_until(self.faults_s)
        self.is_watched = False
        self.say("nothing goes wrong any more")
        self._heal()
        # The last connection that died with its machine is noticed by then.
        self.run_until(self.now + 3)
        self.run_until(self.now + CALM_S / 2, self.is_whole)
        if not self.is_whole():
            self._force()
            self.run_until(self.now + CALM_S / 2, self.is_whole)
        if not self.is_whole():
            raise ViolationError(f"not whole after {CALM_S} s of calm: {self.codes[-8:]}")
        self.is_over = True
        judge(self)

    def _heal(self) -> None:
        self.blocked.clear()
        for target in self.targets:
            if target is not self.owner:
                target.end()
        self.owner.resume()
        for node in self.nodes.values():
            disk = node.disk
            disk.write_error, disk.read_error, disk.sync_error = 0, False, False
            disk.sync_s = SYNC_S
            node.save_error = False
            node.noise = None
            self.hang(node, is_hung=False)
        for machine in self.machines:
            self.power_on(machine)
        if not self.owner.is_alive:
            self.later(1.0, self.start_target_if_owner(self.owner))

    def _force(self) -> None:
        """Where a member's folder was exchanged and no other one is known to hold everything, only
        an operator can say whom to serve from."""
        sound = [node.name for node in self.nodes.values() if not node.is_damaged]
        if len(sound) == len(self.nodes):
            return
        members = [name for name in sound if self.memory.is_member(self.nodes[name])]
        chosen = [name for name in members if name in self.memory.holders()] or members or sound
        self.tally["forced opening"] += 1
        self.say(f"the volume is to be opened from {chosen[0]}")
        self.owner.end()
        for node in self.nodes.values():
            self.kill_replica(node)
        keep_only(self, self.nodes[chosen[0]])
        for node in self.nodes.values():
            self.start_replica(node)
        self.start_target()

    def is_whole(self) -> bool:
        """True if all replicas are in the set, and nothing is to be done."""
        controller = self.owner.replicator._controller
        return (
            self.owner.is_alive
            and not self.owner.is_closing
            and controller.is_settled
            and controller.upkeep.is_done
            and not controller._rebuilding
            and set(controller._quorum.latest.in_sync) == set(self.nodes)
        )


def run_seed(
    seed: int,
    faults_s: float = FAULTS_S,
    faults: tuple[Fault, ...] = (),
    *,
    asks_status: bool = False,
    delays_admission: bool = False,
    follows: bool = False,
) -> World:
    """Run one seed.

    Raises:
        ViolationError: The promise was broken.
    """
    world = World(
        seed,
        faults_s,
        faults,
        asks_status=asks_status,
        delays_admission=delays_admission,
        follows=follows,
    )
    world.run()
    return world
