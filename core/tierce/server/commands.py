"""What `tierce volume ...` may ask of the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tierce.codec import from_json, to_json
from tierce.errors import TemporaryError, UsageError
from tierce.inventory.adoption import Adopted, Adoption
from tierce.inventory.deleting import Outcome
from tierce.inventory.differing import Change
from tierce.inventory.engines import Served
from tierce.inventory.errands import Done
from tierce.process.client import ANSWER_TIMEOUT_S
from tierce.process.messages import Message, Peer, close_all
from tierce.process.plan import Role
from tierce.server.action_requests import ActionRequests
from tierce.server.conditions import Conditions
from tierce.server.inspecting import Inspector
from tierce.server.node import Node
from tierce.server.promises import Promise, Promises, refusal
from tierce.server.reloading import foretell
from tierce.server.telling import tell
from tierce.supervision.child import Child


class Commands:
    """Answers requests on the supervisor's socket.

    An answer that must wait (a volume that is to come up, or to be gone; what an engine does) is
    kept until then.

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
        self._coming = Promises()
        self._resting = Promises()

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
        except Exception as error:  # noqa: BLE001 - a bug in a plugin's code must not end us
            peer.send({"id": number, **refusal(error)})

    def reachable(self, volume: str) -> None:
        """Answer those who wait for a volume to come up."""
        if self._coming.has(volume):
            self._coming.keep(volume, {"ok": self._show(volume)})

    def changed(self, child: Child) -> None:
        """Answer those who wait for what has just failed."""
        if child.plan.role is Role.TARGET and child.failures.count and not child.is_running:
            volume = child.plan.volume
            why = child.failures.reason or f"see {self._node.paths.log(child.plan.name)}"
            message = f"volume {volume} is there, but its target does not start: {why}"
            self._coming.keep(volume, refusal(TemporaryError(message)))

    def advance(self, volume: str) -> None:
        """Let that be done which is due while nothing of a volume runs, and answer those who wait
        for it."""

        def done(outcome: Outcome | None, error: Exception | None) -> None:
            self._advanced(volume, outcome or Outcome(error=error))
            # A volume that stays, or goes on, is to be served again.
            self._look()

        self._node.inventory.advance(volume, done)

    # -- inside ------------------------------------------------------------------------------------

    def _advanced(self, volume: str, outcome: Outcome) -> None:
        reply: Message = {"ok": {}}
        if outcome.error is not None:
            reply = refusal(outcome.error)
        elif outcome.waits_for and volume in self._node.inventory.deletions.due:
            # It was given up to be begun anew: what comes of that is the answer.
            return
        elif outcome.waits_for:
            why = f"volume {volume} is not deleted yet: {outcome.waits_for}"
            reply = refusal(TemporaryError(why))
        self._resting.keep(volume, reply)

    def _carry_out(self, peer: Peer, number: int, message: Message) -> Iterator[Message]:
        inventory = self._node.inventory
        match message["do"]:
            case "list" | "show" | "processes" | "events":
                yield from self._tell(message)
            case "diff":
                self._diff(peer, number, Path(message["file"]))
            case "create":
                self._create(peer, number, message)
            case "adopt":
                self._adopt(peer, number, from_json(Adoption, message))
            case "delete":
                self._delete(peer, number, str(message["name"]), tuple(message["without"]))
            case "cancel-delete":
                name = str(message["name"])
                promise = self._promise(name, peer, number)
                with promise.refusing():
                    inventory.cancel_delete(name, _kept_by(promise, lambda _none: {}))
            case "loss":
                self._loss(peer, number, str(message["name"]), message["keep"])
            case "accept-loss":
                name = str(message["name"])
                inventory.begin_accept(name, message["keep"])
                self._resting.add(name, self._promise(name, peer, number))
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
            case "show":
                yield {"ok": self._show(str(message["name"]))}
            case _:
                yield from tell(self._node, self._conditions, message)

    def _create(self, peer: Peer, number: int, message: Message) -> None:
        inventory = self._node.inventory
        volume = inventory.check_new(message["volume"], base=Path(message["base"]))
        promise = self._promise(volume.name, peer, number)
        self._coming.add(volume.name, promise)

        def done(_served: Served | None, error: Exception | None) -> None:
            if error is not None:
                promise.refuse(error)

        inventory.create(volume, done)

    def _adopt(self, peer: Peer, number: int, wanted: Adoption) -> None:
        def ask(promise: Promise) -> Callable[[str], None]:
            def done(adopted: Adopted | None, error: Exception | None) -> None:
                if error is not None:
                    promise.refuse(error)
                elif adopted is not None:
                    self._coming.add(adopted.record.name, promise)

            return self._node.inventory.adopt(wanted, done)

        self._question("adopt", peer, number, ask)

    def _delete(self, peer: Peer, number: int, name: str, without: tuple[str, ...]) -> None:
        def given_up(outcome: Outcome | None, error: Exception | None) -> None:
            self._advanced(name, outcome or Outcome(error=error))

        promise = self._promise(name, peer, number)
        self._resting.add(name, promise)
        with promise.refusing():
            self._node.inventory.begin_delete(name, without, given_up)
        self._volumes_changed()

    def _loss(self, peer: Peer, number: int, name: str, keep: str) -> None:
        promise = self._promise(name, peer, number)
        with promise.refusing():
            self._node.inventory.loss(name, keep, _kept_by(promise, lambda loss: {"loss": loss}))

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
            self._coming.add(name, self._promise(name, peer, number))
            self._look()
        else:
            yield {"ok": {}}

    def _diff(self, peer: Peer, number: int, file: Path) -> None:
        def ask(promise: Promise) -> Callable[[str], None]:
            def done(changes: list[Change] | None, error: Exception | None) -> None:
                if error is not None:
                    promise.refuse(error)
                rows = [{"row": {**to_json(one), "text": one.text}} for one in changes or []]
                promise.keep(*rows, {"ok": {}})

            return foretell(self._node, file, done)

        self._question("config diff", peer, number, ask)

    def _show(self, name: str) -> dict[str, Any]:
        return self._inspector.details(self._node.inventory.find(name))

    def _promise(self, name: str, peer: Peer, number: int) -> Promise:
        """Promise an answer about a volume; what is under way for it goes on without who asked."""

        def late() -> str:
            work = self._node.inventory.under_way(name)
            waits = f": {work.title} has not returned" if work is not None else ""
            return (
                f"volume {name}: not done within {ANSWER_TIMEOUT_S:.0f} s{waits}; it goes on, look "
                f"with `tierce volume show {name}`"
            )

        return Promise(self._node.reactor, peer, number, late)

    def _question(
        self, what: str, peer: Peer, number: int, ask: Callable[[Promise], Callable[[str], None]]
    ) -> None:
        """Promise the answer to what is given up where nobody waits for it any more.

        Args:
            what: The command.
            peer: Who asks.
            number: The request's number.
            ask: Sees to it that the promise is kept; returns what gives that up.
        """

        def late() -> str:
            why = f"{what}: an engine has not answered within {ANSWER_TIMEOUT_S:.0f} s"
            give_up(why)
            return why

        promise = Promise(self._node.reactor, peer, number, late)
        with promise.refusing():
            give_up = ask(promise)


def _kept_by(promise: Promise, say: Callable[[Any], dict[str, Any]]) -> Done:
    """Return what keeps a promise with what has come of something."""

    def done(answer: Any, error: Exception | None) -> None:
        if error is not None:
            promise.refuse(error)
        else:
            promise.keep({"ok": say(answer)})

    return done
