"""Answers that are given later."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tierce.errors import ConfigError, TemporaryError, TierceError, UsageError, explain
from tierce.process.client import ANSWER_TIMEOUT_S
from tierce.process.messages import Message, Peer
from tierce.reactor import Reactor


class Promise:
    """One answer that is to come. Who asked hears of it in time, whatever it waits for.

    Args:
        reactor: The loop.
        peer: Who asked.
        number: The request's number.
        late: Says what it waits for, when it has waited for as long as it may.
    """

    def __init__(self, reactor: Reactor, peer: Peer, number: int, late: Callable[[], str]) -> None:
        self._peer = peer
        self._number = number
        self._late = late
        self.is_over = False
        self._timer = reactor.call_later(ANSWER_TIMEOUT_S, self._give_up)

    def keep(self, *replies: Message) -> None:
        """Answer; rows come first. What comes after the answer is nobody's any more."""
        if self.is_over:
            return
        self.is_over = True
        self._timer.cancel()
        for reply in replies:
            self._peer.send({"id": self._number, **reply})

    def refuse(self, error: Exception) -> None:
        """Answer that it can't be."""
        self.keep(refusal(error))

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Let what is raised in here be the answer."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a bug in a plugin's code must not end us
            self.refuse(error)

    def _give_up(self) -> None:
        self.keep(refusal(TemporaryError(self._late())))


class Promises:
    """Those who wait for the same: by the volume that they wait for."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Promise]] = {}

    def add(self, volume: str, promise: Promise) -> None:
        """Note one more."""
        kept = {
            name: [one for one in promises if not one.is_over]
            for name, promises in self._waiting.items()
        }
        self._waiting = {name: promises for name, promises in kept.items() if promises}
        self._waiting.setdefault(volume, []).append(promise)

    def has(self, volume: str) -> bool:
        """True if somebody waits for a volume."""
        return any(not one.is_over for one in self._waiting.get(volume, ()))

    def keep(self, volume: str, reply: Message) -> None:
        """Answer all who wait for a volume."""
        for promise in self._waiting.pop(volume, []):
            promise.keep(reply)


def refusal(error: Exception) -> Message:
    """Return the answer that says why something can't be."""
    if isinstance(error, ConfigError):
        # No config file is wrong, but what was typed.
        error = UsageError(str(error))
    elif not isinstance(error, TierceError):
        error = TierceError(f"it failed: {explain(error)}")
    return {"error": str(error), "exit_code": error.exit_code}
