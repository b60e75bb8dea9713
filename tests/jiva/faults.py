"""What goes wrong in a simulation, and when."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jiva.machines import Node
    from jiva.simulation import World


def plan_faults(world: World) -> None:
    """Let something go wrong every now and then until the time of faults is over."""
    mood = world.random.choice([0.15, 0.4, 1.0])

    def strike() -> None:
        if world.now < world.faults_s:
            world.fault_count += 1
            world.random.choice(world.faults or _FAULTS)(world)
            world.later(world.random.random() * mood, strike)

    world.later(0.3, strike)


def losing_disks() -> tuple[Callable[[World], None], ...]:
    """Return faults for runs in which disks fail to sync and then everything loses power."""
    return (fail_sync, fail_sync, fail_sync, lose_all_power, kill_target, cut)


def _node(world: World) -> Node:
    return world.random.choice(list(world.nodes.values()))


def _soon(world: World, call: Callable[[], None], seconds: float = 1.5) -> None:
    world.later(world.random.random() * seconds, call)


def kill_replica(world: World) -> None:
    """kill -9 of a replica's process, which is started again."""
    node = _node(world)
    world.kill_replica(node)
    _soon(world, lambda: world.start_replica(node))


def cut(world: World) -> None:
    """A connection breaks."""
    node = _node(world)
    connection = world.owner.connections.get(node.name)
    if connection is not None:
        connection.break_now()


def partition(world: World) -> None:
    """A target can't reach some replicas for a while."""
    alive = [target for target in world.targets if target.is_alive]
    if not alive:
        return
    target = world.random.choice(alive)
    for node in world.random.sample(list(world.nodes.values()), (len(world.nodes) + 1) // 2):
        world.block(target, node)
        _soon(world, lambda n=node: world.blocked.discard((id(target), n.name)), 3)  # type: ignore[misc]


def hang(world: World) -> None:
    """A replica's process stands still for a while."""
    node = _node(world)
    world.hang(node, is_hung=True)
    _soon(world, lambda: world.hang(node, is_hung=False), 3)


def lose_power(world: World) -> None:
    """One machine loses power."""
    node = _node(world)
    if node.is_powered:
        world.power_off(node)
        _soon(world, lambda: world.power_on(node))


def lose_all_power(world: World) -> None:
    """The site loses power."""
    if world.random.random() < 0.6:
        return
    for target in world.targets:
        target.end()
    for node in world.nodes.values():
        if node.is_powered:
            world.power_off(node)
            _soon(world, lambda n=node: world.power_on(n))  # type: ignore[misc]
    world.later(0.5, world.start_target_if_owner(world.owner))


def kill_everything(world: World) -> None:
    """kill -9 of every process."""
    for target in world.targets:
        target.end()
    for node in world.nodes.values():
        world.kill_replica(node)
        _soon(world, lambda n=node: world.start_replica(n), 0.5)  # type: ignore[misc]
    world.later(0.3, world.start_target_if_owner(world.owner))


def kill_target(world: World) -> None:
    """kill -9 of the target, which is started again."""
    target = world.owner
    target.end()
    _soon(world, world.start_target_if_owner(target), 0.5)


def take_over(world: World) -> None:
    """Another target is started while the old one runs."""
    world.start_target()


def fail_sync(world: World) -> None:
    """fsync fails on one machine for a while."""
    node = _node(world)
    node.store.sync_error = True
    _soon(world, lambda: setattr(node.store, "sync_error", False), 0.5)


def fail_write(world: World) -> None:
    """Writes fail half-way on one machine, or on all, for a while."""
    nodes = [_node(world)] if world.random.random() < 0.6 else list(world.nodes.values())
    code = world.random.choice([errno.ENOSPC, errno.EIO])
    for node in nodes:
        node.store.write_error = code
        _soon(world, lambda n=node: setattr(n.store, "write_error", 0), 0.6)  # type: ignore[misc]


def fail_save(world: World) -> None:
    """A record can't be made durable."""
    node = _node(world)
    node.save_error = True
    _soon(world, lambda: setattr(node, "save_error", False), 0.5)


def cool(world: World) -> None:
    """A machine's cache is cold: reads wait for its disk."""
    node = _node(world)
    node.store.is_cold = world.random.choice([0.0, 0.5, 1.0])


_FAULTS: tuple[Callable[[World], None], ...] = (
    kill_replica,
    kill_replica,
    cut,
    cut,
    partition,
    hang,
    lose_power,
    lose_all_power,
    kill_everything,
    kill_target,
    kill_target,
    take_over,
    fail_sync,
    fail_write,
    fail_write,
    fail_save,
    cool,
)
