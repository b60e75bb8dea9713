"""What goes wrong in a simulation, one thing at a time. Each fault strikes the replica that it is
given, or one of its own choice, and mends itself after a while where it is of that kind."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from jiva.sim.disks import SYNC_S

if TYPE_CHECKING:
    from jiva.sim.machines import Node
    from jiva.sim.target import Target
    from jiva.simulation import World

Fault = Callable[["World", "Node | None"], None]


def plan_faults(world: World) -> None:
    """Let something go wrong every now and then until the time of faults is over."""
    random = world.random
    pace_s = random.choice([0.15, 0.4, 0.4, 1.0, 1.0, 2.0])

    def strike() -> None:
        if world.now < world.faults_s:
            hit(world, random.choice(world.faults or FAULTS))
            world.later(random.random() * pace_s, strike)

    world.later(0.3 + random.random() * 0.5, strike)


def hit(world: World, fault: Fault, node: Node | None = None) -> None:
    """Let one thing go wrong, and count it."""
    world.fault_count += 1
    world.tally[f"fault: {fault.__name__}"] += 1
    world.say(f"fault: {fault.__name__} {node.name if node else ''}")
    fault(world, node)


def losing_disks() -> tuple[Fault, ...]:
    """Return faults for runs in which disks fail to sync and then everything loses power."""
    return (fail_sync, fail_sync, fail_sync, lose_all_power, kill_target, cut)


def _node(world: World, node: Node | None) -> Node:
    return node or world.random.choice(list(world.nodes.values()))


def _soon(world: World, call: Callable[[], None], seconds: float = 1.5) -> None:
    world.later(world.random.random() * seconds, call)


def _some(world: World, node: Node | None) -> list[Node]:
    """One replica, or sometimes all."""
    return [_node(world, node)] if world.random.random() < 0.6 else list(world.nodes.values())


# -- processes and machines ------------------------------------------------------------------------


def kill_replica(world: World, node: Node | None = None) -> None:
    """kill -9 of a replica's process, which is started again."""
    node = _node(world, node)
    world.kill_replica(node)
    _soon(world, lambda: world.start_replica(node), world.random.choice([0.1, 1.5]))


def hang(world: World, node: Node | None = None) -> None:
    """A replica's process stands still for a while, which may be longer than every budget."""
    node = _node(world, node)
    world.hang(node, is_hung=True)
    seconds = world.random.choice([0.5, 2.0, world.options.not_ready_after_s + 1])
    _soon(world, lambda: world.hang(node, is_hung=False), seconds)


def lose_power(world: World, node: Node | None = None) -> None:
    """One machine loses power."""
    machine = _node(world, node).machine
    if machine.is_powered:
        world.power_off(machine)
        _soon(world, lambda: world.power_on(machine))


def lose_all_power(world: World, _node: Node | None = None) -> None:
    """The site loses power."""
    world.tally["total crash"] += 1
    for target in world.targets:
        target.end()
    for machine in world.machines:
        if machine.is_powered:
            world.power_off(machine)
            _soon(world, lambda m=machine: world.power_on(m))  # type: ignore[misc]
    world.later(0.5, world.start_target_if_owner(world.owner))


def kill_everything(world: World, _node: Node | None = None) -> None:
    """kill -9 of every process."""
    world.tally["total crash"] += 1
    for target in world.targets:
        target.end()
    for node in world.nodes.values():
        world.kill_replica(node)
        _soon(world, lambda n=node: world.start_replica(n), 0.5)  # type: ignore[misc]
    world.later(0.3, world.start_target_if_owner(world.owner))


# -- targets ---------------------------------------------------------------------------------------


def kill_target(world: World, _node: Node | None = None) -> None:
    """kill -9 of the target, which is started again."""
    target = world.owner
    target.end()
    _soon(world, world.start_target_if_owner(target), 0.5)


def take_over(world: World, _node: Node | None = None) -> None:
    """Another target is started while the old one runs, or stands still."""
    old = world.owner
    world.tally["takeover"] += 1
    if world.random.random() < 0.4:
        old.stall()
        _soon(world, old.resume, 3.0)
    world.start_target()


def stall_target(world: World, _node: Node | None = None) -> None:
    """SIGSTOP of the target for a while: events queue up, then time has jumped."""
    target = world.owner
    target.stall()
    _soon(world, target.resume, world.random.choice([0.5, 2.0, 4.0]))


def close_target(world: World, _node: Node | None = None) -> None:
    """The target is closed in order, under load or not, and opened again."""
    target = world.owner
    if target.is_alive and not target.is_stalled and not target.is_closing:
        delay_s = world.random.random() * 0.5
        again = world.start_target_if_owner(target)
        target.close(lambda: world.later(delay_s, again))
        # One that does not end in order is killed.
        world.later(delay_s + 6, lambda: _kill(target, again))


def _kill(target: Target, then: Callable[[], None]) -> None:
    target.end()
    then()


def turn_clock(world: World, _node: Node | None = None) -> None:
    """The wall clock jumps."""
    jump_ms = world.random.choice([-3_600_000, -2_000, -100, 100, 2_000, 3_600_000])
    world.tally["clock turned back"] += jump_ms < 0
    world.wall_offset_ms += jump_ms


