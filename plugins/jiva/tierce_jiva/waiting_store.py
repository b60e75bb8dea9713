"""A replica whose store is being opened: what its targets and its operators hear meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from tierce import MemberContext, MemberStatus, Opening, Store, Timer
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.wire import Frame, encode_control

#: What it refuses every question with, and a target knows that it is to ask later.
OPENING = "opening"
#: What takes longer is told.
TOLD_S = 10.0


class WaitingStore:
    """A store that is being opened.

    Args:
        name: The store's name.
        opening: What its class has returned.
        context: What the replica was started with.
        emit: Reports an event: code, message, severity.
    """

    def __init__(
        self,
        name: str,
        opening: Opening[Store],
        context: MemberContext,
        emit: Callable[[str, str, str], None],
    ) -> None:
        self._name = name
        self._opening = opening
        self._context = context
        self._emit = emit
        self._began = context.reactor.now()
        self._is_told = False
        self._timer: Timer = context.reactor.call_later(TOLD_S, self._tell)
        self._publish(OPENING, self.why)

    @property
    def why(self) -> str:
        """What is waited for, in words."""
        return f"its store {self._name} is being opened: {self._opening.reason}"

    def refuse(self, frame: Frame) -> bytes:
        """Return the answer to whatever a target says: that it is to come again."""
        return encode_control(
            frame.sequence,
            NO_BALLOT,
            {
                "kind": "refused",
                "why": OPENING,
                "text": self.why,
                "promised": NO_BALLOT.to_json(),
            },
        )

    def opened(self) -> None:
        """It is open."""
        self._over(f"has its store {self._name} open")
        self._publish("up", "")

    def failed(self) -> None:
        """It can't be opened; who says why ends the replica."""
        self._over(f"could not open its store {self._name}")

    def end(self, ended: Callable[[Store | None], None]) -> None:
        """The replica ends before; see `tierce.Opening.end`."""
        self._timer.cancel()
        self._opening.end(ended)

    def _over(self, what: str) -> None:
        self._timer.cancel()
        if self._is_told:
            waited_s = self._context.reactor.now() - self._began
            self._emit("jiva.replica.opened", f"{what}, after {waited_s:.0f} s", "info")

    def _tell(self) -> None:
        self._is_told = True
        self._emit(
            "jiva.replica.opening",
            f"has waited {TOLD_S:.0f} s: {self.why}; the volume goes on with its other replicas, "
            "if they are enough",
            "warning",
        )

    def _publish(self, state: str, trouble: str) -> None:
        name = self._context.member.name
        self._context.publish(MemberStatus(name=name, state=state, trouble=trouble))
