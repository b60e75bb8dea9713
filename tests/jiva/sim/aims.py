"""Coincidences sought: faults that strike within a few steps of the moments that matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from jiva.sim import faults
from jiva.sim.faults import hit

if TYPE_CHECKING:
    from jiva.sim.faults import Fault
    from jiva.sim.machines import Node
    from jiva.simulation import World

#: What frames and actions are worth striking at, and how often in a hundred each is chosen.
MOMENTS = {
    "prepare": 6,
    "promise": 8,
    "accept": 10,
    "accepted": 8,
    "mark": 10,
    "marked": 8,
    "write": 5,
    "ack": 5,
    "failure": 8,
    "flush": 5,
    "copy": 10,
    "digest": 5,
    "digests": 5,
    "last flush": 8,
    "save": 8,
    "saved": 8,
    "sync": 5,
    "synced": 5,
    "failed sync": 8,
    "renew": 4,
    "redone": 6,
    "serving": 5,
    "in sync": 5,
    "voted out": 5,
}
#: What is aimed; the frequent ones twice.
STRIKES: tuple[Fault, ...] = (
    *(faults.kill_replica, faults.kill_replica, faults.lose_power, faults.lose_power),
    *(faults.cut, faults.cut, faults.hang, faults.isolate, faults.damage_frame),
    *(faults.kill_target, faults.kill_target, faults.take_over, faults.stall_target),
    *(faults.lose_all_power, faults.kill_everything, faults.partition, faults.close_target),
    *(faults.fail_sync, faults.fail_sync_and_save, faults.fail_write, faults.fail_save),
)


@attrs.define(eq=False)
class _Aim:
    moment: str
    strikes: list[Fault]
    is_here: bool
    skip: int
    left: int


class Aims:
    """Watches what passes, and strikes.

    Args:
        world: It.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = random = world.stream("aims")
        self._aims: list[_Aim] = []
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        for _ in range(random.choice([0, 1, 2, 3])):
            moment = random.choices(list(MOMENTS), list(MOMENTS.values()))[0]
            strikes = random.sample(STRIKES, random.choice([1, 1, 2]))
            skip, left = random.randrange(4), random.choice([1, 2, 5])
            self._aims.append(_Aim(moment, strikes, random.random() < 0.6, skip, left))

    @property
    def is_watching(self) -> bool:
        """True if anybody waits for a moment."""
        return bool(self._aims or self._waiting)

    def once(self, moment: str, call: Callable[[], None]) -> None:
        """Call at the next such moment."""
        self._waiting.setdefault(moment, []).append(call)

    def saw(self, moment: str, node: Node | None) -> None:
        """It passes by, at this replica."""
        for call in self._waiting.pop(moment, ()):
            self._world.later(0.0, call)
        for aim in self._aims:
            if aim.moment == moment and self._world.now < self._world.faults_s:
                self._take(aim, node)

    def _take(self, aim: _Aim, node: Node | None) -> None:
        if aim.skip:
            aim.skip -= 1
            return
        if not aim.left:
            return
        aim.left -= 1
        aim.skip = self._random.randrange(6)
        random, world = self._random, self._world
        reach_s = random.choice([0.0, 0.01, world.latency_s, 2 * world.latency_s])
        world.tally["aimed strike"] += 1
        for strike in aim.strikes:
            struck = node if aim.is_here else None
            delay_s = random.random() * reach_s
            world.later(delay_s, lambda s=strike, n=struck: hit(world, s, n))  # type: ignore[misc]
