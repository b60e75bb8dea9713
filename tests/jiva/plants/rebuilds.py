"""Rebuilding and copies, each with a clause left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jiva.plants.plant import leave_out, plants_of, wrap
from tierce_jiva.extent_copy import ExtentCopy
from tierce_jiva.faults import Faults
from tierce_jiva.links import Link
from tierce_jiva.membership import MembershipController
from tierce_jiva.rebuild import Rebuild
from tierce_jiva.rebuilding import Rebuilding
from tierce_jiva.repair import Members, Repair


def let_a_joiner_in_before_its_flush(patch: pytest.MonkeyPatch) -> None:
    """A replica is let in with what is copied in its cache only."""

    def flush(self: Rebuild, then: Callable[[], None]) -> None:
        if not self._is_stopped:
            then()

    patch.setattr(Rebuild, "_flush", flush)


def let_a_joiner_in_without_a_copy(patch: pytest.MonkeyPatch) -> None:
    """A replica is let in as it is."""

    def fill(self: Rebuild) -> None:
        if not self._is_over:
            self.link.missed.clear()
            self._finish()

    patch.setattr(Rebuild, "_fill", fill)


def copy_without_live_writes(patch: pytest.MonkeyPatch) -> None:
    """A replica that is rebuilt gets no live writes."""

    patch.setattr(Rebuilding, "mirror", None)


def flush_without_who_is_being_proved(patch: pytest.MonkeyPatch) -> None:
    """Flushes and writes do not wait for one that has nearly was rebuilt."""
    patch.setattr(Rebuilding, "is_finishing", False)


def take_an_unreadable_source_for_equal(patch: pytest.MonkeyPatch) -> None:
    """An extent that can't be read at its source is left as it is."""

    def end(genuine: Any, self: ExtentCopy, link: Link, what: str, *args: Any, **kw: Any) -> None:
        if link is self.source:
            self._succeed()
        else:
            genuine(self, link, what, *args, **kw)

    wrap(patch, ExtentCopy, "_end", end)


def compare_the_first_extent_only(patch: pytest.MonkeyPatch) -> None:
    """One extent of each region that a replica may lack is compared."""

    def start(genuine: Any, self: Rebuild) -> None:
        regions = self._links.regions
        for extent in list(self.link.missed):
            if extent != regions.extents_of(regions.region_of(extent))[0]:
                self.link.missed.discard(extent)
        genuine(self)

    wrap(patch, Rebuild, "start", start)


def forget_what_a_stopped_joiner_misses(patch: pytest.MonkeyPatch) -> None:
    """A replica that stops being rebuilt misses nothing of what is written then."""

    def stop(genuine: Any, self: Rebuilding, reason: str) -> None:
        link = self.mirror
        missed = link.missed.copy() if link is not None else None
        genuine(self, reason)
        if link is not None and missed is not None:
            link.missed = missed

    wrap(patch, Rebuilding, "stop", stop)


def keep_a_joiner_that_failed_a_write(patch: pytest.MonkeyPatch) -> None:
    """A replica that fails a live write while it is rebuilt goes on."""

    def suspect(genuine: Any, self: Faults, at_fault: list[Link], reason: str) -> None:
        mirror = self._rebuilding.mirror
        for link in at_fault:
            if link is mirror:
                link.writes.clear()
        genuine(self, [link for link in at_fault if link is not mirror], reason)

    wrap(patch, Faults, "suspect", suspect)


def let_a_joiner_in_whose_source_failed_a_write(patch: pytest.MonkeyPatch) -> None:
    """What a failed write may have left on the source is copied nonetheless."""
    leave_out(patch, MembershipController, "_restart_rebuild")


def repair_some_of_the_members(patch: pytest.MonkeyPatch) -> None:
    """An extent is equal when those that are there are."""

    def attempt(genuine: Any, self: Repair, extent: int, members: Any) -> None:
        here = tuple(link for link in members.all if link.is_ready)
        genuine(self, extent, Members(here, members.sources))

    wrap(patch, Repair, "_try", attempt)


PLANTS = plants_of(
    "rebuilds",
    (
        let_a_joiner_in_before_its_flush,
        let_a_joiner_in_without_a_copy,
        copy_without_live_writes,
        flush_without_who_is_being_proved,
        take_an_unreadable_source_for_equal,
        compare_the_first_extent_only,
        forget_what_a_stopped_joiner_misses,
        keep_a_joiner_that_failed_a_write,
        let_a_joiner_in_whose_source_failed_a_write,
        repair_some_of_the_members,
    ),
)
