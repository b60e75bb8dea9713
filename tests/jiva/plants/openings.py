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
from tierce_jiva.opener import Opener
from tierce_jiva.opening import Opening
from tierce_jiva.promise import Promise
from tierce_jiva.replica import Replica
from tierce_jiva.returning import Returning
from tierce_jiva.steward import Steward


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
    for owner in (Steward, Opener, Faults):
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


def write_to_who_has_lost_power_what_it_lacks(patch: pytest.MonkeyPatch) -> None:
    """A member that comes back after a loss of power is treated like one that has restarted."""

    def welcome_back(genuine: Any, self: Returning, link: Link) -> None:
        assert link.promise is not None
        link.promise = attrs.evolve(link.promise, counts=True)
        genuine(self, link)

    wrap(patch, Returning, "welcome_back", welcome_back)


def count_who_has_failed_to_sync(patch: pytest.MonkeyPatch) -> None:
    """An opening counts a failed sync as nothing."""
    change_promises(patch, suspect=False)


def open_without_the_rest_of_the_set(patch: pytest.MonkeyPatch) -> None:
    """With nobody that counts, whoever of the set is there will do."""
    genuine = opening._of_the_set

    def of_the_set(adopted: Membership, promises: Any, here: list[str], strange: Any) -> Any:
        known = attrs.evolve(adopted, in_sync=tuple(here)) if here else adopted
        found = genuine(known, promises, here, strange)
        return attrs.evolve(found, adopted=adopted) if isinstance(found, Opening) else found

    patch.setattr(opening, "_of_the_set", of_the_set)


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


def equalise_what_one_has_marked(patch: pytest.MonkeyPatch) -> None:
    """Only the marks of one member are looked at."""

    def one(found: Any, promises: Any) -> Any:
        marks = promises[min(found.in_sync)].marks
        return attrs.evolve(found, unequal=found.unequal & marks, marks=marks)

    change_opening(patch, one)


def equalise_what_all_have_marked(patch: pytest.MonkeyPatch) -> None:
    """Only what is marked on all members is made equal."""

    def common(found: Any, promises: Any) -> Any:
        marks = [promises[name].marks for name in found.in_sync]
        return attrs.evolve(found, unequal=found.unequal.intersection(*marks))

    change_opening(patch, common)


def copy_from_whom_its_order_is_behind(patch: pytest.MonkeyPatch) -> None:
    """What the latest order says of marks decides nothing about the source."""
    change_opening(patch, lambda found, _: attrs.evolve(found, unfit={}))


def copy_from_whoever_comes_first(patch: pytest.MonkeyPatch) -> None:
    """If all have lost something, it is no matter who has lost less."""

    def first(found: Any, promises: Any) -> Any:
        worse = frozenset(name for name in found.in_sync if not promises[name].counts)
        return attrs.evolve(found, better=worse or found.better)

    change_opening(patch, first)


def believe_an_older_promise(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks at which ballots a replica has joined."""
    patch.setattr(Promise, "has_joined", lambda _self, _ballot: True)


def teach_an_older_copy(patch: pytest.MonkeyPatch) -> None:
    """What a replica promises again counts as promised since its last membership."""

    def promise(genuine: Any, self: Record, ballot: Any, **_kw: Any) -> Record:
        known: Record = genuine(self, ballot)
        return known

    wrap(patch, Record, "promise", promise)


def believe_an_older_order(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks at which orders about marks were durable on all."""
    change_promises(patch, settled=NO_ORDER)


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


def compare_an_older_folder_where_it_is_marked(patch: pytest.MonkeyPatch) -> None:
    """A folder that was exchanged is compared like one that was away."""

    def newcomer(genuine: Any, self: Returning, link: Link) -> None:
        link.is_older = False
        genuine(self, link)

    wrap(patch, Returning, "_newcomer", newcomer)


def open_with_nothing_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """A replica does not say what was marked when its process began."""

    def init(genuine: Any, self: Replica, **kw: Any) -> None:
        genuine(self, **kw)
        self._inherited = frozenset()

    wrap(patch, Replica, "__init__", init)


def open_without_its_doubts(patch: pytest.MonkeyPatch) -> None:
    """An opening puts nobody in doubt, whoever has restarted or failed to sync."""

    def begin(genuine: Any, self: Returning, found: Any) -> None:
        put = self._doubts.put
        patch.setattr(self._doubts, "put", lambda *_args, **_kw: None)
        genuine(self, found)
        patch.setattr(self._doubts, "put", put)

    wrap(patch, Returning, "begin", begin)


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
        write_to_who_has_lost_power_what_it_lacks,
        count_who_has_failed_to_sync,
        open_without_the_rest_of_the_set,
        adopt_the_lowest_membership,
        keep_who_does_not_count,
        equalise_nothing,
        equalise_what_one_has_marked,
        equalise_what_all_have_marked,
        copy_from_whom_its_order_is_behind,
        copy_from_whoever_comes_first,
        believe_an_older_promise,
        teach_an_older_copy,
        believe_an_older_order,
        believe_an_older_folder,
        believe_a_copied_folder,
        take_back_an_older_folder,
        compare_an_older_folder_where_it_is_marked,
        open_with_nothing_in_doubt,
        open_without_its_doubts,
        do_not_notice_a_restart,
        do_not_notice_a_failed_sync_of_the_past,
    ),
)
