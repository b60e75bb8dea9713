"""One replica: votes, marks, doubts, and its end."""

from __future__ import annotations

import errno
from typing import Any

import attrs
import pytest

from jiva.replica_ladder import FRESH, NAMES, T1, T2, Ladder, promised
from tierce_jiva.ballot import Membership, Order
from tierce_jiva.replica_actions import Hangup, Reopen, Stop
from tierce_jiva.wire import Kind, encode


@pytest.fixture
def ladder() -> Ladder:
    return promised()


# -- votes -----------------------------------------------------------------------------------------


def test_a_vote_is_durable_before_it_is_told(ladder: Ladder) -> None:
    ladder.is_held = True
    assert ladder.accept(1, T1, 1, "a", "b") == {}
    ladder.release()
    assert ladder.sent[-1][1].control()["kind"] == "accepted"
    assert ladder.durable.accepted.in_sync == ("a", "b")
    assert ladder.durable.bids == ()


def test_an_older_vote_is_refused_and_the_same_one_is_accepted_again(ladder: Ladder) -> None:
    assert ladder.accept(1, T1, 2, "a")["kind"] == "accepted"
    assert ladder.accept(1, T1, 2, "a")["kind"] == "accepted"
    answer = ladder.accept(1, T1, 1, "b")
    assert (answer["kind"], answer["why"]) == ("refused", "sequence")
    assert ladder.record.accepted.in_sync == ("a",)


def test_one_whose_sync_has_failed_since_is_not_what_others_are_left_out_for(
    ladder: Ladder,
) -> None:
    ladder.give(1, encode(Kind.FLUSH, 5, T1))
    ladder.do(ladder.replica.synced(OSError(errno.EIO, "lost")))
    assert ladder.record.suspect
    assert "sync has failed" in ladder.accept(1, T1, 1, "a")["why"]
    assert ladder.accept(1, T1, 1, "b")["kind"] == "accepted", "it is out itself"
    assert ladder.accept(1, T1, 2, "a", suspect=True)["kind"] == "accepted", "it is known"


def test_it_does_not_agree_to_a_set_if_a_sync_fails_before_that_is_on_its_way_to_the_disk() -> None:
    ladder = promised()
    ladder.mark(1, T1, 1, "01")
    ladder.give(1, encode(Kind.FLUSH, 500, T1))
    before = ladder.record.accepted
    ladder.is_held = True
    ladder.mark(1, T1, 2, "03")
    assert ladder.accept(1, T1, 1, "a", "b") == {}
    assert ladder.accept(1, T1, 2, "a") == {}
    # Whom the vote leaves out may hold what is lost here.
    ladder.do(ladder.replica.synced(OSError(errno.EIO, "lost")))
    ladder.release()
    assert (ladder.durable.suspect, ladder.durable.accepted) == (True, before)
    assert ladder.durable.bids == (T1,), "it has joined, all the same"
    answers = [frame.control() for _, frame in ladder.sent if frame.kind is Kind.CONTROL]
    assert [answer["kind"] for answer in answers[-3:]] == ["marked", "refused", "refused"]
    assert answers[-1]["why"] == "its last sync has failed"
    assert ladder.accept(1, T1, 3, "a", suspect=True)["kind"] == "accepted", "it is known"


def test_what_it_has_agreed_to_stays_so_if_that_is_on_its_way_to_the_disk() -> None:
    ladder = promised()
    ladder.give(1, encode(Kind.FLUSH, 500, T1))
    ladder.is_held = True
    assert ladder.accept(1, T1, 1, "a") == {}
    ladder.do(ladder.replica.synced(OSError(errno.EIO, "lost")))
    ladder.release()
    assert ladder.durable.suspect
    assert ladder.durable.accepted.in_sync == ("a",)


