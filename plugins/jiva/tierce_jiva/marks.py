"""Marks: what is durable on a replica before the first write to it may be applied, and goes only
after a flush of everything written. One mark covers the whole volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from tierce_jiva.links import Link, Links


class Marks:
    """Which replicas are known to be marked.

    Args:
        links: The replicas.
        changed: Called when one more is.
    """

    def __init__(self, links: Links, changed: Callable[[], None]) -> None:
        self._links = links
        self._changed = changed
        self._marked: set[str] = set()
        self._asked: set[str] = set()
        #: Counts the times that marks were taken away: an older answer says nothing any more.
        self._clearing = 0

    def __bool__(self) -> bool:
        return bool(self._marked)

    def cover(self, names: Iterable[str]) -> bool:
        """Return True if all of these are marked."""
        return self._marked.issuperset(names)

    def add(self, name: str) -> None:
        """The replica says that it is marked."""
        self._marked.add(name)

    def forget(self, name: str) -> None:
        """Its link was lost: it will say anew."""
        self._marked.discard(name)
        self._asked.discard(name)

    def set(self, links: Iterable[Link]) -> None:
        """Mark those that are not marked yet."""
        for link in links:
            if link.is_ready and link.name not in self._marked and link.name not in self._asked:
                self._asked.add(link.name)
                message = {"kind": "mark", "marked": True}
                answered = partial(self._answered, link.name, self._clearing)
                self._links.ask_control(link, message, "marked", answered)

    def clear(self, links: list[Link], done: Callable[[], None]) -> None:
        """Take the marks away; `done` is called when all have answered, or are lost."""
        self._marked.clear()
        self._asked.clear()
        self._clearing += 1
        awaited = set(links)

        def answered(link: Link, _is_cleared: bool) -> None:
            awaited.discard(link)
            if not awaited:
                done()

        for link in links:
            message = {"kind": "mark", "marked": False}
            self._links.ask_control(link, message, "marked", partial(answered, link))

    def _answered(self, name: str, clearing: int, is_marked: bool) -> None:
        if clearing != self._clearing:
            return
        self._asked.discard(name)
        if is_marked:
            self._marked.add(name)
            self._changed()
