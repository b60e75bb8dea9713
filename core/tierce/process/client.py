"""Talking to the running server, from a command."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tierce.errors import ConflictError, ProtocolError, TemporaryError, UsageError, explain
from tierce.process.messages import Message, encode, receive, send
from tierce.process.paths import Paths, connect
from tierce.process.refusals import RefusedError

#: A command that waits for a volume to come up, or to be gone, is answered by then.
ANSWER_TIMEOUT_S = 30.0
#: The server answers before: a command that hears nothing for so long gives up.
PATIENCE_S = ANSWER_TIMEOUT_S + 15.0
#: What changes nothing: a command that is interrupted leaves nothing behind.
_QUESTIONS = frozenset({"actions", "diff", "list", "show"})
#: Takes as long as it takes, and ends when who asked hangs up.
_CANCELLABLE = "act"
#: 128 + SIGINT, as a shell reports it.
_EXIT_INTERRUPTED = 130
_SAY_WHICH = "say which data folder is meant (--data-dir, --config, TIERCE_DATA_DIR)"


def ask(
    data: Path,
    message: Message,
    told: Callable[[dict[str, Any]], None] | None = None,
    *,
    patience_s: float = PATIENCE_S,
    ends_with_us: bool = False,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Ask the server of a data folder; return the rows and the answer.

    Args:
        data: The data folder.
        message: The request.
        told: Gets each row when it comes; then none is returned.
        patience_s: A server that says nothing for so long is given up; not where an action is asked
            for, which takes as long as it takes.
        ends_with_us: An action that leaves nothing behind when who asked hangs up: a
            KeyboardInterrupt is passed on.

    Raises:
        UsageError: There is no such data folder, or it is another user's.
        TemporaryError: No server runs, or it does not answer.
        RefusedError: It said no.
    """
    rows: list[dict[str, Any]] = []
    try:
        for reply in _replies(data, message, patience_s):
            if "row" in reply:
                (told or rows.append)(reply["row"])
            elif "error" in reply:
                raise RefusedError(str(reply["error"]), int(reply.get("exit_code", 1)))
            else:
                return rows, reply.get("ok", {})
    except KeyboardInterrupt:
        if ends_with_us or message["do"] in _QUESTIONS:
            raise
        if message["do"] == _CANCELLABLE:
            why = "interrupted; it is asked to stop, and may have been done in part or as a whole"
            raise RefusedError(why, _EXIT_INTERRUPTED) from None
        why = "interrupted; the server goes on with it, look with `tierce volume list`"
        raise RefusedError(why, _EXIT_INTERRUPTED) from None
    raise TemporaryError("the server ended before it had answered")


def is_running(data: Path) -> bool:
    """True if a server answers for this data folder."""
    try:
        connect(Paths(data).socket("serve")).close()
    except ConflictError:
        return False
    return True


def _replies(data: Path, message: Message, patience_s: float) -> Iterator[Message]:
    if not data.is_dir():
        raise UsageError(f"there is no data folder {data}; {_SAY_WHICH}")
    try:
        connection = connect(Paths(data).socket("serve"))
    except ConflictError as error:
        if isinstance(error.__cause__, PermissionError):
            raise UsageError(f"data folder {data} is another user's: ask as that one") from error
        raise TemporaryError(
            f"no server runs for data folder {data}; start one with `tierce serve FILE`, or "
            f"{_SAY_WHICH}"
        ) from error
    with connection:
        request = encode({**message, "id": 1})
        try:
            send(connection, request)
        except OSError as error:
            raise TemporaryError(f"the server ended: {explain(error)}") from error
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        patience_ms = None if message["do"] == _CANCELLABLE else patience_s * 1000
        while poll.poll(patience_ms):
            try:
                packet = receive(connection)
            except (ProtocolError, OSError) as error:
                raise TemporaryError(
                    f"the server's answer was cut off: {explain(error)}"
                ) from error
            if packet is None:
                return
            yield packet[0]
        raise TemporaryError(f"the server has not answered for {patience_s:.0f} s")
