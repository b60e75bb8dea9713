"""Parts that note on which thread each of their calls is, for what the door says of it."""

from __future__ import annotations

import functools
import inspect
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tierce.cli.reference.calls import calls_of, methods_of


class Noted:
    """The threads of the calls of one part, by the call's name as the reference has it.

    Made on the data thread.
    """

    def __init__(self) -> None:
        self.threads: dict[str, list[int]] = defaultdict(list)
        self.data = threading.get_ident()
        self._inside = threading.local()

    def spied(self, kind: type[Any], said_by: type[Any]) -> type[Any]:
        """Return a class that notes its making and each call of which `said_by` says something."""
        making = f"{said_by.__name__}(...)"
        own: dict[str, Any] = {}
        for name in methods_of(said_by):
            method = getattr(kind, name, None)
            if inspect.ismethod(method):
                own[name] = classmethod(self._noting(name, method.__func__))
            elif method is not None:
                own[name] = self._noting(name, method)
        own["__init__"] = self._noting(making, kind.__init__)
        return type(kind.__name__, (kind,), own)

    def function(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that notes its calls."""
        return self._noting("__call__", call)

    def check(self, said_by: type[Any], concurrency: str = "") -> set[str]:
        """Hold the threads against what the class says of them; return the calls that were made."""
        said = {call.name: call.promises["Thread"] for call in calls_of(said_by)}
        for name, threads in self.threads.items():
            if name in said:
                self._check(f"{said_by.__name__}.{name}", said[name], threads, concurrency)
        return set(self.threads) & set(said)

    def _check(self, call: str, said: str, threads: list[int], concurrency: str) -> None:
        word = said.partition(";")[0].partition(",")[0].rstrip(".")
        if word == "by concurrency":
            # What comes after it is an exception: "by concurrency; INLINE a worker thread."
            word = {"inline": "data thread", "serial": "own thread", "parallel": "worker thread"}[
                concurrency
            ]
            exception = said.partition("; ")[2].rstrip(".").partition("` ")
            if exception[0] == f"`{concurrency.upper()}":
                word = exception[2].removeprefix("a ").removeprefix("the ")
        is_on_data = set(threads) == {self.data}
        if word in {"data thread", "main thread", "server", "work process"}:
            assert is_on_data, f"{call} is not on the {word}"
        else:
            assert self.data not in threads, f"{call} is on the data thread, not on the {word}"
        if word == "own thread":
            assert len(set(threads)) == 1, f"{call} is not always on the same thread"

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noting(*arguments: Any, **named: Any) -> Any:
            if getattr(self._inside, "name", ""):
                # What a part calls of its own is its own affair.
                return method(*arguments, **named)
            self._inside.name = name
            self.threads[name].append(threading.get_ident())
            try:
                return method(*arguments, **named)
            finally:
                self._inside.name = ""

        return noting
