"""The last judgement: a volume that is whole again must do everything, and all replicas must be
equal, in their caches and on their media."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jiva.sim.blocks import BLOCK, ViolationError
from tierce import Request

if TYPE_CHECKING:
    from jiva.simulation import World

_PATIENCE_S = 10.0


def judge(world: World) -> None:
    """Judge a world in which nothing goes wrong any more.

    Raises:
        ViolationError: Something is not as it should be.
    """
    client, lost = world.owner.client, world.tally["jiva.replica.voted-out"]
    _wait(world, "requests")
    _ask(world, [client.read((block,)) for block in world.hot])
    if world.random.random() < 0.5:
        _ask(world, [client.write((block,)) for block in world.hot[::2]])
    _ask(world, [client.flush()])
    _ask(world, [client.read((block,)) for block in world.hot])
    # A set may be agreed upon once more, but nobody is voted out of it.
    world.run_until(world.now + _PATIENCE_S, world.is_whole)
    if not world.is_whole() or world.tally["jiva.replica.voted-out"] > lost:
        raise ViolationError("a volume that was whole is not so any more")
    _compare(world)
    if world.random.random() < 0.3:
        _close_and_open(world)


def _ask(world: World, requests: list[Request]) -> None:
    target = world.owner
    target.guarded(lambda: target.client.submit(requests))
    _wait(world, f"the last {requests[0].op.name} requests")
    for request in requests:
        if request.status is None or not request.status.is_good:
            raise ViolationError(
                f"{request.op.name} is answered {request.status} by a whole volume"
            )


def _wait(world: World, what: str) -> None:
    # Its owner may open anew meanwhile; what it was asked before ends with it. Comparisons of one
    # block go one by one, each as slow as a slow disk's read: each may take its time.
    while count := len(world.owner.client.outstanding):
        fewer = partial(_is_fewer, world, count)
        world.run_until(world.now + _PATIENCE_S, fewer)
        if not fewer():
            outstanding = world.owner.client.outstanding
            raise ViolationError(f"{what} are never answered: {list(outstanding.values())}")


def _is_fewer(world: World, count: int) -> bool:
    return len(world.owner.client.outstanding) < count


def _compare(world: World) -> None:
    """All hold the same, and a loss of power would take nothing of it."""
    nodes = list(world.nodes.values())
    for index in range(world.size_bytes // BLOCK):
        held = {node.disk.cached.get(index, 0) for node in nodes}
        if len(held) != 1:
            raise ViolationError(f"replicas in sync differ at {index}: {held}")
        for node in nodes:
            if node.disk.may_leave(index) != held:
                raise ViolationError(f"{node.name} has flushed, and may lose {held} at {index}")


def _close_and_open(world: World) -> None:
    """A volume that is closed in order is clean, and the next target opens it so."""
    target = world.owner
    target.close(lambda: None)
    world.run_until(world.now + _PATIENCE_S, lambda: not target.is_alive)
    if target.is_alive:
        raise ViolationError("it never closes")
    marked = [node.name for node in world.nodes.values() if node.record.marks]
    if marked:
        raise ViolationError(f"{marked} are marked after an orderly close")
    world.start_target()
    world.is_over = True
    world.run_until(world.now + _PATIENCE_S, world.is_whole)
    if not world.is_whole():
        raise ViolationError("a volume that was closed in order is not whole when it is opened")
    _ask(world, [world.owner.client.read((block,)) for block in world.hot])
