"""One replica, told frame by frame: whom it believes, and what it says when."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from jiva.ladder import frames_of
from jiva.nodes import MemoryStore
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership, Order, Record
from tierce_jiva.replica import Replica
from tierce_jiva.replica_actions import Action, Hangup, Renew, Save, Send, Stop, Sync
from tierce_jiva.wire import Frame, Kind, encode, encode_control, encode_extents

SIZE = 32 << 20
NAMES = ("a", "b", "c")
T1, T2 = Ballot(1, 7), Ballot(2, 9)
INCARNATION = 55
FRESH = Record(NO_BALLOT, Membership(NO_BALLOT, 0, NAMES, NAMES), "boot", head="1:1")


class Ladder:
    """Replica `a`, whose disk is quick unless it is held."""

    def __init__(self, record: Record = FRESH, **changes: Any) -> None:
        self.store = MemoryStore(SIZE)
        arguments: dict[str, Any] = {
            "name": "a",
            "uuid": "00ff",
            "size_bytes": SIZE,
            "record": record,
            "store": self.store,
            "boot_id": "boot",
            "head": "1:1",
            "facts": {"head": "/a/head", "device": 1, "inode": 1, "incarnation": INCARNATION},
        }
        self.replica = Replica(**arguments | changes)
        self.durable = record
        self.is_held = False
        self.others: list[Action] = []
        self.sent: list[tuple[int, Frame]] = []
        self._sequence = 0

    def connect(self, *connections: int) -> None:
        """Connect, and greet."""
        for connection in connections:
            self.replica.connected(connection)
            assert self.say(connection, NO_BALLOT, self.hello())["kind"] == "welcome"

    @staticmethod
    def hello(**changes: Any) -> dict[str, Any]:
        return {"kind": "hello", "uuid": "00ff", "replica": "a"} | changes

    def give(self, connection: int, data: bytes) -> None:
        self.do(self.replica.received(connection, frames_of(data)))

    def do(self, actions: list[Action]) -> None:
        """Carry out what the replica asks for."""
        for action in actions:
            if isinstance(action, Send):
                self.sent += [(action.connection, frame) for frame in frames_of(action.data)]
            elif isinstance(action, Save) and not self.is_held:
                self.durable = action.record
                self.do(self.replica.saved())
            else:
                self.others.append(action)

    def release(self) -> None:
        """The save that was held is done, and those that follow are quick."""
        self.is_held = False
        (save,) = (action for action in self.others if isinstance(action, Save))
        self.others.remove(save)
        self.do([save])

    def say(self, connection: int, ballot: Ballot, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a control message; return the answer, or nothing if there is none yet."""
        self._sequence += 1
        before = len(self.sent)
        self.give(connection, encode_control(self._sequence, ballot, message))
        if len(self.sent) == before:
            return {}
        where, frame = self.sent[-1]
        assert (where, frame.sequence) == (connection, self._sequence)
        return frame.control()

    def prepare(self, connection: int, ballot: Ballot) -> dict[str, Any]:
        return self.say(connection, ballot, {"kind": "prepare"})

    def accept(
        self, connection: int, ballot: Ballot, sequence: int, *in_sync: str, **changes: Any
    ) -> dict[str, Any]:
        membership = Membership(ballot, sequence, NAMES, in_sync or NAMES)
        message = {"kind": "accept", "membership": membership.to_json(), "let_in": [], "suspect": 0}
        return self.say(connection, ballot, message | changes)

    def mark(
        self, connection: int, ballot: Ballot, order: int, marks: str, settled: int = 0
    ) -> dict[str, Any]:
        message = {"kind": "mark", "order": order, "settled": settled, "marks": marks}
        return self.say(connection, ballot, message)

    def reads(self, connection: int, ballot: Ballot) -> str:
        """Ask for bytes; return how that is answered."""
        self.give(connection, encode_extents(Kind.READ, 900, ballot, [(0, 512)]))
        frame = self.sent[-1][1]
        return "data" if frame.kind is Kind.DATA else str(frame.control()["why"])

    @property
    def record(self) -> Record:
        return self.replica.record


@pytest.fixture
def ladder() -> Ladder:
    """Promised to T1 on connection 1."""
    ladder = Ladder()
    ladder.connect(1)
    assert ladder.prepare(1, T1)["kind"] == "promise"
    return ladder


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
    (renew,) = ladder.others
    assert isinstance(renew, Renew)
    ladder.do(ladder.replica.renewed(renew, None))
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
    (renew,) = ladder.others
    assert isinstance(renew, Renew)
    ladder.do(ladder.replica.renewed(renew, None))
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
    renew = Renew(1, 5)
    ladder.do(ladder.replica.renewed(renew, OSError(errno.EIO, "Input/output error")))
    assert ladder.others == [Stop("can't open its bytes anew: Input/output error")]


@pytest.mark.parametrize("kind", ["prepare", "accept", "mark"])
def test_one_whose_file_was_cut_short_promises_votes_and_marks_nothing(
    ladder: Ladder, kind: str
) -> None:
    ladder.store.is_cut = True
    assert ladder.say(1, T1, {"kind": kind}) == {}
    assert isinstance(ladder.others[-1], Stop)
