"""The judge of the simulation can say no, and says yes to what is allowed."""

from __future__ import annotations

import pytest

from jiva.sim.blocks import ViolationError
from jiva.sim.history import Era, History

BLOCK = 5


class Client:
    """Tells a history of one block, one step after the other."""

    def __init__(self) -> None:
        self.history = History([BLOCK])
        self.era = Era()
        self.history.serve(self.era)

    def take_over(self) -> Era:
        old, self.era = self.era, Era()
        self.history.serve(self.era)
        return old

    def begin(self, version: int, *, is_zeroes: bool = False) -> None:
        self.history.begin_write(version, (BLOCK,), self.era, is_zeroes=is_zeroes)

    def write(self, version: int, *, is_zeroes: bool = False) -> None:
        self.begin(version, is_zeroes=is_zeroes)
        self.history.acknowledge_write(version)

    def read(self, version: int, began: int | None = None, era: Era | None = None) -> None:
        began = self.history.now() if began is None else began
        self.history.end_read(BLOCK, version, began, era or self.era)

    def flush(self) -> None:
        self.history.complete_flush(self.history.now())

    def is_refused(self, version: int) -> bool:
        try:
            self.read(version)
        except ViolationError:
            return True
        return False


@pytest.fixture
def client() -> Client:
    return Client()


def test_what_was_never_written_is_not_read(client: Client) -> None:
    assert client.is_refused(7)


def test_an_acknowledged_write_is_not_lost(client: Client) -> None:
    client.write(1)
    client.write(2)
    client.read(2)
    assert client.is_refused(1)


def test_a_read_that_began_before_a_write_may_see_what_was_before(client: Client) -> None:
    client.write(1)
    began = client.history.now()
    client.write(2)
    client.flush()
    client.read(1, began)


def test_what_was_read_is_not_taken_back(client: Client) -> None:
    client.write(1)
    client.begin(2)
    client.read(2)
    assert client.is_refused(1)


def test_a_write_that_was_never_answered_may_come_late_in_its_own_era_only(client: Client) -> None:
    client.write(1)
    client.begin(2)
    client.read(1)
    client.read(2)
    client.begin(3)
    client.take_over()
    client.read(2)
    assert client.is_refused(3)


def test_a_refused_write_that_was_read_as_absent_does_not_come_later(client: Client) -> None:
    client.write(1)
    client.begin(2)
    client.history.refuse_write(2)
    client.read(1)
    assert client.is_refused(2)


def test_a_refused_write_may_have_happened(client: Client) -> None:
    client.write(1)
    client.begin(2)
    client.history.refuse_write(2)
    client.read(2)
    assert client.is_refused(1)


def test_a_write_sent_after_a_refusal_stands_above_what_was_refused(client: Client) -> None:
    client.begin(1)
    client.history.refuse_write(1)
    client.write(2)
    assert client.is_refused(1)


def test_losing_all_memory_takes_back_what_was_not_flushed(client: Client) -> None:
    client.write(1)
    client.flush()
    client.write(2)
    client.history.lose_memory()
    client.read(1)
    assert client.is_refused(2)


def test_what_was_flushed_survives_the_loss_of_all_memory(client: Client) -> None:
    client.write(1)
    client.write(2)
    client.flush()
    client.history.lose_memory()
    assert client.is_refused(1)
    client.read(2)


def test_a_durable_write_covers_itself(client: Client) -> None:
    client.write(1)
    began = client.history.now()
    client.write(2)
    client.history.complete_flush(began, own=2)
    client.history.lose_memory()
    assert client.is_refused(1)


def test_a_flush_does_not_cover_what_was_acknowledged_after_it_was_sent(client: Client) -> None:
    client.write(1)
    began = client.history.now()
    client.write(2)
    client.history.complete_flush(began)
    client.history.lose_memory()
    client.read(1)


def test_a_superseded_target_may_read_what_is_old_and_changes_nothing(client: Client) -> None:
    client.write(1)
    old = client.take_over()
    client.write(2)
    client.read(1, era=old)
    client.read(2)


def test_zeroes_are_as_good_as_any_that_may_be_there(client: Client) -> None:
    client.write(1)
    assert client.is_refused(0)
    client.begin(2, is_zeroes=True)
    client.read(0)
    assert client.is_refused(1)


def test_an_acknowledged_discard_is_not_lost(client: Client) -> None:
    client.write(1)
    client.write(2, is_zeroes=True)
    assert client.is_refused(1)
    client.write(3)
    assert client.is_refused(0)


def test_zeroes_that_were_there_when_a_read_began_prove_nothing_of_later_ones(
    client: Client,
) -> None:
    began = client.history.now()
    client.write(1)
    client.flush()
    client.begin(2, is_zeroes=True)
    client.read(0, began)
    client.write(3)
    client.history.acknowledge_write(2)
    client.read(0)


def replace(client: Client, version: int, expected: int, began: int) -> None:
    client.history.replace(version, {BLOCK: expected}, began, client.era)


def test_a_compare_and_write_must_find_what_may_be_there(client: Client) -> None:
    client.write(1)
    client.write(2)
    began = client.history.now()
    client.begin(3)
    with pytest.raises(ViolationError):
        replace(client, 3, 1, began)


def test_nothing_comes_between_a_comparison_and_its_write(client: Client) -> None:
    client.write(1)
    began = client.history.now()
    client.begin(3)
    client.write(2)
    replace(client, 3, 1, began)
    client.read(2)
    assert client.is_refused(3)


def test_a_write_beside_a_compare_and_write_may_come_before_the_comparison_fails(
    client: Client,
) -> None:
    client.write(1)
    began = client.history.now()
    client.begin(2)
    client.history.miss(BLOCK, 1, began, client.era)


def test_a_comparison_does_not_fail_where_only_the_expected_can_be(client: Client) -> None:
    client.write(1)
    with pytest.raises(ViolationError):
        client.history.miss(BLOCK, 1, client.history.now(), client.era)
