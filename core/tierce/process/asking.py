"""Asking the server from another process's loop, which must not wait."""

from __future__ import annotations

from collections.abc import Callable

from tierce.errors import ConflictError, TemporaryError
from tierce.process.messages import Message, Peer, close_all
from tierce.process.paths import Paths, connect
from tierce.reactor import Reactor


class Asker:
    """One connection to the server, made when it is needed.

    Args:
        reactor: The process's loop.
        paths: Where the server listens.
    """

    def __init__(self, reactor: Reactor, paths: Paths) -> None:
        self._reactor = reactor
        self._paths = paths
        self._peer: Peer | None = None

    def ask(self, message: Message, answered: Callable[[Message], None]) -> None:
        """Ask; `answered` gets the answer, or an error when the server goes first.

        Raises:
            TemporaryError: No server runs.
            ProtocolError: The request is too long.
        """
        if self._peer is None or not self._peer.is_open:
            try:
                connection = connect(self._paths.socket("serve"))
            except ConflictError as error:
                raise TemporaryError(f"no server runs: {error}") from error
            self._peer = Peer(self._reactor, connection, _ignore, lambda _peer: None)
        self._peer.ask(message, answered)


def _ignore(_peer: Peer, _message: Message, descriptors: list[int]) -> None:
    """The server asks nothing on this connection."""
    close_all(descriptors)
