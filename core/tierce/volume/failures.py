"""Why I/Os of one volume failed, told where its user looks: the initiator has only a sense code.

What the medium does is told: the first of a kind at once, what goes on once a minute with how many
there were. What the caller asks amiss is for the caller alone, and a plugin's mistake is told as
one (`blame`).
"""

from __future__ import annotations

from tierce.block.operation import Request
from tierce.block.status import Code, Status
from tierce.contexts import OpenContext
from tierce.spec import Event
from tierce.volume.recurring import Recurring

#: What the medium, or what stands for it, does to an I/O.
_TOLD = frozenset(
    {Code.READ_ERROR, Code.WRITE_ERROR, Code.NO_SPACE, Code.NOT_READY, Code.FENCED},
)
#: So many of the last statuses are known again, when a filter hands them up.
_KNOWN_COUNT_MAX = 256


class Failures:
    """Tells why I/Os fail.

    Args:
        context: What the volume was opened with.
    """

    def __init__(self, context: OpenContext) -> None:
        self._context = context
        self._recurring = Recurring[Code](context.reactor, self._tell)
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
        self._recurring.take(status.code, message)

    def close(self) -> None:
        """Tell what has not been told: nothing more will come."""
        self._recurring.close()

    def _know(self, status: Status, part: str) -> None:
        if len(self._known) >= _KNOWN_COUNT_MAX:
            self._known.clear()
        self._known[id(status)] = (status, part)

    def _tell(self, code: Code, message: str, more: int) -> None:
        volume = self._context.volume.name
        again = f" ({more} more since this was told)" if more else ""
        text = f"volume {volume}: {message}{again}"
        subject, fields = f"volume/{volume}", {"code": code.value}
        self._context.emit(Event("volume.io-failed", text, subject, "error", fields))
