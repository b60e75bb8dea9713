"""A cluster under one seed: real state machines, simulated network, disks, clock and clients.

    PYTHONPATH=tests python -m jiva.simulation --seeds 1000 --start 0

A seed decides everything; a failing one is printed and replays exactly. See
docs/explanation/replication.md.
"""

from __future__ import annotations

import argparse
import heapq
import sys
import traceback
from collections.abc import Callable
from random import Random
from typing import Any

from jiva.faults import plan_faults
from jiva.history import History, ViolationError
from jiva.machines import BLOCK, Node, Process, SimStore
from jiva.sim_target import HOT, Target
from tierce_jiva.ballot import NO_BALLOT, Membership, Record
from tierce_jiva.host import State
from tierce_jiva.options import JivaOptions, ReplicaOptions

SIZE_BYTES = (1 << 20) + (64 << 10)
FAULTS_S = 5.0
CALM_S = 60.0


class World:
    """Everything. One seed, one run.

    Args:
        seed: It decides everything.
        faults_s: How many simulated seconds things go wrong.
        faults: What goes wrong; empty for all that can.
    """

    def __init__(
        self,
        seed: int,
        faults_s: float = FAULTS_S,
        faults: tuple[Callable[[World], None], ...] = (),
    ) -> None:
        self.faults = faults
        self.seed = seed
        self.faults_s = faults_s
        self.size_bytes = SIZE_BYTES
        self.random = Random(seed)
        self.now = 0.0
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self.is_over = False
        self.latency_s = self.random.choice([0.002, 0.02, 0.1])
        self.history = History(max(HOT) + 1)
        self.next_epoch = 1
        count = self.random.choice([3, 3, 3, 3, 2, 1, 5])
        names = tuple(f"replica-{number}" for number in range(1, count + 1))
        self.options = JivaOptions(
            replicas=tuple(ReplicaOptions(folder=name) for name in names),
            reconnect_grace_s=0.3,
            dead_s=1.0,
            flush_dead_s=1.5,
            not_ready_after_s=3.0,
            opening_patience_s=0.3,
            clean_after_s=0.2,
        )
        membership = Membership(NO_BALLOT, 0, names, names)
        self.nodes = {
            name: Node(name, SimStore(self.random), Record(NO_BALLOT, membership, f"{name}-boot-0"))
            for name in names
        }
        self.kept = set(names)
        self._staying = set(names)
        self._highest = membership.rank
        self._in_force: Membership | None = None
        self.blocked: set[tuple[int, str]] = set()
        self.targets: list[Target] = []
        self.codes: list[str] = []
        self.fault_count = 0
        for node in self.nodes.values():
            self.start_replica(node)
        self.owner = self.start_target()

    # -- time --------------------------------------------------------------------------------------

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._calls, (self.now + delay_s, self.next_number(), call))

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def run_until(self, end: float, is_done: Callable[[], bool] = lambda: False) -> None:
        while self._calls and self._calls[0][0] <= end and not is_done():
            self.now, _, call = heapq.heappop(self._calls)
            call()

    def note(self, event: Any) -> None:
        self.codes.append(event.code)

    # -- targets -----------------------------------------------------------------------------------

    def start_target(self) -> Target:
        target = Target(self, 1_000_000 + int(self.now * 1000))
        self.targets.append(target)
        self.owner = target
        return target

    def start_target_if_owner(self, target: Target) -> Callable[[], None]:
        """A supervisor starts what ended again, unless another one has the volume by now."""

        def start() -> None:
            if self.owner is target:
                self.start_target()

        return start

    def is_blocked(self, target: Target, node: Node) -> bool:
        return (id(target), node.name) in self.blocked

    # -- who holds every acknowledged write, seen from above ---------------------------------------

    def look(self, target: Target) -> None:
        """A target may have come to serve, or a membership into force."""
        if target.replicator.state is not State.SERVING:
            return
        membership = target.replicator._steward._quorum.membership
        assert membership is not None
        if not target.epoch:
            target.epoch = self.next_epoch
            self.next_epoch += 1
            self.history.serve(target.epoch)
        if self._in_force is not None and membership.rank <= self._in_force.rank:
            return
        before, self._in_force = self._in_force, membership
        had_memory = bool(self.kept)
        self._staying = set(membership.in_sync)
        self.kept &= set(membership.in_sync)
        if had_memory and not self.kept:
            raise ViolationError(f"{membership.in_sync} serve, and the last memory is elsewhere")
        is_new = before is None or before.ballot != membership.ballot
        for name in membership.in_sync:
            node = self.nodes[name]
            was_in = before is not None and name in before.in_sync
            holds = node.record.let_in_boot == node.boot_id or not node.record.marks
            if holds and (is_new or not was_in):
                self.kept.add(name)

    def save(self, node: Node, record: Record) -> None:
        """A replica's record is durable: one that stays has accepted, so who leaves is out."""
        node.record = record
        accepted = record.accepted
        is_member = node.name in accepted.in_sync and accepted.rank >= self._highest
        if is_member and self.kept and record.let_in_boot == node.boot_id:
            self.kept.add(node.name)  # It was proved equal before it was proposed.
        if accepted.rank > self._highest and node.name in accepted.in_sync:
            self._highest = accepted.rank
            if self.kept and not self.kept & set(accepted.in_sync):
                raise ViolationError(f"{accepted.in_sync} are voted in, the last memory is not")
            # It may come into force unseen: who leaves does not count as a memory any more.
            self._staying = set(accepted.in_sync)

    def end_sync(self, store: SimStore, began: dict[int, int], *, failed: bool) -> None:
        store.end_sync(began, failed=failed)

    # -- machines ----------------------------------------------------------------------------------

    def start_replica(self, node: Node) -> None:
        if node.process is None and node.is_powered:
            node.process = Process(self, node)

    def kill_replica(self, node: Node) -> None:
        if node.process is not None:
            node.process.end()
        node.is_hung = False
        node.stalled.clear()

    def power_off(self, node: Node) -> None:
        process = node.process
        connections = list(process.connections.values()) if process is not None else []
        if process is not None:
            process.is_failing = False
        self.kill_replica(node)
        for connection in connections:
            connection.to_target.queue.clear()
            self.later(self.random.random() * 2, connection.break_now)
        node.is_powered = False
        node.store.lose_power()
        node.boot += 1
        if node.record.marks and node.name in self.kept:
            self.kept.discard(node.name)
            if not self.kept & self._staying:
                self.kept.clear()
                self.history.lose_memory()

    def power_on(self, node: Node) -> None:
        node.is_powered = True
        self.start_replica(node)

    def hang(self, node: Node, *, is_hung: bool) -> None:
        node.is_hung = is_hung and node.process is not None
        if not node.is_hung:
            stalled, node.stalled = node.stalled, []
            for call in stalled:
                call()

    def block(self, target: Target, node: Node) -> None:
        self.blocked.add((id(target), node.name))
        connection = target.connections.get(node.name)

        def notice() -> None:
            if connection is not None and self.is_blocked(target, node):
                connection.break_now()

        self.later(1 + self.random.random() * 2, notice)

    # -- the run -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Faults, then calm, then the last judgement."""
        plan_faults(self)
        self.run_until(self.faults_s)
        self._heal()
        # The last connection that died with its machine is noticed by then.
        self.run_until(self.now + 3)
        self.run_until(self.now + CALM_S, self._is_whole)
        if not self._is_whole():
            raise ViolationError(f"not whole after {CALM_S} s of calm: {self.codes[-8:]}")
        self.is_over = True
        self.run_until(self.now + 10, lambda: not self.owner.outstanding)
        self._judge_copies()

    def _heal(self) -> None:
        self.blocked.clear()
        for target in self.targets:
            if target is not self.owner:
                target.end()
        for node in self.nodes.values():
            node.store.write_error = 0
            node.store.sync_error = False
            node.save_error = False
            self.hang(node, is_hung=False)
            self.power_on(node)
        if not self.owner.is_alive:
            self.later(1.0, self.start_target_if_owner(self.owner))

    def _is_whole(self) -> bool:
        steward = self.owner.replicator._steward
        return (
            self.owner.is_alive
            and steward.is_whole
            and set(steward._quorum.latest.in_sync) == set(self.nodes)
        )

    def _judge_copies(self) -> None:
        target = self.owner
        if target.outstanding:
            raise ViolationError(f"{target.outstanding} requests are never answered")
        target._guarded(lambda: target.submit([target._read(block) for block in HOT]))
        self.run_until(self.now + 10, lambda: not target.outstanding)
        if target.outstanding:
            raise ViolationError("the last reads are never answered")
        if not self._is_whole():
            return
        held = {
            tuple(node.store.cached.get(block, 0) for block in range(self.size_bytes // BLOCK))
            for node in self.nodes.values()
        }
        if len(held) != 1:
            raise ViolationError("replicas in sync differ")


def run_seed(
    seed: int, faults_s: float = FAULTS_S, faults: tuple[Callable[[World], None], ...] = ()
) -> World:
    """Run one seed.

    Raises:
        ViolationError: The promise was broken.
    """
    world = World(seed, faults_s, faults)
    world.run()
    return world


def main() -> int:
    """Run many seeds, and say which failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--faults-s", type=float, default=FAULTS_S, help="simulated seconds each")
    wanted = parser.parse_args()
    failed: list[int] = []
    writes = faults = reads = 0
    for seed in range(wanted.start, wanted.start + wanted.seeds):
        try:
            world = run_seed(seed, wanted.faults_s)
        except Exception:  # noqa: BLE001 - whatever it is, the seed is what matters
            failed.append(seed)
            traceback.print_exc()
            sys.stdout.write(f"seed {seed} FAILED\n")
            continue
        writes += world.history.acknowledged_writes
        reads += world.history.checked_reads
        faults += world.fault_count
    sys.stdout.write(
        f"{wanted.seeds} seeds, {faults} faults, {writes} acknowledged writes, "
        f"{reads} checked reads; failed: {failed or 'none'}\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
