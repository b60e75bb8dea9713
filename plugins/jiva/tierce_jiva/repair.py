"""After a write that failed on every replica, its extent may differ between them: it is made
equal, and until it is, nobody reads it and nobody writes it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from tierce_jiva.extent_copy import ExtentCopy
from tierce_jiva.links import Link, Links
from tierce_jiva.unsettled import Unsettled

_RETRY_S = 1.0


@attrs.define(eq=False)
class _Extent:
    offset: int
    length: int
    is_running: bool = False
    not_before: float = 0.0


class Repair:
    """Extents to be made equal.

    Args:
        links: The replicas.
        locked: Extents that writes must not enter.
        source: Returns the member whose bytes stand, or None if there is none now.
        others: Returns the members to make equal to it; None if not all of them are there.
        equal: Called with an extent that is equal everywhere again.
    """

    def __init__(
        self,
        links: Links,
        locked: Unsettled,
        *,
        source: Callable[[], Link | None],
        others: Callable[[Link], tuple[Link, ...] | None],
        equal: Callable[[int, int], None],
    ) -> None:
        self._links = links
        self._locked = locked
        self._source = source
        self._others = others
        self._equal = equal
        self._extents: list[_Extent] = []

    def __bool__(self) -> bool:
        return bool(self._extents)

    def add(self, offset: int, length: int) -> None:
        """Make the extent equal, as soon as that is possible."""
        self._locked.add(offset, length)
        extent = _Extent(offset, length)
        self._extents.append(extent)
        self._try(extent)

    def retry(self, now: float) -> None:
        """Try what did not work, once a second."""
        for extent in list(self._extents):
            if not extent.is_running and now >= extent.not_before:
                self._try(extent)

    def _try(self, extent: _Extent) -> None:
        source = self._source()
        if source is None:
            return
        others = self._others(source)
        if others is None:
            return
        if not others:
            self._done(extent, None)
            return
        extent.is_running = True
        ExtentCopy(
            self._links,
            source,
            others,
            extent.offset,
            extent.length,
            always=False,
            done=lambda trouble: self._done(extent, trouble),
        ).start()

    def _done(self, extent: _Extent, trouble: str | None) -> None:
        extent.is_running = False
        if trouble is not None:
            extent.not_before = self._links.now + _RETRY_S
            return
        self._extents.remove(extent)
        self._locked.remove(extent.offset, extent.length)
        self._equal(extent.offset, extent.length)
