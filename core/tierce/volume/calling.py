"""Where a part is called for what is no I/O: live options, actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

#: Gets what a call returned, or what it raised; on the data thread.
Ended = Callable[[Any, BaseException | None], None]


class Caller(Protocol):
    """Calls a part on the thread that it is called on."""

    @property
    def is_here(self) -> bool:
        """True if that is the data thread."""
        ...

    def run(self, work: Callable[[], Any]) -> Any:
        """Call it and wait: only while its process starts."""
        ...

    def call(self, work: Callable[[], Any], ended: Ended) -> None:
        """Call it, now or in its turn; then `ended(result, error)` on the data thread."""
        ...

    def tell(self, call: Callable[[], None]) -> None:
        """Make a call on the data thread; from any thread, without waiting for it."""
        ...


class Here:
    """Calls what is called on the data thread."""

    is_here = True

    def run(self, work: Callable[[], Any]) -> Any:
        """Call it."""
        return work()

    def call(self, work: Callable[[], Any], ended: Ended) -> None:
        """Call it at once."""
        try:
            result = work()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's; its caller judges
            ended(None, error)
        else:
            ended(result, None)

    def tell(self, call: Callable[[], None]) -> None:
        """Make the call."""
        call()


HERE = Here()