@pytest.mark.parametrize("value", [None, {}, "absent"])
@pytest.mark.parametrize("field", ["membership", "let_in", "suspect"])
def test_a_vote_on_nothing_breaks_the_protocol(ladder: Ladder, field: str, value: Any) -> None:
    membership = Membership(T1, 1, NAMES, NAMES).to_json()
    message: dict[str, Any] = {"membership": membership, "let_in": [], "suspect": False}
    message[field] = value
    if value == "absent":
        del message[field]
    is_harmless = field != "membership" and value != "absent"
    ladder.say(1, T1, {"kind": "accept"} | message)
    assert any(isinstance(action, Hangup) for action in ladder.others) is not is_harmless


def test_a_vote_of_another_ballot_than_its_frame_breaks_the_protocol(ladder: Ladder) -> None:
    membership = Membership(T2, 1, NAMES, NAMES).to_json()
    ladder.accept(1, T1, 1, membership=membership)
    assert ladder.others[-1] == Hangup(1, "a membership of another ballot than the frame's")


# -- marks -----------------------------------------------------------------------------------------


def test_marks_are_durable_before_that_is_told(ladder: Ladder) -> None:
    ladder.is_held = True
    assert ladder.mark(1, T1, 1, "05") == {}
    ladder.release()
    assert ladder.sent[-1][1].control() == {"kind": "marked", "order": 1}
    assert ladder.durable.marks == {0, 2}
    assert ladder.durable.order == Order(T1, 1)


def test_an_order_says_exactly_what_is_marked(ladder: Ladder) -> None:
    ladder.mark(1, T1, 1, "05")
    ladder.mark(1, T1, 2, "06", settled=1)
    assert ladder.record.marks == {1, 2}
    assert ladder.record.settled == Order(T1, 1)
    ladder.mark(1, T1, 3, "")
    assert not ladder.record.marks
    assert ladder.record.settled == Order(T1, 1), "nothing is settled says nothing"


def test_the_first_mark_makes_this_boots_memory_count(ladder: Ladder) -> None:
    ladder = Ladder(boot_id="later boot")
    ladder.connect(1)
    assert ladder.prepare(1, T1)["counts"] is True, "nothing is marked"
    ladder.mark(1, T1, 1, "01")
    assert ladder.record.let_in_boot == "later boot"


def test_a_mark_beside_others_does_not_make_lost_memory_count() -> None:
    ladder = Ladder(attrs.evolve(FRESH, marks=frozenset({0})), boot_id="later boot")
    ladder.connect(1)
    ladder.prepare(1, T1)
    ladder.mark(1, T1, 1, "03")
    assert ladder.record.let_in_boot == "boot"


@pytest.mark.parametrize(
    "changes",
    [
        {"order": None},
        {"order": "x"},
        {"settled": -1},
        {"settled": 3},
        {"marks": "zz"},
        {"marks": "0001"},
        {"marks": None},
    ],
    ids=str,
)
def test_an_order_that_is_none_breaks_the_protocol(ladder: Ladder, changes: dict[str, Any]) -> None:
    message = {"kind": "mark", "order": 2, "settled": 0, "marks": "01"} | changes
    assert ladder.say(1, T1, message) == {}
    assert isinstance(ladder.others[-1], Hangup)
    assert not ladder.record.marks


def test_an_order_that_comes_after_a_later_one_breaks_the_protocol(ladder: Ladder) -> None:
    ladder.mark(1, T1, 2, "01")
    assert ladder.mark(1, T1, 2, "03")["kind"] == "marked"
    assert ladder.mark(1, T1, 1, "01") == {}
    assert ladder.others[-1] == Hangup(1, "order 1 about marks after 2")


# -- doubts ----------------------------------------------------------------------------------------


def inherited() -> Ladder:
    """What its last process had marked may not be on its disk."""
    ladder = Ladder(attrs.evolve(FRESH, marks=frozenset({0, 1})))
    ladder.connect(1)
    assert ladder.prepare(1, T1)["doubt"] == "03"
    return ladder


