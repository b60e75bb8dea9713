"""What the sessions of a target tell whoever runs it: events, each once, and not too many.

==========================  ========  ==============================================================
code                        severity  when
==========================  ========  ==============================================================
``iscsi.session.began``     info      an initiator has logged in
``iscsi.session.ended``     info      its session is over; `cause` says why, in one word. A warning
                                      where the reason is a fault: of its bytes, or of its silence
``iscsi.login.refused``     warning   a login was refused, with which status and why
``iscsi.login.given-up``    info      a login ended before it could be answered, and why
==========================  ========  ==============================================================

"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce import Event
from tierce_iscsi.pdu import LoginStatus
from tierce_iscsi.session import Cause, Session

#: Events of one code in so many seconds; what is more is counted, and the count told with the
#: next one. Whoever connects can cause them, and each is written to a log.
EVENT_COUNT_MAX = 30
WINDOW_S = 60.0


#: What is a fault of the other side's, or of what lies between.
_FAULTS = frozenset({Cause.SILENT, Cause.DIGEST, Cause.PROTOCOL, Cause.BROKEN})


@attrs.define
class _Budget:
    """How many events of one code may still be told in this window."""

    ends_at: float = 0.0
    count: int = 0
    left_out: int = 0


class SessionEvents:
    """Tells them, each once.

    Args:
        emit: Takes them.
        now: CLOCK_MONOTONIC in seconds.
        volume: The volume's name.
    """

    def __init__(
        self, emit: Callable[[Event], None], now: Callable[[], float], volume: str
    ) -> None:
        self._emit = emit
        self._now = now
        self._volume = volume
        self._budgets: dict[str, _Budget] = {}

    def began(self, session: Session) -> None:
        """A session has begun."""
        offered = session.terms.auth_offered
        # It may have meant to be sure of us, and is not: that must not go unsaid.
        without = "" if offered in {"", "None"} else f", without the {offered} that it offered"
        self._tell(
            "iscsi.session.began",
            f"{session.terms.initiator_name} at {session.remote} has logged in{without}",
            {**_who(session), "tsih": session.tsih, "auth_offered": offered},
        )

    def ended(self, session: Session, cause: Cause, reason: str) -> None:
        """A session is over."""
        self._tell(
            "iscsi.session.ended",
            f"the session of {session.terms.initiator_name} at {session.remote} is over: {reason}",
            {**_who(session), "tsih": session.tsih, "cause": cause.value},
            "warning" if cause in _FAULTS else "info",
        )

    def refused(self, initiator: str, address: str, status: LoginStatus, reason: str) -> None:
        """A login was refused."""
        who = initiator or "an initiator that has not said its name"
        self._tell(
            "iscsi.login.refused",
            f"a login of {who} at {address} was refused ({status:#06x}): {reason}",
            {"initiator": initiator, "address": address, "status": f"{status:#06x}"},
            "warning",
        )

    def given_up(self, address: str, reason: str) -> None:
        """A login ended before it could be answered."""
        text = f"a login of an initiator at {address} was given up: {reason}"
        self._tell("iscsi.login.given-up", text, {"address": address})

    def _tell(
        self, code: str, text: str, fields: dict[str, object], severity: str = "info"
    ) -> None:
        budget = self._budgets.setdefault(code, _Budget())
        now = self._now()
        if now >= budget.ends_at:
            budget.ends_at, budget.count = now + WINDOW_S, 0
        if budget.count >= EVENT_COUNT_MAX:
            budget.left_out += 1
            return
        budget.count += 1
        if budget.left_out:
            text += f" ({budget.left_out} such events were left out before)"
            budget.left_out = 0
        message = f"volume {self._volume}: {text}"
        self._emit(Event(code, message, f"volume/{self._volume}", severity, fields))


def _who(session: Session) -> dict[str, object]:
    return {"initiator": session.terms.initiator_name, "address": session.remote}
