"""Catching up and copies, each with a clause left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jiva.plants.plant import leave_out, plants_of, wrap
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.catch_up import CatchUp
from tierce_jiva.extent_copy import ExtentCopy
from tierce_jiva.faults import Faults
from tierce_jiva.links import Link
from tierce_jiva.readmission import Readmission
from tierce_jiva.regions import Extents
from tierce_jiva.repair import Members, Repair
from tierce_jiva.returning import Returning
from tierce_jiva.steward import Steward


def let_a_joiner_in_before_its_flush(patch: pytest.MonkeyPatch) -> None:
    """A replica is let in with what is copied in its cache only."""

    def flush(self: CatchUp, then: Callable[[], None]) -> None:
        if not self._is_stopped:
            then()

    patch.setattr(CatchUp, "_flush", flush)


def let_a_joiner_in_without_a_copy(patch: pytest.MonkeyPatch) -> None:
    """A replica is let in as it is."""

    def fill(self: CatchUp) -> None:
        if not self._is_over:
            self.link.missed.clear()
            self._finish()

    patch.setattr(CatchUp, "_fill", fill)


def let_a_joiner_in_whatever_it_answers(patch: pytest.MonkeyPatch) -> None:
    """A failure while a replica catches up is no matter."""

    def copied(genuine: Any, self: CatchUp, extent: int, copy: Any, _trouble: Any) -> None:
        genuine(self, extent, copy, None)

    wrap(patch, CatchUp, "_copied", copied)


def copy_without_live_writes(patch: pytest.MonkeyPatch) -> None:
    """A replica that catches up gets no live writes."""

    def join(self: Readmission) -> None:
        assert self._catch_up is not None

    patch.setattr(Readmission, "_join", join)


def flush_without_who_is_being_proved(patch: pytest.MonkeyPatch) -> None:
    """Flushes and writes do not wait for one that has nearly caught up."""
    leave_out(patch, Readmission, "_finish")


def copy_from_who_has_failed_a_write(patch: pytest.MonkeyPatch) -> None:
    """A member that failed a write which is under way is copied from."""

    def source(self: Steward) -> Link | None:
        return next(iter(self._reads.sources), None)

    patch.setattr(Steward, "_source", source)


def copy_from_who_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """A member in doubt is copied from like any other."""

    def source(genuine: Any, self: Repair, extent: int, members: Any, failure: Any) -> Any:
        unread = failure.unread
        able = [link for link in members.sources if link.is_ready and not link.bit & unread]
        worst = [link for link in able if extent in link.doubt]
        return worst[0] if worst else genuine(self, extent, members, failure)

    wrap(patch, Repair, "_source", source)


def copy_from_whose_process_is_new(patch: pytest.MonkeyPatch) -> None:
    """Where all are in doubt, any of them is copied from."""
    patch.setattr(Link, "began", NO_BALLOT)


def catch_up_from_who_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """What a member may lose from its cache is copied to one that catches up."""

    def fill(genuine: Any, self: CatchUp) -> None:
        source = self._source()
        if source is None:
            genuine(self)
            return
        doubt, source.doubt = source.doubt, Extents(self._links.regions)
        genuine(self)
        source.doubt = doubt

    wrap(patch, CatchUp, "_fill", fill)


def write_to_an_older_copy(patch: pytest.MonkeyPatch) -> None:
    """What is unequal is made equal on an older copy too, which is to be voted out."""

    def attempt(genuine: Any, self: Repair, extent: int, members: Any) -> None:
        older = [link for link in members.all if link.is_older]
        for link in older:
            link.is_older = False
        genuine(self, extent, members)
        for link in older:
            link.is_older = True

    wrap(patch, Repair, "_try", attempt)


def leave_what_can_not_be_read_at_once(patch: pytest.MonkeyPatch) -> None:
    """One read error is enough to trust what a lone replica has in doubt."""
    patch.setattr("tierce_jiva.repair._READ_COUNT_MAX", 1)


def copy_an_extent_that_is_not_equal(patch: pytest.MonkeyPatch) -> None:
    """A replica catches up with what may yet change on the members."""

    def fill(genuine: Any, self: CatchUp) -> None:
        self._must_wait = lambda _extent: False
        genuine(self)

    wrap(patch, CatchUp, "_fill", fill)


def go_on_with_an_abandoned_copy(patch: pytest.MonkeyPatch) -> None:
    """A copy that was given up goes on as if nothing had happened."""

    def abandon(self: ExtentCopy) -> None:
        self._done = lambda _trouble: None

    patch.setattr(ExtentCopy, "abandon", abandon)


def believe_a_copy(patch: pytest.MonkeyPatch) -> None:
    """What was copied is not compared again."""
    patch.setattr(ExtentCopy, "_prove", ExtentCopy._succeed)


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

    def start(genuine: Any, self: CatchUp) -> None:
        regions = self._links.regions
        for extent in list(self.link.missed):
            if extent != regions.extents_of(regions.region_of(extent))[0]:
                self.link.missed.discard(extent)
        genuine(self)

    wrap(patch, CatchUp, "start", start)


def forget_what_a_failed_flush_leaves(patch: pytest.MonkeyPatch) -> None:
    """What was copied to a replica that could not flush it counts as copied."""

    def flush_failed(self: CatchUp, *, is_lost: bool) -> None:
        self.link.must_renew = self.link.must_renew or not is_lost
        self._is_over = False
        self.fail("can't flush what was copied")

    patch.setattr(CatchUp, "_flush_failed", flush_failed)


def forget_what_was_copied_before_a_restart(patch: pytest.MonkeyPatch) -> None:
    """What was copied to a replica, and not flushed, before its link was lost counts as there."""

    def welcome_back(genuine: Any, self: Returning, link: Link) -> None:
        link.copied.clear()
        genuine(self, link)

    wrap(patch, Returning, "welcome_back", welcome_back)


def forget_what_a_stopped_joiner_misses(patch: pytest.MonkeyPatch) -> None:
    """A replica that stops catching up misses nothing of what is written then."""

    def stop(genuine: Any, self: Readmission, reason: str) -> None:
        link = self.mirror
        missed = link.missed.copy() if link is not None else None
        genuine(self, reason)
        if link is not None and missed is not None:
            link.missed = missed

    wrap(patch, Readmission, "stop", stop)


def keep_a_joiner_that_failed_a_write(patch: pytest.MonkeyPatch) -> None:
    """A replica that fails a live write while it catches up goes on."""

    def suspect(genuine: Any, self: Faults, at_fault: list[Link], reason: str) -> None:
        mirror = self._readmission.mirror
        for link in at_fault:
            if link is mirror:
                link.writes.clear()
        genuine(self, [link for link in at_fault if link is not mirror], reason)

    wrap(patch, Faults, "suspect", suspect)


def let_a_joiner_in_whose_source_failed_a_write(patch: pytest.MonkeyPatch) -> None:
    """What a failed write may have left on the source is copied nonetheless."""
    leave_out(patch, Steward, "restart_catch_up")


def compare_who_has_failed_to_sync(patch: pytest.MonkeyPatch) -> None:
    """A replica whose sync failed catches up by what it reads."""

    def newcomer(genuine: Any, self: Returning, link: Link) -> None:
        genuine(self, link)
        link.doubt.clear()

    wrap(patch, Returning, "_newcomer", newcomer)


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
        let_a_joiner_in_whatever_it_answers,
        copy_without_live_writes,
        flush_without_who_is_being_proved,
        copy_from_who_has_failed_a_write,
        copy_from_who_is_in_doubt,
        copy_from_whose_process_is_new,
        catch_up_from_who_is_in_doubt,
        write_to_an_older_copy,
        leave_what_can_not_be_read_at_once,
        copy_an_extent_that_is_not_equal,
        go_on_with_an_abandoned_copy,
        believe_a_copy,
        take_an_unreadable_source_for_equal,
        compare_the_first_extent_only,
        forget_what_a_failed_flush_leaves,
        forget_what_was_copied_before_a_restart,
        forget_what_a_stopped_joiner_misses,
        keep_a_joiner_that_failed_a_write,
        let_a_joiner_in_whose_source_failed_a_write,
        compare_who_has_failed_to_sync,
        repair_some_of_the_members,
    ),
)
