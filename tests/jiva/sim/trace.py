"""What happens in a simulation, line by line, for whoever has to understand a seed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from jiva.sim.blocks import versions_of
from tierce import Flag, Op

if TYPE_CHECKING:
    from jiva.sim.machines import Node
    from jiva.simulation import World
    from tierce import Request
    from tierce_jiva.ballot import Record


class Trace:
    """Prints it.

    Args:
        world: What is watched.
        block: The block whose reads and writes are told; None for none.
    """

    def __init__(self, world: World, block: int | None) -> None:
        self._world = world
        self._block = block
        for node in world.nodes.values():
            self.watch(node)

    def say(self, text: str) -> None:
        """Tell something, and when."""
        sys.stdout.write(f"{self._world.now:9.4f}  {text}\n")

    def watch(self, node: Node) -> None:
        """Tell what is put into its file from now on."""
        block = self._block
        if block is not None:
            node.disk.told = lambda index, version: (
                self.say(f"    {node.name} holds {version}") if index == block else None
            )

    def saved(self, node: Node, record: Record) -> None:
        """A record is durable."""
        accepted = record.accepted
        self.say(
            f"  {node.name} saved: promised {record.promised.number}, accepted "
            f"{accepted.ballot.number}/{accepted.sequence} {accepted.in_sync}, marks "
            f"{sorted(record.marks)} by {record.order.number}, settled {record.settled.number}"
            f"{', suspect' if record.suspect else ''}"
        )

    def asked(self, target: int, request: Request) -> None:
        """A client asks."""
        self._tell(target, request, "asks")

    def answered(self, target: int, request: Request) -> None:
        """A client is told."""
        assert request.status is not None
        self._tell(target, request, request.status.code.name)

    def _tell(self, target: int, request: Request, what: str) -> None:
        asked: Any = request.tag
        if not asked.blocks or self._block in asked.blocks:
            fua = " FUA" if request.flags & Flag.FUA else ""
            if request.op is Op.READ and request.status is not None and request.status.is_good:
                assert request.buffer is not None
                what = f"reads {versions_of(bytes(request.buffer))}"
            self.say(
                f"    T{target} {request.op.name}{fua} {asked.blocks} version {asked.version} "
                f"begun at {asked.began} {asked.expected or ''}: {what}"
            )
