"""What the plugins of one volume did wrong: told, counted, and kept for whoever looks.

A mistake is told where its user looks: the traceback goes to the process's log, one event names the
plugin, and `tierce volume show` has the last error of each part. The same kind of mistake is told
again once a minute, with how many there were: a filter that fails on each I/O fails a hundred
thousand times a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from tierce.block.operation import Op, Request
from tierce.block.status import Code, Status
from tierce.contexts import OpenContext
from tierce.errors import explain
from tierce.spec import Event, Severity
from tierce.volume.failures import Failures
from tierce.volume.recurring import Recurring

_LOG = logging.getLogger(__name__)

_READS = frozenset({Op.READ, Op.BLOCK_STATUS})


def failure(request: Request, why: str) -> Status:
    """Return what a request is answered with that a plugin's mistake costs."""
    code = Code.READ_ERROR if request.op in _READS else Code.WRITE_ERROR
    return Status(code, why, request.offset)


class Blame:
    """The mistakes of one part of a volume's pipeline.

    Args:
        part: The part, as users know it: "filter slow".
        origin: Who brings it: "plugin 'slow' (package tierce-slow)".
        context: What the volume was opened with.
        show: Shows this part's count and last error.
        failures: Of the volume's I/Os.

    Attributes:
        failures: As above.
    """

    def __init__(
        self,
        part: str,
        origin: str,
        context: OpenContext,
        show: Callable[[str, Mapping[str, Any]], None],
        failures: Failures,
    ) -> None:
        self.part = part
        self.failures = failures
        self.count = 0
        self._origin = origin
        self._context = context
        self._show = show
        self._recurring = Recurring[str](context.reactor, self._tell)

    def mistake(self, kind: str, consequence: str, error: BaseException | None = None) -> str:
        """Take note of a mistake, and tell it unless its kind was told less than a minute ago.

        Args:
            kind: What the part did, the same words each time: "raised in submit".
            consequence: What became of the I/O.
            error: What it raised.

        Returns:
            The part and what it did, for the status of the requests that it costs.
        """
        self.count += 1
        why = f"{kind}: {explain(error)}" if error is not None else kind
        message = f"{self.who} {why}; {consequence}"
        if self._recurring.take(kind, message):
            _LOG.error("volume %s: %s", self._context.volume.name, message, exc_info=error)
        return f"{self.part} {why}"

    def failure(self, request: Request, why: str) -> Status:
        """Return what a request is answered with that a mistake, which was told, costs."""
        return self.failures.excuse(failure(request, why))

    @property
    def who(self) -> str:
        """The part, and who brings it."""
        return f"{self.part} ({self._origin})"

    def hang(self, what: str, fields: Mapping[str, Any]) -> None:
        """Take note that it lets an I/O wait and does not say why: a mistake, told as what is
        stuck."""
        self.count += 1
        message = f"{self.who} {what}"
        _LOG.error("volume %s: %s", self._context.volume.name, message)
        self._emit("volume.io-stuck", message, Severity.ERROR, fields)
        self._show_last(message)

    def tell_stuck(self, what: str, fields: Mapping[str, Any]) -> None:
        """An I/O waits in it, and it can't help that."""
        self._emit("volume.io-stuck", f"{self.part} {what}", Severity.ERROR, fields)

    def tell_moving(self, what: str, fields: Mapping[str, Any]) -> None:
        """An I/O that was told as stuck is over."""
        self._emit("volume.io-moves", f"{self.part}: {what}", Severity.INFO, fields)

    def close(self) -> None:
        """Tell what has not been told: nothing more will come."""
        self._recurring.close()

    def _tell(self, _kind: str, message: str, more: int) -> None:
        if more:
            message += f" ({more} more times since this was told)"
        fields = {"part": self.part, "count": self.count}
        self._emit("volume.plugin-failed", message, Severity.ERROR, fields)
        self._show_last(message)

    def _show_last(self, message: str) -> None:
        self._show(self.part, {"count": self.count, "last": message, "at": round(time.time(), 3)})

    def _emit(self, code: str, message: str, severity: Severity, fields: Mapping[str, Any]) -> None:
        volume = self._context.volume.name
        text = f"volume {volume}: {message}"
        self._context.emit(Event(code, text, f"volume/{volume}", severity.value, dict(fields)))


class Blames:
    """The mistakes of all parts of a volume.

    Args:
        context: What the volume was opened with.
        publish: Shows the last mistakes of all parts.
    """

    def __init__(self, context: OpenContext, publish: Callable[[Mapping[str, Any]], None]) -> None:
        self._context = context
        self._publish = publish
        self._failures = Failures(context)
        self._shown: dict[str, Mapping[str, Any]] = {}
        self._all: list[Blame] = []

    def of(self, part: str, origin: str) -> Blame:
        """Return where the mistakes of a part go."""
        blame = Blame(part, origin, self._context, self._show, self._failures)
        self._all.append(blame)
        return blame

    def close(self) -> None:
        """Tell what has not been told."""
        for blame in self._all:
            blame.close()
        self._failures.close()

    def _show(self, part: str, how: Mapping[str, Any]) -> None:
        self._shown[part] = how
        self._publish(self._shown)
