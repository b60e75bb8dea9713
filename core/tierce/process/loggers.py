"""The standard library's logging, in the form of our logs, for what plugins want to say.

A line that is about one I/O says which by `extra={"trace_id": ..., "span_id": ...}`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import Any

from tierce.process.telling import TRACE_FIELDS
from tierce.spec import Event

#: The code of the lines; the events of a plugin have codes of its own.
CODE = "log"


class EventHandler(logging.Handler):
    """Makes an event of each record, for the log only.

    Args:
        subject: What the events are about.
        log: Writes one line; called from whatever thread logs.
    """

    def __init__(self, subject: str, log: Callable[[Event], None]) -> None:
        super().__init__()
        self._subject = subject
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; one whose arguments don't fit its text is told on stderr."""
        fields = {"logger": record.name}
        fields |= {name: vars(record)[name] for name in TRACE_FIELDS if name in vars(record)}
        try:
            if record.exc_info:
                fields["traceback"] = logging.Formatter().formatException(record.exc_info)
            self._log(Event(CODE, record.getMessage(), self._subject, _severity(record), fields))
        except Exception:  # noqa: BLE001 - a line of a log ends nobody's call
            self.handleError(record)


class PluginLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that leaves each call's `extra` as it is."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Return both as they are: the standard library's own would put its `extra` in place of
        the call's."""
        return msg, kwargs


def log_as(subject: str, log: Callable[[Event], None]) -> EventHandler:
    """Let everything that is logged in this process be lines of its log; return what does it.

    Args:
        subject: What the process is about.
        log: Writes one line, on any thread.
    """
    handler = EventHandler(subject, log)
    logging.getLogger().addHandler(handler)
    logging.getLogger("tierce").setLevel(logging.INFO)
    return handler


def log_no_more(handler: EventHandler) -> None:
    """Undo `log_as`."""
    logging.getLogger().removeHandler(handler)


def plugin_logger(
    name: str, subject: str, log: Callable[[Event], None]
) -> logging.LoggerAdapter[logging.Logger]:
    """Return a logger that writes to this process's log and says who it is.

    Args:
        name: The logger's name.
        subject: What it speaks for: "service/diary".
        log: Writes one line.
    """
    logger = logging.getLogger(f"tierce.{name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [EventHandler(subject, log)]
    return PluginLogger(logger, {})


def _severity(record: logging.LogRecord) -> str:
    if record.levelno >= logging.ERROR:
        return "error"
    return "warning" if record.levelno >= logging.WARNING else "info"
