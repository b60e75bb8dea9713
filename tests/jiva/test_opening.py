"""Whom a new target may serve from, case by case."""

from __future__ import annotations

from tierce_jiva.ballot import Ballot, Membership, Order
from tierce_jiva.opening import COPIED, OLDER, Opening, Waiting, choose
from tierce_jiva.promise import Promise

A, B, C = NAMES = ("a", "b", "c")
#: Regions.
R, S = 3, 5
MARKED = frozenset({R})
NOTHING = frozenset[int]()


def membership(number: int, *in_sync: str, sequence: int = 1) -> Membership:
    return Membership(Ballot(number, 7), sequence, NAMES, in_sync)


ALL = membership(1, *NAMES)


def order(number: int, ballot: int = 1) -> Order:
    return Order(Ballot(ballot, 7), number)


def promise(
    accepted: Membership = ALL,
    *,
    counts: bool = True,
    marks: frozenset[int] = MARKED,
    at: int = 1,
    settled: int = 0,
    suspect: bool = False,
    copied: bool = False,
    bids: tuple[Ballot, ...] = (),
) -> Promise:
    return Promise(
        accepted,
        bids=bids,
        counts=counts,
        marks=marks,
        order=order(at),
        settled=order(settled),
        suspect=suspect,
        copied=copied,
    )


def opened(found: Opening | Waiting) -> Opening:
    assert isinstance(found, Opening)
    return found


def waiting(found: Opening | Waiting) -> Waiting:
    assert isinstance(found, Waiting)
    return found


def test_without_a_majority_it_waits_and_names_who_is_missing() -> None:
    found = waiting(choose(NAMES, {A: promise()}))
    assert found.names == (B, C)
    assert "waiting for b, c" in str(found)


def test_without_anybody_it_waits_for_all() -> None:
    assert waiting(choose(NAMES, {})).names == NAMES


def test_the_highest_membership_that_a_majority_reports_is_adopted() -> None:
    newer = membership(2, B)
    found = opened(choose(NAMES, {A: promise(), B: promise(newer)}))
    assert found.adopted == newer
    assert found.in_sync == {B}


def test_of_one_ballot_the_later_sequence_is_adopted() -> None:
    later = membership(1, C, sequence=2)
    assert opened(choose(NAMES, {A: promise(), C: promise(later)})).adopted == later


def test_the_set_never_grows_at_an_opening() -> None:
    small = membership(2, A)
    found = opened(choose(NAMES, dict.fromkeys(NAMES, promise(small, marks=NOTHING))))
    assert found.in_sync == {A}


def test_after_a_clean_end_all_that_answer_stay_and_are_equal() -> None:
    clean = promise(marks=NOTHING)
    found = opened(choose(NAMES, {A: clean, C: clean}))
    assert found.in_sync == {A, C}
    assert not found.unequal


def test_after_an_unclean_end_all_that_count_stay_and_what_is_marked_is_unequal() -> None:
    found = opened(choose(NAMES, dict.fromkeys(NAMES, promise())))
    assert found.in_sync == set(NAMES)
    assert found.unequal == MARKED
    assert not found.let_in


def test_what_is_marked_on_any_of_them_is_unequal() -> None:
    found = opened(choose(NAMES, {A: promise(marks=frozenset({R, S}), at=2), B: promise()}))
    assert found.unequal == {R, S}
    assert found.marks == {R, S}


def test_one_alone_differs_from_nobody() -> None:
    found = opened(choose((A,), {A: promise(membership(1, A))}))
    assert not found.unequal
    assert found.marks == MARKED


def test_who_is_behind_in_its_orders_is_not_copied_from_where_its_marks_differ() -> None:
    # The order that marks S, or takes it away, was under way; or an older copy was put back.
    behind, latest = promise(marks=frozenset({R, S}), at=1), promise(at=2)
    found = opened(choose(NAMES, {A: behind, B: latest}))
    assert found.unfit == {A: frozenset({S}), B: NOTHING}


def test_one_that_lacks_a_mark_proves_that_nothing_was_written_there() -> None:
    rebooted = promise(counts=False, at=1)
    found = opened(choose(NAMES, {A: rebooted, B: promise(marks=NOTHING, at=2)}))
    assert found.in_sync == {A, B}
    assert found.let_in == {A}


def test_one_that_is_behind_proves_nothing() -> None:
    rebooted = promise(counts=False, at=2)
    found = opened(choose(NAMES, {A: rebooted, B: promise(marks=NOTHING, at=1)}))
    assert found.in_sync == {B}


def test_a_restarted_process_counts_and_a_rebooted_machine_does_not() -> None:
    found = opened(choose(NAMES, {A: promise(counts=False), B: promise()}))
    assert found.in_sync == {B}
    assert found.near == {A}


def test_after_a_site_wide_power_cut_all_of_the_set_must_answer() -> None:
    lost = promise(counts=False)
    found = waiting(choose(NAMES, {A: lost, B: lost}))
    assert found.names == (C,)
    whole = opened(choose(NAMES, dict.fromkeys(NAMES, lost)))
    assert whole.in_sync == whole.let_in == set(NAMES)
    assert whole.unequal == MARKED


