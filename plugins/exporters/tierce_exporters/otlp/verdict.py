"""What became of a sending that failed: whether it is worth another try.

OpenTelemetry's exporters try again by themselves within their time, and then return that it failed:
why, they only log. So the last error that they log is kept here: its text is told, with what made
the last try fail, and its code decides. What a collector refuses for what it is (a wrong password,
a malformed request) is not to be sent again, by the standard, nor is what can't be encoded, which
all that waits behind it would wait for; what failed for any other reason is.
"""

from __future__ import annotations

import enum
import logging

#: What the exporters log by.
LOGGER = "opentelemetry"
#: Codes of gRPC that may be another one later, by the standard.
_TEMPORARY = frozenset(
    {
        *("CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE"),
        *("UNAVAILABLE", "DATA_LOSS"),
    }
)
#: Answers of HTTP that may be another one later, by the standard.
_TEMPORARY_STATUSES = frozenset({408, 429, 502, 503, 504})
#: How the exporters say that they can't encode it: they could not the next time either.
NOT_ENCODED = "Failed to encode %s batch: %s"
_NOT_ENCODED = NOT_ENCODED.partition("%")[0]
_TEXT_LENGTH_MAX = 400


class Verdict(enum.Enum):
    """What became of a sending."""

    ARRIVED = enum.auto()
    FAILED = enum.auto()
    REFUSED = enum.auto()


class ErrorKeeper(logging.Handler):
    """Keeps the last error of the exporters, instead of a line in the log for each try.

    Attributes:
        why: Its text; empty if there was none.
        is_refusal: The collector does not want what was sent, or it can't be encoded.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._cause = ""
        self.forget()

    def forget(self) -> None:
        """Begin anew, before a sending."""
        self.why = self._cause = ""
        self.is_refusal = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep this one."""
        values = record.args if isinstance(record.args, tuple) else ()
        if record.levelno < logging.ERROR:
            # A try that is repeated, which names its cause first: the error in the end may not.
            self._cause = f" ({str(values[0])[:_TEXT_LENGTH_MAX]})" if values else ""
            return
        self.why = record.getMessage()[:_TEXT_LENGTH_MAX] + self._cause
        self.is_refusal = record.msg.startswith(_NOT_ENCODED) or any(map(_is_refusal, values))

    def verdict(self, *, has_arrived: bool) -> Verdict:
        """Return what became of the sending since `forget`."""
        if has_arrived:
            return Verdict.ARRIVED
        return Verdict.REFUSED if self.is_refusal else Verdict.FAILED


def _is_refusal(value: object) -> bool:
    if isinstance(value, int):
        return value >= 400 and value not in _TEMPORARY_STATUSES
    # A grpc.StatusCode, which only one of the libraries has.
    return isinstance(value, enum.Enum) and value.name not in _TEMPORARY
