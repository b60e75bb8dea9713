"""Openings, and the return of replicas to a living target, each with a clause left out."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from jiva.plants.plant import change_opening, change_promises, leave_out, plants_of, wrap
from tierce_jiva import opening
from tierce_jiva.ballot import NO_ORDER, Membership, Record
from tierce_jiva.doubts import Doubts
from tierce_jiva.faults import Faults
from tierce_jiva.handshake import Handshake
from tierce_jiva.links import Link
from tierce_jiva.membership import MembershipController
from tierce_jiva.opener import Opener
from tierce_jiva.promise import Promise
from tierce_jiva.returning import Returning


def open_without_a_majority(patch: pytest.MonkeyPatch) -> None:
    """A target opens with whoever is there."""
    genuine = opening.choose

    def alone(_members: Any, promises: Any, *args: Any, **kw: Any) -> Any:
        return genuine(tuple(promises), promises, *args, **kw)

    def init(build: Any, self: Any, *args: Any, **kw: Any) -> None:
        build(self, *args, **kw)
        self._majority = 1

    patch.setattr("tierce_jiva.opener.choose", alone)
    patch.setattr(Membership, "majority", property(lambda _self: 1))
    for owner in (MembershipController, Opener, Faults):
        wrap(patch, owner, "__init__", init)


def count_who_has_lost_power(patch: pytest.MonkeyPatch) -> None:
    """A machine's loss of power is no matter."""
    patch.setattr(Record, "counts", lambda _self, _boot: True)


def take_back_who_has_lost_power(patch: pytest.MonkeyPatch) -> None:
    """A member that comes back after a loss of power goes on as if it had stayed."""

    def welcome_back(genuine: Any, self: Returning, link: Link) -> None:
        assert link.promise is not None
        if not link.promise.counts:
            link.promise = attrs.evolve(link.promise, counts=True)
            link.is_restarted = False
        genuine(self, link)

    wrap(patch, Returning, "welcome_back", welcome_back)


def adopt_the_lowest_membership(patch: pytest.MonkeyPatch) -> None:
    """The lowest membership accepted is adopted."""
    genuine = opening.choose

    def chosen(members: Any, promises: Any, *args: Any, **kw: Any) -> Any:
        lowest = min((one.accepted for one in promises.values()), key=lambda m: m.rank)
        changed = {name: attrs.evolve(one, accepted=lowest) for name, one in promises.items()}
        return genuine(members, changed, *args, **kw)

    patch.setattr("tierce_jiva.opener.choose", chosen)


def keep_who_does_not_count(patch: pytest.MonkeyPatch) -> None:
    """All of the adopted set that answer stay in it."""

    def keep(found: Any, promises: Any) -> Any:
        here = frozenset(name for name in found.adopted.in_sync if name in promises)
        return attrs.evolve(found, in_sync=here - set(found.strange))

    change_opening(patch, keep)


def equalise_nothing(patch: pytest.MonkeyPatch) -> None:
    """What a crash left unequal is served as it is."""
    change_opening(patch, lambda found, _: attrs.evolve(found, unequal=frozenset()))


def believe_an_older_folder(patch: pytest.MonkeyPatch) -> None:
    """An opening looks neither at ballots nor at orders, nor at which file it is."""
    patch.setattr(Promise, "has_joined", lambda _self, _ballot: True)
    change_promises(patch, settled=NO_ORDER, copied=False)


def believe_a_copied_folder(patch: pytest.MonkeyPatch) -> None:
    """It is no matter that the bytes lie in another file than they did."""
    change_promises(patch, copied=False)


def take_back_an_older_folder(patch: pytest.MonkeyPatch) -> None:
    """A living target does not notice that a replica says less than it had answered."""
    patch.setattr(Returning, "_is_older", lambda _self, _link: False)


def do_not_notice_a_restart(patch: pytest.MonkeyPatch) -> None:
    """A living target does not look at a replica's incarnation."""

    def welcome(genuine: Any, self: Handshake, link: Link, frame: Any) -> None:
        genuine(self, link, frame)
        link.is_restarted = False

    wrap(patch, Handshake, "_welcome", welcome)


def do_not_notice_a_failed_sync_of_the_past(patch: pytest.MonkeyPatch) -> None:
    """A replica that says *suspect* when it comes back is like any other."""
    leave_out(patch, Doubts, "sync_failed")


PLANTS = plants_of(
    "openings",
    (
        open_without_a_majority,
        count_who_has_lost_power,
        take_back_who_has_lost_power,
        adopt_the_lowest_membership,
        keep_who_does_not_count,
        equalise_nothing,
        believe_an_older_folder,
        believe_a_copied_folder,
        take_back_an_older_folder,
        do_not_notice_a_restart,
        do_not_notice_a_failed_sync_of_the_past,
    ),
)