def test_who_was_voted_out_is_not_served_from_though_it_alone_counts() -> None:
    small = membership(2, A)
    found = choose(NAMES, {A: promise(small, counts=False), B: promise()})
    assert opened(found).in_sync == {A}


def test_a_joiner_not_yet_voted_in_is_not_chosen() -> None:
    pair = membership(2, A, B)
    found = waiting(choose(NAMES, {A: promise(pair, counts=False), C: promise(pair)}))
    assert found.names == (B,)


def test_a_failed_sync_counts_as_a_loss_of_power() -> None:
    failed = promise(suspect=True)
    assert opened(choose(NAMES, {A: failed, B: promise()})).in_sync == {B}
    assert waiting(choose(NAMES, {A: failed, B: promise(counts=False)})).names == (C,)
    clean = promise(suspect=True, marks=NOTHING)
    assert opened(choose(NAMES, {A: clean, B: promise(marks=NOTHING)})).in_sync == {A, B}


def test_of_those_that_lost_something_one_that_kept_its_memory_is_copied_from_first() -> None:
    lost, failed = promise(counts=False), promise(suspect=True)
    found = opened(choose(NAMES, {A: lost, B: failed, C: lost}))
    assert found.in_sync == set(NAMES)
    assert found.better == {B}


def test_a_member_that_has_not_promised_the_ballot_of_its_set_is_an_older_copy() -> None:
    newer = membership(5, *NAMES)
    promises = {A: promise(bids=(Ballot(4, 7), Ballot(6, 9))), B: promise(newer), C: promise(newer)}
    found = opened(choose(NAMES, promises))
    assert found.in_sync == {B, C}
    assert found.strange == {A: OLDER}


def test_a_member_that_has_promised_the_ballot_of_its_set_need_not_have_accepted_it() -> None:
    newer = membership(5, *NAMES)
    promises = {A: promise(bids=(Ballot(5, 7), Ballot(6, 9))), B: promise(newer)}
    assert opened(choose(NAMES, promises)).in_sync == {A, B}


def test_a_member_that_lacks_an_order_known_to_be_durable_on_all_is_an_older_copy() -> None:
    promises = {A: promise(at=3), B: promise(at=5, settled=4), C: promise(at=5, settled=4)}
    found = opened(choose(NAMES, promises))
    assert found.strange == {A: OLDER}
    assert found.in_sync == {B, C}
    fresh = {A: promise(at=4), B: promise(at=5, settled=4)}
    assert opened(choose(NAMES, fresh)).in_sync == {A, B}


def test_an_older_copy_has_no_vote() -> None:
    found = waiting(choose(NAMES, {A: promise(at=3), B: promise(at=5, settled=4)}))
    assert found.names == (C,)
    assert f"a: {OLDER}" in str(found)


def test_what_this_target_did_itself_says_nothing_of_who_is_older() -> None:
    own = Membership(Ballot(9, 42), 1, NAMES, NAMES)
    promises = {A: promise(own), B: promise(bids=(Ballot(1, 7),))}
    assert opened(choose(NAMES, promises, own=42)).in_sync == {A, B}


def test_what_another_target_did_before_is_not_forgotten_for_that() -> None:
    # A's record told of it until A accepted this target's own set; then B was put back.
    own = Membership(Ballot(9, 42), 1, NAMES, NAMES)
    promises = {A: promise(own), B: promise(bids=(Ballot(1, 7),)), C: promise(own)}
    found = opened(choose(NAMES, promises, own=42, before=membership(5, *NAMES)))
    assert found.strange == {B: OLDER}
    known = promises | {B: promise(bids=(Ballot(5, 7),))}
    assert opened(choose(NAMES, known, own=42, before=membership(5, *NAMES))).strange == {}


def test_a_volume_that_was_moved_as_a_whole_opens_though_one_replica_is_missing() -> None:
    found = opened(choose(NAMES, {A: promise(copied=True), C: promise(copied=True)}))
    assert found.in_sync == {A, C}


def test_a_copied_folder_is_left_out_while_one_that_was_not_is_there() -> None:
    found = opened(choose(NAMES, {A: promise(copied=True), B: promise(), C: promise()}))
    assert found.in_sync == {B, C}
    assert found.strange == {A: COPIED}


def test_a_copied_folder_votes_only_if_nobody_is_missing() -> None:
    promises = {A: promise(copied=True), B: promise()}
    assert waiting(choose(NAMES, promises)).names == (C,)
    both = {A: promise(membership(1, A, B), copied=True), B: promise(membership(1, A, B))}
    assert opened(choose((A, B), both)).in_sync == {B}


def test_if_all_were_copied_they_are_taken_as_they_are_and_let_in_anew() -> None:
    found = opened(choose(NAMES, dict.fromkeys(NAMES, promise(copied=True))))
    assert found.in_sync == found.let_in == found.copied == set(NAMES)


def test_one_older_copy_of_an_even_number_needs_no_more_votes_if_everybody_is_here() -> None:
    pair = membership(1, A, B)
    promises = {A: promise(pair, at=3), B: promise(pair, at=5, settled=4)}
    assert opened(choose((A, B), promises)).in_sync == {B}
    assert waiting(choose((A, B), {B: promises[B]})).names == (A,)
