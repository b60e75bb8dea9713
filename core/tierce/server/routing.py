"""What the portal is told: which volumes it may lead to, then that it may accept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tierce.codec import to_json
from tierce.config import portal_sections
from tierce.process.listening import dialled
from tierce.process.messages import Message, Peer
from tierce.process.plan import Role
from tierce.server.node import Node
from tierce.supervision.child import Child


class Router:
    """Keeps the portal's routes what they should be.

    Args:
        node: What is served.
        reachable: Called with each volume that can be used now.
    """

    def __init__(self, node: Node, reachable: Callable[[str], None]) -> None:
        self._node = node
        self._reachable = reachable
        #: What the portal was told, by volume and front end.
        self._routed: dict[tuple[str, str], Message] = {}
        #: The connection that it was told over: what was sent over one that broke may be lost.
        self._peer: Peer | None = None
        #: Volumes that are up and that no portal leads to.
        self._portalless: set[str] = set()

    def update(self) -> None:
        """Tell the portal what has changed; a new one everything, then that it may accept."""
        self._look_at_portalless()
        portal = self._find()
        peer = portal.peer if portal is not None else None
        if peer is None:
            self._peer = None
            return
        is_new = peer is not self._peer
        if is_new:
            self._peer, self._routed = peer, {}
        wanted = self._routes()
        for volume, frontend in self._routed.keys() - wanted.keys():
            peer.send({"do": "unroute", "volume": volume, "frontend": frontend})
        changed = [key for key, route in wanted.items() if self._routed.get(key) != route]
        # The portal answers in order: with a volume's last route it knows them all.
        last = {volume: (volume, frontend) for volume, frontend in changed}
        for key in changed:
            peer.ask(wanted[key], self._routed_now(key[0], is_last=last[key[0]] == key))
        self._routed = wanted
        if is_new:
            peer.send({"do": "open"})

    def addresses(self, frontend: str) -> tuple[str, ...]:
        """Return where users can reach a front end now, as they dial it; where the portal can't be
        asked, what is configured."""
        section = self._node.inventory.config.frontends[frontend]
        listening = self._fact("listening").get(frontend)
        if isinstance(listening, Mapping):
            # In the order of the config file: the first is the one that is shown first.
            found = [listening[one] for one in section.listen if one in listening]
            # None just after a reload: the portal has not said yet where it listens now.
            return dialled(found or section.listen)
        return dialled(section.listen)

    def unreachable_why(self, frontend: str) -> str:
        """Say why nobody can log in anew through a front end, or at one of its addresses; empty if
        one can."""
        portal = self._find()
        if portal is None:
            found = self._node.children.get(Role.PORTAL.value)
            trouble = found.failures.reason if found is not None else ""
            return "the portal does not run" + (f": {trouble}" if trouble else "")
        if portal.pulse.is_told:
            return "the portal does not answer"
        missing = self._fact("missing").get(frontend, {})
        if portal.facts and frontend not in self._fact("listening"):
            return "; ".join(["the portal listens nowhere", *map(str, missing.values())])
        return "; ".join(f"the portal {trouble}" for trouble in missing.values())

    def _find(self) -> Child | None:
        portal = self._node.children.get(Role.PORTAL.value)
        return portal if portal is not None and portal.phase == "up" else None

    def _fact(self, name: str) -> Mapping[str, Any]:
        portal = self._find()
        found = portal.facts.get(name) if portal is not None else None
        return found if isinstance(found, Mapping) else {}

    def _look_at_portalless(self) -> None:
        """A volume whose front ends all listen themselves can be used as soon as it is up."""
        inventory = self._node.inventory
        listened = portal_sections(inventory.config)
        up = {
            name
            for name, one in inventory.served.items()
            if not any(export.frontend in listened for export in one.volume.exports)
            and self._node.is_up(name)
        }
        come, self._portalless = up - self._portalless, up
        for name in sorted(come):
            self._reachable(name)

    def _routed_now(self, volume: str, *, is_last: bool) -> Callable[[Message], None]:
        """What is told to have come up must be reachable: it is told after the portal knows."""

        def answered(answer: Message) -> None:
            if is_last and "error" not in answer and self._node.is_up(volume):
                self._reachable(volume)

        return answered

    def _routes(self) -> dict[tuple[str, str], Message]:
        inventory = self._node.inventory
        listened = portal_sections(inventory.config)
        return {
            (name, export.frontend): {
                "do": "route",
                "frontend": export.frontend,
                "volume": name,
                "options": to_json(export.options),
                "is_up": self._node.is_up(name),
            }
            for name, one in inventory.served.items()
            for export in one.volume.exports
            if export.frontend in listened
        }
