"""Targets that another writer has fenced: noted in the state, where it outlives them."""

from __future__ import annotations

from tierce.errors import TierceError, explain
from tierce.server.node import Node
from tierce.spec import Event
from tierce.supervision.child import Child


def note_fenced(node: Node, child: Child | None = None) -> None:
    """Move what fenced targets left behind into the state.

    Args:
        node: Its volumes.
        child: One that has just said so; those that a former server had are found.
    """
    ended = {child.plan.name: child.fenced} if child is not None else {}
    ended |= {path.stem: "" for path in node.paths.run.glob("target.*.ended")}
    for name, reason in ended.items():
        try:
            why = node.paths.why_ended(name) or reason
            node.inventory.fence(name.removeprefix("target."), why)
            node.paths.ended(name).unlink(missing_ok=True)
        except (TierceError, OSError) as error:
            # Where the state can't be written the note stays, which keeps the target down.
            why = f"{name} is fenced, which can't be noted: {explain(error)}"
            node.emit(Event("volume.fence-failed", why, f"process/{name}", "error"))
