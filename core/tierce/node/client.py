"""Talking to the running server, from a command."""

from __future__ import annotations

import select
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tierce.errors import ConflictError, ProtocolError, TemporaryError, TierceError
from tierce.node.commands import ANSWER_TIMEOUT_S
from tierce.node.control import Message, encode, receive, send
from tierce.node.layout import Layout, connect

#: The server answers before: a command that hears nothing for so long gives up.
PATIENCE_S = ANSWER_TIMEOUT_S + 15.0


class RefusedError(TierceError):
    """The server said no.

    Args:
        message: Why.
        exit_code: What the command ends with.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # one class for what any error says


def ask(data: Path, message: Message) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Ask the server of a data folder; return the rows and the answer.

    Raises:
        ConflictError: No server runs.
        TierceError: It said no.
    """
    rows = []
    for reply in _replies(data, message):
        if "row" in reply:
            rows.append(reply["row"])
        elif "error" in reply:
            raise RefusedError(str(reply["error"]), int(reply.get("exit_code", 1)))
        else:
            return rows, reply.get("ok", {})
    raise TemporaryError("the server ended before it had answered")


def is_running(data: Path) -> bool:
    """True if a server answers for this data folder."""
    try:
        connect(Layout(data).socket("serve")).close()
    except ConflictError:
        return False
    return True


def _replies(data: Path, message: Message) -> Iterator[Message]:
    try:
        connection = connect(Layout(data).socket("serve"))
    except ConflictError as error:
        raise ConflictError(
            f"no server runs for data folder {data}; start one with `tierce serve FILE`, or say "
            "which data folder is meant (--data-dir, --config, TIERCE_DATA_DIR)"
        ) from error
    with connection:
        send(connection, encode({**message, "id": 1}))
        while select.select([connection], [], [], PATIENCE_S)[0]:
            try:
                packet = receive(connection)
            except (ProtocolError, OSError) as error:
                raise TemporaryError(f"the server's answer was cut off: {error}") from error
            if packet is None:
                return
            yield packet[0]
        raise TemporaryError(f"the server has not answered for {PATIENCE_S:.0f} s")