def test_what_was_marked_at_its_start_is_in_doubt_until_all_was_written_again() -> None:
    ladder = inherited()
    assert ladder.say(1, T1, {"kind": "redone"}) == {"kind": "redone", "done": True}
    ladder.connect(2)
    assert ladder.prepare(2, T1)["doubt"] == ""


def test_what_is_not_marked_any_more_is_not_in_doubt_and_what_is_marked_now_is_not_either() -> None:
    ladder = inherited()
    ladder.mark(1, T1, 1, "06")
    ladder.connect(2)
    assert ladder.prepare(2, T1)["doubt"] == "02"


def test_after_a_failed_sync_all_that_is_marked_is_in_doubt() -> None:
    ladder = inherited()
    ladder.say(1, T1, {"kind": "redone"})
    ladder.mark(1, T1, 1, "0f")
    ladder.give(1, encode(Kind.FLUSH, 5, T1))
    ladder.do(ladder.replica.synced(OSError(errno.EIO, "lost")))
    ladder.connect(2)
    answer = ladder.prepare(2, T1)
    assert (answer["suspect"], answer["doubt"]) == (True, "0f")


def test_a_failed_sync_is_forgotten_only_after_its_bytes_were_opened_anew() -> None:
    ladder = Ladder(attrs.evolve(FRESH, suspect=True, marks=frozenset({0})))
    ladder.connect(1)
    ladder.prepare(1, T1)
    assert ladder.say(1, T1, {"kind": "redone"}) == {"kind": "redone", "done": False}
    assert ladder.say(1, T1, {"kind": "renew"}) == {}
    (reopen,) = ladder.others
    assert isinstance(reopen, Reopen)
    ladder.do(ladder.replica.reopened(reopen, None))
    assert ladder.sent[-1][1].control() == {"kind": "renewed"}
    ladder.is_held = True
    assert ladder.say(1, T1, {"kind": "redone"}) == {}, "durably"
    ladder.release()
    assert ladder.sent[-1][1].control() == {"kind": "redone", "done": True}
    assert not ladder.durable.suspect


def test_a_sync_that_fails_again_meanwhile_is_not_forgotten() -> None:
    ladder = Ladder(attrs.evolve(FRESH, suspect=True))
    ladder.connect(1)
    ladder.prepare(1, T1)
    ladder.say(1, T1, {"kind": "renew"})
    (reopen,) = ladder.others
    assert isinstance(reopen, Reopen)
    ladder.do(ladder.replica.reopened(reopen, None))
    ladder.give(1, encode(Kind.FLUSH, 5, T1))
    ladder.do(ladder.replica.synced(OSError(errno.EIO, "lost")))
    assert ladder.say(1, T1, {"kind": "redone"}) == {"kind": "redone", "done": False}


# -- the end ---------------------------------------------------------------------------------------


def test_a_record_that_can_not_be_saved_ends_it_and_nothing_is_told(ladder: Ladder) -> None:
    ladder.is_held = True
    ladder.accept(1, T1, 1)
    before = len(ladder.sent)
    ladder.do(ladder.replica.save_failed("no space left"))
    assert ladder.others[-1] == Stop("can't make its record durable: no space left")
    assert len(ladder.sent) == before


def test_bytes_that_can_not_be_opened_anew_end_it(ladder: Ladder) -> None:
    reopen = Reopen(1, 5)
    ladder.do(ladder.replica.reopened(reopen, OSError(errno.EIO, "Input/output error")))
    assert ladder.others == [Stop("can't open its bytes anew: Input/output error")]


@pytest.mark.parametrize("kind", ["prepare", "accept", "mark"])
def test_one_whose_file_was_cut_short_promises_votes_and_marks_nothing(
    ladder: Ladder, kind: str
) -> None:
    ladder.store.is_cut = True
    assert ladder.say(1, T1, {"kind": kind}) == {}
    assert isinstance(ladder.others[-1], Stop)
