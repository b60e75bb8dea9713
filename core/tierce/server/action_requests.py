"""`act` and `actions` on the supervisor's socket.

`{"do": "act", "volume": V, "part": P, "action": A, "arguments": {...}}` brings rows
`{"fraction": F, "text": T}` while it lasts, and the result. `"service": NAME` takes the place of
volume and part. Whoever hangs up before the answer cancels it.

`{"do": "actions", "volume": V}` brings one row for each action of each part that runs, and
`{"missing": [...]}`: what does not run. So does `"service": NAME`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tierce.actions import ActionCall
from tierce.codec import from_json
from tierce.errors import ProtocolError, TemporaryError, TierceError, UsageError
from tierce.process.messages import Message, Peer
from tierce.server.acting import Acting
from tierce.supervision.child import Child


class ActionRequests:
    """Answers those who ask the supervisor for actions.

    Args:
        acting: Carries them out.
    """

    def __init__(self, acting: Acting) -> None:
        self._acting = acting
        self._under_way: dict[Peer, dict[int, Callable[[], None]]] = {}

    def take(self, peer: Peer, number: int, message: Message) -> None:
        """Carry out one request; it is answered here, now or later.

        Raises:
            TierceError: It can't be carried out; nothing is answered then.
        """
        if message["do"] == "actions":
            self._list(peer, number, message)
        else:
            self._act(peer, number, call_of(message))

    def gone(self, peer: Peer) -> None:
        """Cancel what somebody had asked for who has hung up."""
        for cancel in self._under_way.pop(peer, {}).values():
            cancel()

    def _act(self, peer: Peer, number: int, call: ActionCall) -> None:
        is_over = False

        def done(result: Mapping[str, Any] | None, error: TierceError | None) -> None:
            nonlocal is_over
            is_over = True
            self._forget(peer, number)
            if error is not None:
                answer: Message = {"error": str(error), "exit_code": error.exit_code}
            else:
                answer = {"ok": dict(result or {})}
            peer.send({"id": number, **answer})

        def progressed(fraction: float, text: str) -> None:
            peer.send({"id": number, "row": {"fraction": fraction, "text": text}})

        cancel = self._acting.run(call, done, progressed)
        if not is_over:
            self._under_way.setdefault(peer, {})[number] = cancel

    def _forget(self, peer: Peer, number: int) -> None:
        calls = self._under_way.get(peer, {})
        calls.pop(number, None)
        if not calls:
            self._under_way.pop(peer, None)

    def _list(self, peer: Peer, number: int, message: Message) -> None:
        """Ask every process at once; the last answer ends it."""
        children, missing = self._processes(message)
        if not children:
            raise TemporaryError(f"not running: {', '.join(missing)}")
        waiting = len(children)

        def answered(child: Child, answer: Message) -> None:
            nonlocal waiting
            waiting -= 1
            if "error" in answer:
                missing.append(child.plan.name)
            for row in answer.get("ok", {}).get("actions", []):
                peer.send({"id": number, "row": row})
            if not waiting:
                peer.send({"id": number, "ok": {"missing": sorted(missing)}})

        for child in children:
            assert child.peer is not None, "what runs is connected"
            child.peer.ask({"do": "actions"}, lambda answer, child=child: answered(child, answer))  # type: ignore[misc]

    def _processes(self, message: Message) -> tuple[list[Child], list[str]]:
        """Return the processes that are asked, and the names of those that can't be."""
        service, volume = message.get("service"), message.get("volume")
        acting = self._acting
        if service:
            names = [f"service.{service}"]
        else:
            acting.check_volume(str(volume))
            names = [f"target.{volume}", *acting.others(str(volume)).values()]
        found, missing = [], []
        for name in names:
            try:
                found.append(acting.process(name, name))
            except TemporaryError:
                missing.append(name)
        return found, missing


def call_of(message: Message) -> ActionCall:
    """Return the call that a request asks for.

    Raises:
        UsageError: It is none.
    """
    try:
        return from_json(ActionCall, message)
    except ProtocolError as error:
        raise UsageError(f"not an action to be carried out: {error}") from error
