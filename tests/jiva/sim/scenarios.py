"""Histories that are known to matter, with everything about them left to chance, among the chaos.

A scenario is a generator: it yields how long to wait, or the name of a moment to wait for.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from jiva.sim import faults

if TYPE_CHECKING:
    from jiva.sim.machines import Node
    from jiva.simulation import World

    Steps = Generator[float | str, None, None]

#: A moment that does not come within this time is not waited for any longer.
_PATIENCE_S = 1.5


def play(world: World, scenario: Callable[[World], Steps]) -> None:
    """Run a scenario's steps, until they end or the time of faults does."""
    steps = scenario(world)
    step = 0

    def go() -> None:
        nonlocal step
        step += 1
        if world.now >= world.faults_s:
            return
        wanted = next(steps, None)
        if isinstance(wanted, str):
            this = step

            def go_once() -> None:
                if step == this:
                    go()

            world.aims.once(wanted, go_once)
            world.later(_PATIENCE_S, go_once)
        elif wanted is not None:
            world.later(wanted, go)

    world.tally[f"scenario: {scenario.__name__}"] += 1
    go()


def _two(world: World) -> tuple[Node, Node]:
    nodes = list(world.nodes.values())
    first = world.random.choice(nodes)
    return first, world.random.choice([node for node in nodes if node is not first] or nodes)


def _short(world: World) -> float:
    """Anything from at once to a few messages."""
    return world.random.random() * world.random.choice([0.0, 0.02, 0.2, 1.0])


def _all(world: World) -> list[Node]:
    return list(world.nodes.values())


def failed_sync_restart_power(world: World) -> Steps:
    """A sync fails, its process dies before it has said so, then power fails somewhere else."""
    node, other = _two(world)
    node.disk.sync_error = True
    yield "failed sync"
    yield _short(world)
    world.kill_replica(node)
    node.disk.sync_error = False
    yield _short(world)
    world.start_replica(node)
    yield _short(world)
    strike = world.random.choice([faults.lose_power, faults.lose_all_power, faults.kill_target])
    faults.hit(world, strike, other)


def burst_of_errors(world: World) -> Steps:
    """A sync fails and the record that says so too: nobody remembers."""
    node, other = _two(world)
    node.disk.sync_error = node.save_error = True
    yield "failed sync"
    yield _short(world)
    node.disk.sync_error = node.save_error = False
    yield world.random.choice(["synced", "saved", "promise", "redone"])
    yield _short(world)
    strikes = [faults.lose_all_power, faults.lose_power, faults.kill_target, faults.kill_everything]
    faults.hit(world, world.random.choice(strikes), other)


def every_sync_fails(world: World) -> Steps:
    """All disks fail to sync for a while."""
    for node in _all(world):
        node.disk.sync_error = True
    yield "failed sync"
    yield _short(world)
    for node in _all(world):
        node.disk.sync_error = False
        yield _short(world) / 4
    faults.hit(world, world.random.choice([faults.kill_target, faults.lose_all_power, faults.cut]))


def full_disk_and_reconnect(world: World) -> Steps:
    """A disk is full, its link breaks while another replica stands still, and the same frames come
    again to a disk with room."""
    node, other = _two(world)
    is_alone, is_mended = world.random.random() < 0.6, world.random.random() < 0.6
    if is_alone:
        world.hang(other, is_hung=True)
    full = [node, other][: world.random.choice([1, 1, 2])]
    for each in full:
        each.disk.write_error = errno.ENOSPC
    yield "failure"
    if is_mended:
        node.disk.write_error = 0
        yield "ack"
    yield _short(world) / 4
    breaks = world.random.choice([faults.cut, faults.cut, faults.kill_replica, faults.isolate])
    faults.hit(world, breaks, node)
    if world.random.random() < 0.5 and not is_alone:
        faults.hit(world, breaks, other)
    for each in full:
        yield _short(world) / 2
        each.disk.write_error = 0
    yield _short(world)
    world.hang(other, is_hung=False)


