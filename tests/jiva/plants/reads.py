"""Reads, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.plant import on_targets, plants_of, wrap
from tierce import GOOD
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link
from tierce_jiva.membership import MembershipController
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents


def read_what_is_not_settled(patch: pytest.MonkeyPatch) -> None:
    """A read does not wait for a write under way."""

    def change(replicator: Any) -> None:
        patch.setattr(replicator._in_flight, "overlaps", lambda _offset, _length: False)

    on_targets(patch, change)


def keep_a_read_that_a_write_has_overtaken(patch: pytest.MonkeyPatch) -> None:
    """What a read brings stands, though a write to it is under way by now."""

    def change(replicator: Any) -> None:
        replicator._reads._in_flight = InFlight()
        replicator._reads._unequal = Extents(replicator.links.regions)

    on_targets(patch, change)


def read_what_is_not_equal(patch: pytest.MonkeyPatch) -> None:
    """A read does not wait for what may differ between the members."""

    def change(replicator: Any) -> None:
        unequal = replicator._controller.upkeep.repair.unequal
        patch.setattr(unequal, "overlaps", lambda _offset, _length: False)

    on_targets(patch, change)


def read_who_catches_up(patch: pytest.MonkeyPatch) -> None:
    """A replica that gets live writes is read too."""

    def readable(genuine: Any, self: MembershipController) -> tuple[list[Link], list[Link]]:
        found, members = genuine(self)
        mirror = self._rebuilding.mirror
        return ([mirror, *found] if mirror is not None and mirror.is_ready else found), members

    wrap(patch, MembershipController, "_readable", readable)


def keep_what_a_thread_reads_of_a_lost_link(patch: pytest.MonkeyPatch) -> None:
    """What a worker thread has read stands, whatever has become of the replica meanwhile."""

    class Stand:
        """Where what must be read again would wait; it is answered instead."""

        def __init__(self, agenda: Any) -> None:
            self._agenda = agenda

        def add(self, requests: Any, completed: Any, _since: float) -> None:
            for request in requests:
                request.status = GOOD
            self._agenda.complete(requests, completed)

    def file_read(genuine: Any, self: ReadPath, read: Any) -> None:
        pending = self._pending
        self._pending = Stand(self._agenda)  # type: ignore[assignment]
        genuine(self, read)
        self._pending = pending

    wrap(patch, ReadPath, "file_read", file_read)


class _Everybody(tuple[Any, ...]):
    """Links, and any other is said to be among them."""

    __slots__ = ()

    def __contains__(self, _link: object) -> bool:
        return True


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


PLANTS = plants_of(
    "reads",
    (
        read_what_is_not_settled,
        keep_a_read_that_a_write_has_overtaken,
        read_what_is_not_equal,
        read_who_catches_up,
        keep_what_a_thread_reads_of_a_lost_link,
        fill_what_was_given_up,
    ),
)
