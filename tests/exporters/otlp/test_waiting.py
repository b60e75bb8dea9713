"""What waits, what goes, and what is told of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporters.otlp.made import record, records
from tierce_exporters.otlp.waiting import (
    BATCH_COUNT_MAX,
    FEW,
    RECORD_COUNT_MAX,
    News,
    Waiting,
)


def test_what_waits_is_taken_in_order_a_request_at_a_time() -> None:
    waiting = Waiting()
    waiting.add(records(BATCH_COUNT_MAX + 1))
    assert waiting.take() == records(BATCH_COUNT_MAX)
    waiting.arrived()
    assert waiting.take() == [record(BATCH_COUNT_MAX)]
    waiting.arrived()
    assert waiting.take() == []


def test_what_did_not_arrive_is_the_first_to_be_taken_again() -> None:
    waiting = Waiting()
    waiting.add(records(3))
    waiting.take()
    waiting.add([record(3)])
    waiting.came_back()
    assert waiting.take() == records(4)


def test_the_oldest_go_and_what_is_under_way_stays() -> None:
    waiting = Waiting()
    waiting.add(records(RECORD_COUNT_MAX))
    waiting.take()
    waiting.add(records(3, first=RECORD_COUNT_MAX))
    assert (len(waiting), waiting.dropped) == (RECORD_COUNT_MAX, 3)
    waiting.came_back()
    assert waiting.take() == records(BATCH_COUNT_MAX)
    waiting.arrived()
    # These three are gone.
    assert waiting.take()[0] == record(BATCH_COUNT_MAX + 3)


def test_an_episode_is_told_when_it_begins_and_when_little_waits_again() -> None:
    waiting = Waiting()
    waiting.add(records(RECORD_COUNT_MAX + 5))
    waiting.add(records(5))
    assert waiting.news() == [News(is_over=False, dropped=5, in_all=5)]
    while len(waiting) > FEW + BATCH_COUNT_MAX:
        waiting.take()
        waiting.arrived()
        assert waiting.news() == []
    waiting.take()
    waiting.arrived()
    assert waiting.news() == [News(is_over=True, dropped=5, in_all=10)]
    assert waiting.news() == []


def test_what_is_refused_is_left_out_and_the_next_that_arrives_ends_the_episode() -> None:
    waiting = Waiting()
    waiting.add(records(2))
    waiting.take()
    waiting.refused()
    assert (len(waiting), waiting.dropped) == (0, 2)
    waiting.add([record(2)])
    waiting.take()
    waiting.arrived()
    assert waiting.news() == [News(False, dropped=2, in_all=2), News(True, dropped=0, in_all=2)]


@given(
    st.lists(st.one_of(st.integers(0, 900), st.sampled_from(["arrived", "came_back", "refused"])))
)
def test_it_is_bounded_and_everything_arrives_once_or_is_counted(steps: list[int | str]) -> None:
    waiting, added, arrived = Waiting(), 0, 0
    for step in steps:
        if isinstance(step, int):
            waiting.add(records(step, first=added))
            added += step
        else:
            taken = waiting.take()
            arrived += len(taken) if step == "arrived" else 0
            getattr(waiting, step)()
        assert len(waiting) <= RECORD_COUNT_MAX
        assert added == arrived + waiting.dropped + len(waiting)
    news = waiting.news()
    if news and news[-1].is_over:
        # Who adds up what is told knows all that was left out.
        assert sum(one.dropped for one in news) == waiting.dropped
    states = [one.is_over for one in news]
    assert states == [index % 2 == 1 for index in range(len(states))]
