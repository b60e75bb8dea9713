"""One replica: whom it greets, what it promises, and whom it believes."""

from __future__ import annotations

import attrs
import pytest

from jiva.replica_ladder import FRESH, INCARNATION, SIZE, T1, T2, Ladder, promised
from tierce_jiva.ballot import NO_BALLOT, Ballot, Order
from tierce_jiva.replica_actions import Hangup, Sync
from tierce_jiva.wire import Kind, encode, encode_control


@pytest.fixture
def ladder() -> Ladder:
    return promised()


# -- greetings -------------------------------------------------------------------------------------


def test_it_answers_for_its_own_volume_and_name_only() -> None:
    ladder = Ladder()
    ladder.replica.connected(1)
    for wrong in ({"uuid": "1234"}, {"replica": "b"}):
        answer = ladder.say(1, NO_BALLOT, ladder.hello(**wrong))
        assert (answer["kind"], answer["why"]) == ("refused", "identity")
    with_hangup = ladder.say(1, T1, {"kind": "prepare"})
    assert with_hangup == {}
    assert "before hello" in str(ladder.others)


def test_its_welcome_says_what_it_is_and_what_it_has_promised(ladder: Ladder) -> None:
    ladder.replica.connected(2)
    answer = ladder.say(2, NO_BALLOT, ladder.hello())
    assert answer["promised"] == [1, 7]
    assert (answer["boot_id"], answer["size_bytes"]) == ("boot", SIZE)
    assert (answer["head"], answer["incarnation"]) == ("/a/head", INCARNATION)
    assert answer["knows"] == ["STATUS"]


# -- promises --------------------------------------------------------------------------------------


def test_a_promise_is_durable_before_it_is_told() -> None:
    ladder = Ladder()
    ladder.connect(1)
    ladder.is_held = True
    assert ladder.prepare(1, T1) == {}
    assert ladder.durable.promised == NO_BALLOT
    ladder.release()
    assert ladder.durable.promised == T1
    assert ladder.sent[-1][1].control()["kind"] == "promise"


def test_nothing_of_a_lower_ballot_slips_in_while_a_promise_is_saved(ladder: Ladder) -> None:
    # The target outbids itself on the connection that it has.
    ladder.is_held = True
    assert ladder.prepare(1, T2) == {}
    assert ladder.durable.promised == T1
    assert ladder.reads(1, T1) == "ballot"


def test_a_promise_tells_of_the_replica() -> None:
    record = attrs.evolve(
        FRESH,
        marks=frozenset({1}),
        order=Order(T1, 4),
        settled=Order(T1, 3),
        suspect=False,
        bids=(T1,),
    )
    ladder = Ladder(record, boot_id="another boot", head="2:2")
    ladder.connect(1)
    answer = ladder.prepare(1, T2)
    assert answer["accepted"] == FRESH.accepted.to_json()
    assert answer["counts"] is False, "its machine has lost power"
    assert (answer["marks"], answer["doubt"]) == ("02", "02")
    assert (answer["order"], answer["settled"]) == ([1, 7, 4], [1, 7, 3])
    assert (answer["suspect"], answer["copied"]) == (False, True)
    assert answer["bids"] == [[1, 7]], "this one apart"
    assert answer["began"] == FRESH.promised.to_json()
    assert ladder.prepare(1, Ballot(9, 7))["began"] == FRESH.promised.to_json(), (
        "it is the same process"
    )


def test_a_process_tells_when_it_joined_the_target_under_which_it_was_started() -> None:
    ladder = Ladder(FRESH)
    ladder.connect(1)
    first = ladder.prepare(1, T1)["joined"]
    ladder.connect(2)
    assert ladder.prepare(2, T1)["joined"] == first, "it is the same process"
    assert ladder.prepare(2, T2)["joined"] == first, "and so it is for the next target"
    late = Ladder(FRESH)
    late.connect(1)
    assert late.prepare(1, T2)["joined"] is None, "it has seen nothing of the target before"


def test_an_older_copy_is_not_taught_the_ballot_that_it_had_promised() -> None:
    # The target that it had promised it to may end before the copy is voted out: the next one
    # must find that it lacks the ballot of its set.
    ladder = Ladder(FRESH)
    ladder.connect(1)
    ladder.say(1, T1, {"kind": "prepare", "again": True})
    assert (ladder.durable.promised, ladder.durable.bids) == (T1, ())


