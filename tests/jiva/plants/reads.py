"""Reads, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.plant import leave_out, on_targets, plants_of, wrap
from tierce import GOOD
from tierce_jiva.handshake import Handshake
from tierce_jiva.links import Head, Link
from tierce_jiva.read_path import ReadPath
from tierce_jiva.repair import Repair
from tierce_jiva.steward import Steward
from tierce_jiva.upkeep import Upkeep


def read_what_is_not_settled(patch: pytest.MonkeyPatch) -> None:
    """A read does not wait for a write under way."""

    def change(replicator: Any) -> None:
        patch.setattr(replicator._unsettled, "overlaps", lambda _offset, _length: False)

    on_targets(patch, change)


def keep_a_read_that_a_write_has_overtaken(patch: pytest.MonkeyPatch) -> None:
    """What a read brings stands, though a write to it is under way by now."""

    def change(replicator: Any) -> None:
        replicator._reads._must_wait = lambda _offset, _length: False

    on_targets(patch, change)


def read_what_is_not_equal(patch: pytest.MonkeyPatch) -> None:
    """A read does not wait for what may differ between the members."""

    def change(replicator: Any) -> None:
        unequal = replicator._steward.upkeep.repair.unequal
        patch.setattr(unequal, "overlaps", lambda _offset, _length: False)

    on_targets(patch, change)


def read_who_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """A member in doubt is read like any other."""

    def readable(genuine: Any, self: Steward) -> tuple[list[Link], list[Link]]:
        _, members = genuine(self)
        return [link for link in members if link.is_ready and not link.fault], members

    wrap(patch, Steward, "_readable", readable)


def read_all_that_are_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """Where all members are in doubt, they are read as they are."""

    leave_out(patch, Repair, "add_all")


def read_who_catches_up(patch: pytest.MonkeyPatch) -> None:
    """A replica that gets live writes is read too."""

    def readable(genuine: Any, self: Steward) -> tuple[list[Link], list[Link]]:
        found, members = genuine(self)
        mirror = self._readmission.mirror
        return ([mirror, *found] if mirror is not None and mirror.is_ready else found), members

    wrap(patch, Steward, "_readable", readable)


def read_who_is_at_fault(patch: pytest.MonkeyPatch) -> None:
    """A member is read until it is voted out, whatever is known of it."""

    def readable(genuine: Any, self: Steward) -> Any:
        faults = {link: link.fault for link in self._links}
        for link in faults:
            link.fault = ""
        found = genuine(self)
        for link, fault in faults.items():
            link.fault = fault
        return found

    wrap(patch, Steward, "_readable", readable)


def keep_a_file_beyond_its_connection(patch: pytest.MonkeyPatch) -> None:
    """A file that was read in this process once is read for as long as its path stays."""
    kept: dict[tuple[Link, str], Head] = {}

    def welcome(genuine: Any, self: Handshake, link: Link, frame: Any) -> None:
        genuine(self, link, frame)
        if link.head is not None:
            link.head = kept.setdefault((link, link.head.path), link.head)

    wrap(patch, Handshake, "_welcome", welcome)
    leave_out(patch, ReadPath, "lost")


def keep_what_a_thread_reads_of_a_lost_link(patch: pytest.MonkeyPatch) -> None:
    """What a worker thread has read stands, whatever has become of the replica meanwhile."""

    def local_done(genuine: Any, self: ReadPath, link: Link, *args: Any) -> None:
        again = self._again

        def stand(requests: Any, settled: Any, _since: float) -> None:
            for request in requests:
                request.status = GOOD
                self._answer(request, settled)

        patch.setattr(self, "_again", stand)
        genuine(self, link, *args)
        patch.setattr(self, "_again", again)

    wrap(patch, ReadPath, "_local_done", local_done)


class _Everybody(tuple[Any, ...]):
    """Links, and any other is said to be among them."""

    __slots__ = ()

    def __contains__(self, _link: object) -> bool:
        return True


def keep_what_was_read_before_it_came_in_question(patch: pytest.MonkeyPatch) -> None:
    """What was asked for before an extent came to be unequal, or a member in doubt, stands."""

    def arrived(genuine: Any, self: ReadPath, *args: Any) -> None:
        genuine(self, *args[:-1], self._links.unrest.number)

    wrap(patch, ReadPath, "_arrived", arrived)


def keep_what_a_former_member_answers(patch: pytest.MonkeyPatch) -> None:
    """What a replica answers stands, though it is no member by now."""

    def arrived(genuine: Any, self: ReadPath, *args: Any) -> None:
        sources, self.sources = self.sources, _Everybody(self.sources)
        genuine(self, *args[:-1], self._links.unrest.number)
        self.sources = sources

    wrap(patch, ReadPath, "_arrived", arrived)


class _Forgetful(dict[Any, Any]):
    """Readings, of which none is known to have been given up."""

    def __contains__(self, _reading: object) -> bool:
        return True

    def __delitem__(self, reading: object) -> None:
        self.pop(reading, None)


def fill_what_was_given_up(patch: pytest.MonkeyPatch) -> None:
    """What comes for a read that was given up is put into its buffer, and it is answered again."""

    def change(replicator: Any) -> None:
        replicator._reads._readings = _Forgetful()

    on_targets(patch, change)


def do_not_blame_who_can_not_be_read(patch: pytest.MonkeyPatch) -> None:
    """A failed read is tried elsewhere, and told to nobody."""
    leave_out(patch, Upkeep, "read_failed")


PLANTS = plants_of(
    "reads",
    (
        read_what_is_not_settled,
        keep_a_read_that_a_write_has_overtaken,
        read_what_is_not_equal,
        read_who_is_in_doubt,
        read_all_that_are_in_doubt,
        read_who_catches_up,
        read_who_is_at_fault,
        keep_a_file_beyond_its_connection,
        keep_what_a_thread_reads_of_a_lost_link,
        keep_what_was_read_before_it_came_in_question,
        keep_what_a_former_member_answers,
        fill_what_was_given_up,
        do_not_blame_who_can_not_be_read,
    ),
)