# -- network ---------------------------------------------------------------------------------------


def _a_target(world: World) -> Target:
    return world.random.choice([t for t in world.targets if t.is_alive] or [world.owner])


def cut(world: World, node: Node | None = None) -> None:
    """A connection breaks."""
    connection = world.owner.connections.get(_node(world, node).name)
    if connection is not None:
        connection.break_now()


def damage_frame(world: World, node: Node | None = None) -> None:
    """A bit is turned over on the wire, in one direction."""
    connection = world.owner.connections.get(_node(world, node).name)
    if connection is not None:
        stream = world.random.choice([connection.to_replica, connection.to_target])
        stream.is_noisy = True


def isolate(world: World, node: Node | None = None) -> None:
    """A target can't reach one replica for a while."""
    _part(world, _a_target(world), [_node(world, node)], 3.0)


def partition(world: World, _node: Node | None = None) -> None:
    """A target can't reach most replicas for a while, which may be too long for I/O to wait."""
    nodes = world.random.sample(list(world.nodes.values()), (len(world.nodes) + 1) // 2)
    seconds = world.random.choice([1.0, 3.0, world.options.not_ready_after_s + 1.5])
    _part(world, _a_target(world), nodes, seconds)


def _part(world: World, target: Target, nodes: list[Node], seconds: float) -> None:
    for node in nodes:
        world.block(target, node)
        _soon(world, lambda n=node: world.unblock(target, n), seconds)  # type: ignore[misc]


# -- disks -----------------------------------------------------------------------------------------


def fail_sync(world: World, node: Node | None = None) -> None:
    """fsync fails on one machine for a while, or on all."""
    for each in [_node(world, node)] if world.random.random() < 0.8 else world.nodes.values():
        each.disk.sync_error = True
        _soon(world, lambda d=each.disk: setattr(d, "sync_error", False), 0.5)  # type: ignore[misc]


def fail_sync_and_save(world: World, node: Node | None = None) -> None:
    """A burst of errors: the data's sync fails, and then the record's."""
    node = _node(world, node)
    node.disk.sync_error = True
    node.save_error = True

    def end() -> None:
        node.disk.sync_error = False
        node.save_error = False

    _soon(world, end, 0.7)


def fail_write(world: World, node: Node | None = None) -> None:
    """Writes fail half-way on one machine, or on all, for a while."""
    code = world.random.choice([errno.ENOSPC, errno.ENOSPC, errno.EDQUOT, errno.EIO])
    for each in _some(world, node):
        each.disk.write_error = code
        _soon(world, lambda d=each.disk: setattr(d, "write_error", 0), 0.6)  # type: ignore[misc]


def fail_save(world: World, node: Node | None = None) -> None:
    """A record can't be made durable."""
    node = _node(world, node)
    node.save_error = True
    _soon(world, lambda: setattr(node, "save_error", False), 0.5)


def fail_read(world: World, node: Node | None = None) -> None:
    """Reads fail on one machine for a while."""
    disk = _node(world, node).disk
    disk.read_error = True
    world.may_be_unreadable = True
    _soon(world, lambda: setattr(disk, "read_error", False), 0.6)


def slow_disk(world: World, node: Node | None = None) -> None:
    """Syncs take long on one machine for a while."""
    disk = _node(world, node).disk
    disk.sync_s = world.random.choice([0.3, 1.0, 2.5])
    _soon(world, lambda: setattr(disk, "sync_s", SYNC_S), 2.0)


def cool(world: World, node: Node | None = None) -> None:
    """A machine's cache is cold: reads wait for its disk."""
    _node(world, node).disk.is_cold = world.random.choice([0.0, 0.5, 1.0])


# -- folders ---------------------------------------------------------------------------------------


def copy_folder(world: World, node: Node | None = None) -> None:
    """Somebody copies a replica's folder, for later."""
    world.rollbacks.copy(_node(world, node))


def put_back_folder(world: World, node: Node | None = None) -> None:
    """Somebody puts an old copy in the place of a folder."""
    world.rollbacks.put_back(_node(world, node))


def cut_file(world: World, node: Node | None = None) -> None:
    """A replica's file is cut short, and its folder is replaced by an old copy later."""
    world.rollbacks.cut(_node(world, node))


def damage_record(world: World, node: Node | None = None) -> None:
    """A record is damaged: its replica must not start until it is read right again."""
    node = _node(world, node)
    world.kill_replica(node)
    node.noise = (world.random.randrange(node.saved.index(b"}\n")), world.random.randrange(8))
    _soon(world, lambda: world.start_replica(node), 0.2)

    def mend() -> None:
        node.noise = None
        world.start_replica(node)

    _soon(world, mend, 2.0)


FAULTS: tuple[Fault, ...] = (
    *(kill_replica, kill_replica, hang, lose_power, lose_all_power, kill_everything),
    *(kill_target, kill_target, take_over, stall_target, close_target, turn_clock),
    *(cut, cut, damage_frame, isolate, partition),
    *(fail_sync, fail_sync_and_save, fail_write, fail_write, fail_save, fail_read, slow_disk, cool),
    *(copy_folder, copy_folder, put_back_folder, cut_file, damage_record),
)
