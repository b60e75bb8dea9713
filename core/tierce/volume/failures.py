"""Why I/Os of one volume failed, told where its user looks: the initiator has only a sense code.

What the medium does is told: the first of a kind at once, what goes on once a minute with how many
there were. What the caller asks amiss is for the caller alone, and a plugin's mistake is told as
one (`blame`).
"""

from __future__ import annotations

import attrs

from tierce.block.operation import Request
from tierce.block.status import Code, Status
from tierce.contexts import OpenContext
from tierce.reactor import Timer
from tierce.spec import Event

#: A kind of failure that goes on is told again after so many seconds.
TELL_AGAIN_S = 60.0
#: What the medium, or what stands for it, does to an I/O.
_TOLD = frozenset(
    {Code.READ_ERROR, Code.WRITE_ERROR, Code.NO_SPACE, Code.NOT_READY, Code.FENCED},
)
#: So many of the last statuses are known again, when a filter hands them up.
_KNOWN_COUNT_MAX = 256


@attrs.define
class _Kind:
    """One kind of failure: what the last one was, and how many came since it was told."""

    message: str
    more: int = 0


class Failures:
    """Tells why I/Os fail.

    Args:
        context: What the volume was opened with.
    """

    def __init__(self, context: OpenContext) -> None:
        self._context = context
        self._kinds: dict[Code, _Kind] = {}
        self._timer: Timer | None = None
        #: By its id, a status that was seen and the part that it came from; "" if it needs no
        #: telling. It is kept, so that no other one gets its id.
        self._known: dict[int, tuple[Status, str]] = {}

    def excuse(self, status: Status) -> Status:
        """This one is told as a plugin's mistake already."""
        self._know(status, "")
        return status

    def note(self, part: str, request: Request) -> None:
        """A part ("engine file") has answered a request with a status that is not good."""
        status = request.status
        assert status is not None, "what is answered has a status"
        if status.code not in _TOLD:
            return
        known = self._known.get(id(status))
        if known is None:
            self._know(status, part)
        elif known[1] != part:
            return  # It comes from below, where it was noted.
        what = f"{request.op.name} of {request.length} bytes at {request.offset}"
        message = f"{part}: {what} failed: {status.reason or status.code.value}"
        told = self._kinds.get(status.code)
        if told is None:
            self._kinds[status.code] = _Kind(message)
            self._tell(status.code, message)
        else:
            told.message = message
            told.more += 1

    def close(self) -> None:
        """Tell what has not been told: nothing more will come."""
        if self._timer is not None:
            self._timer.cancel()
        for code, one in self._kinds.items():
            if one.more:
                self._emit(code, _again(one))
        self._kinds.clear()

    def _know(self, status: Status, part: str) -> None:
        if len(self._known) >= _KNOWN_COUNT_MAX:
            self._known.clear()
        self._known[id(status)] = (status, part)

    def _tell(self, code: Code, message: str) -> None:
        self._emit(code, message)
        if self._timer is None:
            self._timer = self._context.reactor.call_later(TELL_AGAIN_S, self._tell_again)

    def _tell_again(self) -> None:
        """Tell what went on; what did not is told at once when it comes again."""
        self._timer = None
        self._kinds = {code: one for code, one in self._kinds.items() if one.more}
        for code, one in self._kinds.items():
            message = _again(one)
            one.more = 0
            self._tell(code, message)

    def _emit(self, code: Code, message: str) -> None:
        volume = self._context.volume.name
        text = f"volume {volume}: {message}"
        subject, fields = f"volume/{volume}", {"code": code.value}
        self._context.emit(Event("volume.io-failed", text, subject, "error", fields))


def _again(kind: _Kind) -> str:
    return f"{kind.message} ({kind.more} more since this was told)"