def take_over_and_wake(world: World) -> Steps:
    """A target stands still, another one takes over, the first goes on where it was."""
    old = world.owner
    old.stall()
    yield 0.2 + _short(world)
    world.tally["takeover"] += 1
    world.start_target()
    yield "serving"
    yield _short(world)
    old.resume()


def staggered_power(world: World) -> Steps:
    """Everything loses power, and comes back one by one, or not for long."""
    yield "write"
    yield _short(world)
    faults.lose_all_power(world)
    yield "promise"
    yield _short(world)
    faults.hit(world, world.random.choice([faults.lose_power, faults.cut, faults.kill_target]))


def last_one_lost(world: World) -> Steps:
    """The set shrinks, and then those that are left lose power."""
    node, other = _two(world)
    for each in _all(world):
        if each is not node:
            world.kill_replica(each)
    yield "voted out"
    yield _short(world)
    world.start_replica(other)
    yield _short(world)
    world.power_off(node.machine)
    for each in _all(world):
        world.start_replica(each)
    yield _short(world) * 2
    world.power_on(node.machine)


def voted_out_and_power(world: World) -> Steps:
    """One is voted out while others lose power."""
    node, other = _two(world)
    faults.isolate(world, node)
    yield "accept"
    yield _short(world)
    faults.hit(world, faults.lose_power, other)
    yield _short(world)
    faults.hit(world, faults.take_over)


def old_folder(world: World) -> Steps:
    """A folder is copied; much is written, flushed and settled; the copy is put back, under a
    target that goes on, before the next one, or while its replica is out; all begin anew."""
    node, _ = _two(world)
    beside = [each for each in _all(world) if each.machine is world.owner.machine]
    if beside and world.random.random() < 0.4:
        node = world.random.choice(beside)
    world.rollbacks.copy(node)
    for _ in range(world.random.choice([0, 1, 2, 3])):
        yield world.random.choice(["cleared mark", "cleared mark", "marked", "synced"])
    yield _short(world) / 2
    how = world.random.choice(["living", "living", "between", "between", "out", "over", "all"])
    target = world.owner
    if how == "between":
        target.end()
    elif how == "out":
        yield from kill_and_wait(world, node)
    elif how == "over":
        faults.hit(world, faults.take_over)
        yield world.random.choice(["serving", "synced", "cleared mark"])
    elif how == "all":
        faults.hit(world, faults.kill_everything)
        yield world.random.choice([0.0, 0.2])
    world.rollbacks.put_back(node)
    yield _short(world) / 2
    world.start_target_if_owner(target)()
    after = world.random.choice([None, None, faults.kill_target, faults.kill_everything])
    if after is not None:
        yield _short(world)
        faults.hit(world, after)


def kill_and_wait(world: World, node: Node) -> Steps:
    """A replica is killed and stays away until it is voted out."""
    world.kill_replica(node)
    yield "voted out"
    yield _short(world)


def holder_away(world: World) -> Steps:
    """All lose power but one, which the next target can't reach."""
    holder, _ = _two(world)
    yield world.random.choice(["write", "ack", "flush"])
    yield _short(world) / 2
    for machine in world.machines:
        if machine is not holder.machine:
            world.power_off(machine)
    faults.hit(world, faults.kill_target)
    for machine in world.machines:
        world.power_on(machine)
    world.block(world.owner, holder)
    yield world.random.choice([0.3, 1.0])
    if not world.owner.is_alive:
        world.start_target()
    world.block(world.owner, holder)
    yield "promise"
    yield 0.5 + _short(world)
    world.unblock(world.owner, holder)


def evicted_beside_one_that_is_out(world: World) -> Steps:
    """The set has shrunk; a sync fails on one of those that are left; the next target reaches that
    one, and one that is out."""
    node, other = _two(world)
    out = [each for each in _all(world) if each not in {node, other}]
    for each in out:
        world.kill_replica(each)
    yield "voted out"
    yield "write"
    yield _short(world) / 2
    node.disk.sync_error = True
    yield "failed sync"
    yield _short(world) / 2
    if world.random.random() < 0.5:
        world.kill_replica(node)
    world.owner.end()
    node.disk.sync_error = False
    for each in [*out, node]:
        world.start_replica(each)
    target = world.start_target()
    world.block(target, other)
    world.evict(node)
    yield 1.0 + _short(world)
    world.unblock(target, other)


