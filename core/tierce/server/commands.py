"""What `tierce volume ...` may ask of the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tierce.codec import from_json, to_json
from tierce.errors import ConfigError, TemporaryError, TierceError, UsageError, explain
from tierce.inventory.adoption import Adoption
from tierce.inventory.deleting import Outcome
from tierce.inventory.differing import Change
from tierce.process.client import ANSWER_TIMEOUT_S
from tierce.process.messages import Message, Peer, close_all
from tierce.process.plan import Role
from tierce.process.refusals import RefusedError
from tierce.server.action_requests import ActionRequests
from tierce.server.conditions import Conditions
from tierce.server.inspecting import Inspector
from tierce.server.node import Node
from tierce.server.reloading import foretell
from tierce.server.telling import tell
from tierce.supervision.child import Child


class Commands:
    """Answers requests on the supervisor's socket.

    An answer that must wait (a volume that is to come up, or to be gone) is kept until then.

    Args:
        node: What they are about.
        inspector: Tells of volumes.
        conditions: How volumes are.
        action_requests: Carries out what is asked of a running part.
        look: Called when something is to be done.
        volumes_changed: Called when there are other volumes, or with other settings.
    """

    def __init__(
        self,
        node: Node,
        inspector: Inspector,
        conditions: Conditions,
        action_requests: ActionRequests,
        *,
        look: Callable[[], None],
        volumes_changed: Callable[[], None],
    ) -> None:
        self._node = node
        self._inspector = inspector
        self._conditions = conditions
        self._action_requests = action_requests
        self._look = look
        self._volumes_changed = volumes_changed
        self._coming: dict[str, list[tuple[Peer, int]]] = {}
        self._resting: dict[str, list[tuple[Peer, int]]] = {}

    def handle(self, peer: Peer, message: Message, descriptors: list[int]) -> None:
        """Carry out one request."""
        close_all(descriptors)
        number = message.get("id")
        if not isinstance(number, int):
            return
        try:
            if message.get("do") in ("act", "actions"):
                self._action_requests.take(peer, number, message)
                return
            for reply in self._carry_out(peer, number, message):
                peer.send({"id": number, **reply})
        except TierceError as error:
            peer.send(_refusal(number, error))
        except Exception as error:  # noqa: BLE001 - a bug in a plugin's lifecycle must not end us
            peer.send(_refusal(number, TierceError(f"it failed: {explain(error)}")))

    def reachable(self, volume: str) -> None:
        """Answer those who wait for a volume to come up."""
        self._answer(self._coming, volume, {"ok": self._show(volume)})

    def changed(self, child: Child) -> None:
        """Answer those who wait for what has just failed."""
        if child.plan.role is Role.TARGET and child.failures.count and not child.is_running:
            volume = child.plan.volume
            why = child.failures.reason or f"see {self._node.paths.log(child.plan.name)}"
            message = f"volume {volume} is there, but its target does not start: {why}"
            error = {"error": message, "exit_code": TemporaryError.exit_code}
            self._answer(self._coming, volume, error)

    def advanced(self, volume: str, outcome: Outcome) -> None:
        """Answer those who wait for what was to be done while nothing of a volume runs."""
        if outcome.error is not None:
            code = getattr(outcome.error, "exit_code", TierceError.exit_code)
            reply = {"error": explain(outcome.error), "exit_code": code}
        elif outcome.waits_for:
            why = f"volume {volume} is not deleted yet: {outcome.waits_for}"
            reply = {"error": why, "exit_code": TemporaryError.exit_code}
        else:
            reply = {"ok": {}}
        self._answer(self._resting, volume, reply)

    # -- inside ------------------------------------------------------------------------------------

    def _carry_out(self, peer: Peer, number: int, message: Message) -> Iterator[Message]:
        inventory = self._node.inventory
        match message["do"]:
            case "list" | "diff" | "show" | "processes" | "events":
                yield from self._tell(message)
            case "create":
                served = inventory.create(message["volume"], base=Path(message["base"]))
                self._wait(self._coming, served.volume.name, peer, number)
                self._volumes_changed()
            case "adopt":
                adopted = inventory.adopt(from_json(Adoption, message))
                self._wait(self._coming, adopted.record.name, peer, number)
                self._volumes_changed()
            case "delete":
                name = str(message["name"])
                inventory.begin_delete(name, tuple(message["without"]))
                if name in inventory.deletions.pending:
                    self._wait(self._resting, name, peer, number)
                else:
                    yield {"ok": {}}
                self._volumes_changed()
            case "cancel-delete":
                inventory.cancel_delete(str(message["name"]))
                self._volumes_changed()
                yield {"ok": {}}
            case "loss":
                yield {"ok": {"loss": inventory.loss(str(message["name"]), message["keep"])}}
            case "accept-loss":
                name = str(message["name"])
                inventory.begin_accept(name, message["keep"])
                self._wait(self._resting, name, peer, number)
                self._look()
            case "policy-settings":
                self._node.policy_settings.read()
                self._look()
                yield {"ok": {}}
            case "claim":
                yield from self._claim(peer, number, str(message["name"]))
            case verb:
                raise UsageError(f"the server does not know {verb!r}")

    def _tell(self, message: Message) -> Iterator[Message]:
        """Answer what changes nothing."""
        match message["do"]:
            case "list":
                for record in self._node.inventory.records().values():
                    yield {"row": self._inspector.row(record)}
                yield {"ok": {}}
            case "diff":
                for change in self._foretell(Path(message["file"])):
                    yield {"row": {**to_json(change), "text": change.text}}
                yield {"ok": {}}
            case "show":
                yield {"ok": self._show(str(message["name"]))}
            case _:
                yield from tell(self._node, self._conditions, message)

    def _claim(self, peer: Peer, number: int, name: str) -> Iterator[Message]:
        inventory, children = self._node.inventory, self._node.children
        target = children.get(f"target.{name}")
        # Where the state could not be written only the supervisor knows.
        is_held_down = target is not None and bool(target.fenced) and not target.is_running
        if not (inventory.find(name).fenced or is_held_down):
            raise UsageError(f"volume {name} is not fenced: there is nothing to claim")
        inventory.claim(name)
        if is_held_down:
            children.forget(f"target.{name}")
        if name in inventory.served and not self._node.is_up(name):
            self._wait(self._coming, name, peer, number)
            self._look()
        else:
            yield {"ok": {}}

    def _foretell(self, file: Path) -> list[Change]:
        try:
            return foretell(self._node, file)
        except ConfigError as error:
            # Here it is a config file that is wrong.
            why = f"{error}; a reload would change nothing"
            raise RefusedError(why, error.exit_code) from error

    def _show(self, name: str) -> dict[str, Any]:
        return self._inspector.details(self._node.inventory.find(name))

    def _wait(
        self, waiting: dict[str, list[tuple[Peer, int]]], volume: str, peer: Peer, number: int
    ) -> None:
        entry = (peer, number)
        waiting.setdefault(volume, []).append(entry)

        def late() -> None:
            if entry in waiting.get(volume, []):
                waiting[volume].remove(entry)
                peer.send(
                    {
                        "id": number,
                        "error": f"volume {volume}: not done within {ANSWER_TIMEOUT_S:.0f} s; it "
                        f"goes on, look with `tierce volume show {volume}`",
                        "exit_code": TemporaryError.exit_code,
                    }
                )

        self._node.reactor.call_later(ANSWER_TIMEOUT_S, late)

    def _answer(
        self, waiting: dict[str, list[tuple[Peer, int]]], volume: str, reply: Message
    ) -> None:
        for peer, number in waiting.pop(volume, []):
            peer.send({"id": number, **reply})


def _refusal(number: int, error: TierceError) -> Message:
    if isinstance(error, ConfigError):
        # No config file is wrong, but what was typed.
        error = UsageError(str(error))
    return {"id": number, "error": str(error), "exit_code": error.exit_code}
