"""The record on its way to the disk: nobody learns of what is not durable."""

from __future__ import annotations

import pytest

from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership, Record
from tierce_jiva.record_keeper import RecordKeeper
from tierce_jiva.replica_actions import Action, Save

RECORD = Record(NO_BALLOT, Membership(NO_BALLOT, 0, ("a",), ("a",)), "boot")


class Ladder:
    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.keeper = RecordKeeper(RECORD, self.actions)
        self.told: list[str] = []

    def then(self, word: str) -> None:
        self.keeper.then(lambda: self.told.append(word))

    def saves(self) -> list[Record]:
        found = [action.record for action in self.actions if isinstance(action, Save)]
        self.actions.clear()
        return found


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_what_is_changed_holds_at_once_and_is_told_when_it_is_durable(ladder: Ladder) -> None:
    ladder.keeper.change(promised=Ballot(1, 7))
    assert ladder.keeper.promised == Ballot(1, 7)
    assert not ladder.keeper.is_saving
    ladder.then("promise")
    assert ladder.keeper.is_saving
    assert [record.promised for record in ladder.saves()] == [Ballot(1, 7)]
    assert ladder.told == []
    ladder.keeper.saved()
    assert ladder.told == ["promise"]
    assert not ladder.keeper.is_saving
    assert ladder.saves() == []


def test_what_is_changed_during_a_save_shares_the_next_one(ladder: Ladder) -> None:
    ladder.then("first")
    ladder.saves()
    ladder.keeper.change(suspect=True)
    ladder.then("second")
    ladder.keeper.replace(ladder.keeper.record.promise(Ballot(2, 7)))
    ladder.then("third")
    assert ladder.saves() == [], "one at a time"
    ladder.keeper.saved()
    assert ladder.told == ["first"]
    (record,) = ladder.saves()
    assert (record.suspect, record.promised) == (True, Ballot(2, 7))
    ladder.keeper.saved()
    assert ladder.told == ["first", "second", "third"]


def test_what_is_asked_for_when_a_save_has_ended_is_saved_with_the_rest(ladder: Ladder) -> None:
    ladder.keeper.then(lambda: ladder.then("last"))
    ladder.saves()
    ladder.then("next")
    ladder.keeper.saved()
    assert len(ladder.saves()) == 1
    ladder.keeper.saved()
    assert ladder.told == ["next", "last"]
    assert ladder.saves() == []
