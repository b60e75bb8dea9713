"""Marks, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.membership import answer_before_saving
from jiva.plants.plant import plants_of, wrap
from tierce_jiva.cleaning import Cleaning
from tierce_jiva.host import State
from tierce_jiva.marks import Marks
from tierce_jiva.membership import MembershipController
from tierce_jiva.record_keeper import RecordKeeper
from tierce_jiva.replica import Replica
from tierce_jiva.replicator import Replicator
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.upkeep import Upkeep


def keep_no_mark(patch: pytest.MonkeyPatch) -> None:
    """A replica agrees to marks and writes nothing down."""

    def mark(self: Replica, connection: int, sequence: int, message: Any) -> None:
        self._say(connection, sequence, {"kind": "marked", "order": message["order"]})

    patch.setattr(Replica, "_mark", mark)


def report_marks_before_they_are_durable(patch: pytest.MonkeyPatch) -> None:
    """A mark is reported while the disk still works."""
    answer_before_saving(patch, "_mark")


def write_before_all_are_marked(patch: pytest.MonkeyPatch) -> None:
    """A write goes out when one replica is marked."""

    def weigh(self: Marks) -> None:
        held = [link.held for link in self._required]
        writable = self.common & frozenset().union(*held)
        if writable != self.writable:
            self.writable = writable
            self._agenda.may_admit = True

    patch.setattr(Marks, "_weigh", weigh)


def write_before_marking(patch: pytest.MonkeyPatch) -> None:
    """Marks are asked for, and not waited for."""

    def may_write(genuine: Any, self: Marks, offset: int, length: int) -> bool:
        genuine(self, offset, length)
        return True

    wrap(patch, Marks, "may_write", may_write)


def mark_the_first_region_only(patch: pytest.MonkeyPatch) -> None:
    """A write across a border marks the region in which it begins."""

    def may_write(genuine: Any, self: Marks, offset: int, _length: int) -> Any:
        return genuine(self, offset, 1)

    wrap(patch, Marks, "may_write", may_write)


def count_from_the_end_of_a_flush(patch: pytest.MonkeyPatch) -> None:
    """What was written while a flush ran counts as flushed."""

    def flushed(genuine: Any, self: Cleaning, _epoch: int, now: float) -> None:
        genuine(self, self._unflushed.epoch + 1, now)

    wrap(patch, Cleaning, "flushed", flushed)


def clear_what_is_written_meanwhile(patch: pytest.MonkeyPatch) -> None:
    """After a flush and a rest all marks go, whatever was written in the rest."""
    patch.setattr(Unflushed, "written_since_watch", lambda _self: frozenset())


def clear_what_is_not_equal(patch: pytest.MonkeyPatch) -> None:
    """Marks go though what they cover is not as it should be everywhere."""
    patch.setattr(Upkeep, "_busy", lambda _self: frozenset())


def forget_what_the_absent_miss(patch: pytest.MonkeyPatch) -> None:
    """What is marked while a replica is away is not kept in mind for it."""

    def advance(genuine: Any, self: Marks) -> None:
        missed = {link: link.missed.copy() for link in self._links if link not in self._targets}
        genuine(self)
        for link, extents in missed.items():
            link.missed = extents

    wrap(patch, Marks, "_advance", advance)


def forget_what_who_leaves_may_lack(patch: pytest.MonkeyPatch) -> None:
    """One that is voted out is compared only where somebody writes later."""

    def in_force(genuine: Any, self: MembershipController) -> None:
        missed = {link: link.missed.copy() for link in self._links}
        is_first = self.state is not State.SERVING
        genuine(self)
        membership = self._quorum.latest
        for link, extents in missed.items():
            if link.name not in membership.in_sync and not is_first:
                link.missed = extents

    wrap(patch, MembershipController, "_in_force", in_force)


def settle_an_order_at_once(patch: pytest.MonkeyPatch) -> None:
    """An order is said to be durable on all when it is given."""
    patch.setattr(Marks, "settled", property(lambda self: self.order))


def forget_the_number_of_an_order(patch: pytest.MonkeyPatch) -> None:
    """A replica carries an order out and does not write its number down."""

    def change(genuine: Any, self: RecordKeeper, **changes: Any) -> None:
        changes.pop("order", None)
        genuine(self, **changes)

    wrap(patch, RecordKeeper, "change", change)


def close_without_a_flush(patch: pytest.MonkeyPatch) -> None:
    """An orderly close takes the marks away at once."""

    def close(genuine: Any, self: Replicator, now: float) -> None:
        upkeep = self._controller.upkeep
        if self._controller.is_settled and upkeep.can_be_cleaned and self._writes.is_idle:
            upkeep.marks.clear(upkeep.marks.common, is_last=True)
        else:
            genuine(self, now)

    wrap(patch, Replicator, "close", close)


def write_what_is_being_cleared(patch: pytest.MonkeyPatch) -> None:
    """While an order that clears marks is under way, what it clears may be written."""

    def clear(genuine: Any, self: Marks, regions: Any, **kw: Any) -> None:
        writable = self.writable
        genuine(self, regions, **kw)
        self.writable = writable

    wrap(patch, Marks, "clear", clear)


PLANTS = plants_of(
    "marks",
    (
        keep_no_mark,
        report_marks_before_they_are_durable,
        write_before_all_are_marked,
        write_before_marking,
        mark_the_first_region_only,
        count_from_the_end_of_a_flush,
        clear_what_is_written_meanwhile,
        clear_what_is_not_equal,
        forget_what_the_absent_miss,
        forget_what_who_leaves_may_lack,
        settle_an_order_at_once,
        forget_the_number_of_an_order,
        close_without_a_flush,
        write_what_is_being_cleared,
    ),
)
