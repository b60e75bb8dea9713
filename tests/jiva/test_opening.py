"""Whom a new target may serve from, case by case. Numbers of histories are those by which the
replication rules were found to break without one of their clauses."""

from __future__ import annotations

from tierce_jiva.ballot import Ballot, Membership
from tierce_jiva.links import Promise
from tierce_jiva.opening import Opening, Waiting, choose

A, B, C = NAMES = ("a", "b", "c")


def membership(number: int, *in_sync: str, sequence: int = 1) -> Membership:
    return Membership(Ballot(number, 7), sequence, NAMES, in_sync)


ALL = membership(1, *NAMES)


def promise(
    accepted: Membership = ALL,
    *,
    counts: bool = True,
    marked: bool = True,
    suspect: bool = False,
) -> Promise:
    return Promise(accepted, counts=counts, marked=marked, suspect=suspect)


def opened(found: Opening | Waiting) -> Opening:
    assert isinstance(found, Opening)
    return found


def test_without_a_majority_it_waits_and_names_who_is_missing() -> None:
    found = choose(NAMES, {A: promise()})
    assert isinstance(found, Waiting)
    assert found.names == (B, C)
    assert "waiting for b, c" in str(found)


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
    found = opened(choose(NAMES, dict.fromkeys(NAMES, promise(small, marked=False))))
    assert found.in_sync == {A}


def test_after_a_clean_end_all_that_answer_stay() -> None:
    clean = promise(marked=False)
    found = opened(choose(NAMES, {A: clean, C: clean}))
    assert found.in_sync == {A, C}
    assert found.is_clean


def test_one_clean_member_proves_that_nothing_was_unsettled() -> None:
    found = opened(choose(NAMES, {A: promise(), B: promise(marked=False)}))
    assert found.in_sync == {A, B}


def test_who_rebooted_with_a_mark_and_nothing_written_is_let_in_anew() -> None:
    rebooted = promise(counts=False)
    found = opened(choose(NAMES, {A: rebooted, B: promise(marked=False)}))
    assert found.in_sync == {A, B}
    assert found.let_in == {A}


def test_after_an_unclean_end_one_member_that_counts_is_kept() -> None:
    found = opened(choose(NAMES, dict.fromkeys(NAMES, promise())))
    assert len(found.in_sync) == 1
    assert not found.let_in
    assert not found.is_clean


def test_of_several_that_count_the_one_on_this_machine_is_kept() -> None:
    found = opened(choose(NAMES, dict.fromkeys(NAMES, promise()), preferred=(C,)))
    assert found.in_sync == {C}


def test_history_1_two_that_answered_differently_never_both_serve() -> None:
    # A write is on A alone; the next opening reaches B and C, and later one reaches all.
    first = opened(choose(NAMES, {B: promise(), C: promise()}))
    (kept,) = first.in_sync
    accepted = membership(2, kept)
    later = opened(
        choose(NAMES, {A: promise(), B: promise(accepted), C: promise(accepted)}, preferred=(A,))
    )
    assert later.in_sync == {kept}


def test_history_4_a_restarted_process_counts_and_a_rebooted_machine_does_not() -> None:
    found = opened(choose(NAMES, {A: promise(counts=False), B: promise()}, preferred=(A,)))
    assert found.in_sync == {B}


def test_history_4_after_a_site_wide_power_cut_all_of_the_set_must_answer() -> None:
    lost = promise(counts=False)
    found = choose(NAMES, {A: lost, B: lost})
    assert isinstance(found, Waiting)
    assert found.names == (C,)
    whole = opened(choose(NAMES, dict.fromkeys(NAMES, lost)))
    assert len(whole.in_sync) == 1
    assert whole.let_in == whole.in_sync


def test_history_8_who_was_voted_out_is_not_served_from_though_it_alone_counts() -> None:
    small = membership(2, A)
    found = choose(NAMES, {A: promise(small, counts=False), B: promise()})
    assert opened(found).in_sync == {A}


def test_history_9_a_joiner_not_yet_voted_in_is_not_chosen() -> None:
    pair = membership(2, A, B)
    found = choose(NAMES, {A: promise(pair, counts=False), C: promise(pair)})
    assert isinstance(found, Waiting)
    assert found.names == (B,)


def test_one_whose_disk_failed_to_flush_is_kept_only_when_nobody_else_is_left() -> None:
    failed = promise(suspect=True)
    found = opened(choose(NAMES, {A: failed, B: promise()}, preferred=(A,)))
    assert found.in_sync == {B}
    alone = membership(2, A)
    found = opened(choose(NAMES, {A: promise(alone, suspect=True), B: promise()}))
    assert found.in_sync == {A}


def test_a_suspect_that_is_clean_proves_nothing() -> None:
    found = opened(choose(NAMES, {A: promise(marked=False, suspect=True), B: promise()}))
    assert found.in_sync == {B}
    assert not found.is_clean