def give_up(world: World) -> Steps:
    """Most replicas are away for longer than I/O waits, with writes under way."""
    node, _ = _two(world)
    yield "write"
    yield _short(world)
    nodes = [each for each in _all(world) if each is not node] or [node]
    how = world.random.random()
    for each in nodes:
        if how < 0.5:
            world.block(world.owner, each)
        else:
            world.hang(each, is_hung=True)
    yield world.options.not_ready_after_s + world.random.random() * 0.6
    for each in nodes:
        world.unblock(world.owner, each)
        world.hang(each, is_hung=False)
        yield _short(world)


def disturbed_rejoin(world: World) -> Steps:
    """A replica is voted out, comes back, and is struck, or others are, while it is rebuilt."""
    node, other = _two(world)
    world.kill_replica(node)
    yield "voted out"
    yield _short(world)
    world.start_replica(node)
    yield world.random.choice(
        ["mark", "marked", "copy", "digest", "last flush", "accept", "in sync"]
    )
    yield _short(world)
    strike = world.random.choice([*faults.FAULTS, faults.lose_power, faults.kill_target])
    faults.hit(world, strike, world.random.choice([node, other]))
    if world.random.random() < 0.5:
        yield _short(world)
        faults.hit(world, faults.lose_all_power)


def cleared_and_written(world: World) -> Steps:
    """A volume falls asleep, its marks go, it is written again, and power fails."""
    node, _ = _two(world)
    yield "cleared mark"
    yield "write"
    yield _short(world)
    faults.hit(world, world.random.choice([faults.lose_power, faults.kill_replica]), node)
    yield _short(world)
    faults.hit(world, world.random.choice([faults.kill_target, faults.lose_all_power]))


def evicted(world: World) -> Steps:
    """What a failed sync left is evicted where the next target looks first."""
    node, other = _two(world)
    node.disk.sync_error = True
    yield "failed sync"
    faults.hit(world, faults.kill_target)
    world.block(world.owner, other)
    yield _short(world)
    node.disk.sync_error = False
    world.evict(node)
    yield "serving"
    yield _short(world)
    world.unblock(world.owner, other)


def close_and_power(world: World) -> Steps:
    """The target is closed in order, power fails about then, and it is opened again."""
    faults.hit(world, faults.close_target)
    yield world.random.choice(["mark", "marked", "flush", "save", "saved", "hello"])
    yield _short(world)
    strikes = [faults.lose_all_power, faults.lose_power, faults.kill_everything]
    faults.hit(world, world.random.choice(strikes))


def disturbed_opening(world: World) -> Steps:
    """A target opens, and loses replicas, or they their memory, at each of its steps."""
    node, _ = _two(world)
    faults.hit(world, world.random.choice([faults.kill_target, faults.kill_everything]))
    yield world.random.choice(["hello", "prepare", "promise", "accept", "accepted", "serving"])
    yield _short(world)
    strikes = [faults.cut, faults.kill_replica, faults.lose_power, faults.take_over, faults.hang]
    faults.hit(world, world.random.choice(strikes), node)


SCENARIOS = (
    failed_sync_restart_power,
    burst_of_errors,
    every_sync_fails,
    full_disk_and_reconnect,
    take_over_and_wake,
    staggered_power,
    last_one_lost,
    voted_out_and_power,
    old_folder,
    old_folder,
    holder_away,
    evicted_beside_one_that_is_out,
    give_up,
    disturbed_rejoin,
    cleared_and_written,
    evicted,
    close_and_power,
    disturbed_opening,
)


def plan_scenarios(world: World) -> None:
    """Play one or two of them, or none."""
    random = world.random
    for _ in range(random.choice([0, 1, 1, 2])):
        scenario = random.choice(SCENARIOS)
        world.later(0.4 + random.random() * 2.5, lambda s=scenario: play(world, s))  # type: ignore[misc]
