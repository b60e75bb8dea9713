"""What `volume adopt --keep` does to the folders of a volume of which nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from jiva.sim.machines import UUID
from tierce_jiva.ballot import Ballot, Membership
from tierce_jiva.forcing import _as_the_only_one
from tierce_jiva.record_file import encode_record

if TYPE_CHECKING:
    from jiva.sim.machines import Node
    from jiva.simulation import World


def keep_only(world: World, kept: Node) -> None:
    """Let the next opening serve from one replica, whatever the others know."""
    highest = max(node.record.promised.number for node in world.nodes.values())
    ballot = Ballot(max(highest + 1, world.wall_ms()), world.random.getrandbits(64))
    membership = Membership(ballot, 1, kept.record.accepted.members, (kept.name,))
    for node in world.nodes.values():
        record = node.record.promise(ballot).accept(membership)
        if node is kept:
            only = _as_the_only_one(record, node.disk.identity, ballot)
            record = attrs.evolve(only, let_in_boot=node.machine.boot_id)
        node.record = record
        node.saved = encode_record(record, UUID, node.name, world.regions)
    kept.is_damaged = False
    world.memory.begin_anew(kept, membership)