def test_a_lower_ballot_is_refused_and_a_higher_one_ends_the_connection_of_the_old(
    ladder: Ladder,
) -> None:
    ladder.connect(2)
    assert ladder.prepare(2, T2)["kind"] == "promise"
    assert Hangup(1, "superseded") in ladder.others
    ladder.connect(3)
    answer = ladder.prepare(3, T1)
    assert (answer["kind"], answer["why"], answer["promised"]) == ("refused", "ballot", [2, 9])
    assert ladder.record.promised == T2


def test_what_a_superseded_connection_had_sent_is_never_read(ladder: Ladder) -> None:
    ladder.connect(2)
    ladder.prepare(2, T1)
    before = len(ladder.sent)
    ladder.give(1, encode(Kind.FLUSH, 5, T1))
    ladder.give(1, encode_control(6, T1, {"kind": "hello"}))
    assert len(ladder.sent) == before
    assert Sync() not in ladder.others


def test_a_promise_given_before_is_given_again_without_the_disk(ladder: Ladder) -> None:
    ladder.connect(2)
    ladder.is_held = True
    assert ladder.prepare(2, T1)["kind"] == "promise"


def test_a_promise_given_again_waits_for_what_is_being_saved(ladder: Ladder) -> None:
    ladder.is_held = True
    assert ladder.mark(1, T1, 1, "01") == {}
    ladder.connect(2)
    assert ladder.prepare(2, T1) == {}, "it tells of marks"
    ladder.release()
    answer = ladder.sent[-1][1].control()
    assert (answer["kind"], answer["marks"]) == ("promise", "01")


# -- who is believed -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["accept", "mark", "renew", "redone"])
def test_orders_are_taken_in_the_promised_ballot_on_its_connection_only(
    ladder: Ladder, kind: str
) -> None:
    ladder.connect(2)
    for connection, ballot in ((2, T1), (1, T2), (1, NO_BALLOT)):
        answer = ladder.say(connection, ballot, {"kind": kind})
        assert (answer["kind"], answer["why"]) == ("refused", "ballot")
    assert ladder.record == attrs.evolve(FRESH, promised=T1, bids=(T1,))


def test_bytes_are_touched_in_the_promised_ballot_on_its_connection_only(ladder: Ladder) -> None:
    assert ladder.reads(1, T1) == "data"
    ladder.connect(2)
    assert ladder.reads(2, T1) == "ballot"
    for other in (T2, Ballot(1, 8), Ballot(2, 7)):
        assert ladder.reads(1, other) == "ballot"


def test_behind_what_was_refused_nothing_is_taken(ladder: Ladder) -> None:
    before = len(ladder.sent)
    ladder.give(1, encode(Kind.FLUSH, 5, T2) + encode(Kind.FLUSH, 6, T1))
    assert [frame.sequence for _, frame in ladder.sent[before:]] == [5]
    assert Sync() not in ladder.others


def test_a_connection_that_is_gone_is_not_the_writers_any_more(ladder: Ladder) -> None:
    ladder.replica.disconnected(1)
    ladder.connect(2)
    assert ladder.reads(2, T1) == "ballot", "before it has promised on this one"
    ladder.prepare(2, T1)
    assert ladder.reads(2, T1) == "data"
    assert ladder.others == [], "nobody is hung up on"


def test_what_a_lost_connection_waits_for_is_dropped(ladder: Ladder) -> None:
    ladder.give(1, encode(Kind.FLUSH, 5, T1))
    ladder.replica.disconnected(1)
    before = len(ladder.sent)
    ladder.do(ladder.replica.synced(None))
    assert len(ladder.sent) == before


def test_what_breaks_the_protocol_ends_the_connection_and_what_came_before_it_counts(
    ladder: Ladder,
) -> None:
    ladder.give(1, encode(Kind.FLUSH, 5, T1) + encode_control(6, T1, {"kind": "dance"}))
    assert ladder.others[-1] == Hangup(1, "unknown control message 'dance'")
    assert Sync() in ladder.others
    ladder.connect(1)
    assert ladder.reads(1, T1) == "ballot", "it is another connection"
