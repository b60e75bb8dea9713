"""What is kept until it is acknowledged."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce_exporters.forward.backlog import (
    CHUNK_BYTES_MAX,
    CHUNK_ENTRY_COUNT_MAX,
    EVENT_BYTES_RESERVED,
    EVENT_COUNT_RESERVED,
    Backlog,
    Kind,
)

COUNT_MAX, BYTES_MAX = 1000, 2 << 20


def backlog(count_max: int = COUNT_MAX, bytes_max: int = BYTES_MAX) -> Backlog:
    return Backlog(count_max, bytes_max, random.Random(1).randbytes)


def taken(one: Backlog) -> bytes:
    """Take all that waits."""
    found = b""
    while one.has_waiting:
        found += one.take().entries
    return found


def test_entries_are_sent_in_order_in_chunks_of_bounded_size() -> None:
    one = backlog()
    one.add(Kind.EVENTS, [b"e"] * (CHUNK_ENTRY_COUNT_MAX + 1))
    one.add(Kind.EVENTS, [b"x" * (CHUNK_BYTES_MAX - 1), b"yy"])
    chunks = []
    while one.has_waiting:
        chunks.append(one.take())
    assert [(each.count, len(each.entries)) for each in chunks] == [
        (CHUNK_ENTRY_COUNT_MAX, CHUNK_ENTRY_COUNT_MAX),
        (1, 1),
        (1, CHUNK_BYTES_MAX - 1),
        (1, 2),
    ]
    assert len({each.id for each in chunks}) == 4


def test_what_is_acknowledged_is_kept_no_longer_and_only_once() -> None:
    one = backlog()
    one.add(Kind.EVENTS, [b"abc"])
    chunk = one.take()
    assert (len(one), one.size, one.counts[Kind.EVENTS], one.in_flight_count) == (1, 3, 1, 1)
    assert one.acknowledge(chunk.id)
    assert not one.acknowledge(chunk.id)
    assert (len(one), one.size, one.counts[Kind.EVENTS], one.in_flight_count) == (0, 0, 0, 0)


def test_what_is_in_flight_is_sent_again_before_what_waits_with_the_same_id() -> None:
    one = backlog()
    for each in (b"a", b"b", b"c"):
        one.add(Kind.EVENTS, [each])
    ids = [one.take().id, one.take().id]
    one.send_again()
    again = [one.take() for _number in range(3)]
    assert b"".join(each.entries for each in again) == b"abc"
    assert [each.id for each in again[:2]] == ids


def test_the_oldest_records_make_room_for_newer_ones_and_are_counted() -> None:
    one = backlog()
    room = COUNT_MAX - EVENT_COUNT_RESERVED
    for number in range(room + 3):
        one.add(Kind.RECORDS, [bytes([number % 256])])
    assert one.dropped == {Kind.EVENTS: 0, Kind.RECORDS: 3}
    assert taken(one) == bytes(number % 256 for number in range(3, room + 3))


def test_records_in_flight_are_not_dropped_the_new_ones_are() -> None:
    one = backlog()
    large = b"x" * (BYTES_MAX - EVENT_BYTES_RESERVED)
    one.add(Kind.RECORDS, [large])
    one.take()
    one.add(Kind.RECORDS, [b"new", b"too"])
    assert one.dropped[Kind.RECORDS] == 2
    assert one.size == len(large)


def test_there_is_always_room_for_the_events_that_the_server_gives_at_once() -> None:
    one = backlog()
    for _number in range(COUNT_MAX):
        one.add(Kind.RECORDS, [b"x" * 2048])
    while one.has_waiting:
        one.take()
    one.add(Kind.EVENTS, [b"e" * 4096] * EVENT_COUNT_RESERVED)
    assert one.dropped[Kind.EVENTS] == 0
    assert one.counts[Kind.EVENTS] == EVENT_COUNT_RESERVED


def test_events_beyond_all_room_are_dropped_and_counted() -> None:
    one = backlog()
    one.add(Kind.EVENTS, [b"e"] * (COUNT_MAX + 1))
    assert one.dropped[Kind.EVENTS] > 0
    assert one.counts[Kind.EVENTS] + one.dropped[Kind.EVENTS] == COUNT_MAX + 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("add", "take", "ack", "again")),
            st.sampled_from(list(Kind)),
            st.integers(1, 300),
            st.integers(1, 20_000),
        ),
        max_size=60,
    )
)
def test_it_is_bounded_whatever_happens_and_every_entry_is_somewhere(
    steps: list[tuple[str, Kind, int, int]],
) -> None:
    one = backlog()
    given_in, done = dict.fromkeys(Kind, 0), dict.fromkeys(Kind, 0)
    flying = []
    for what, kind, count, size in steps:
        if what == "add":
            one.add(kind, [b"x" * size] * count)
            given_in[kind] += count
        elif what == "take" and one.has_waiting:
            flying.append(one.take())
        elif what == "ack" and flying:
            chunk = flying.pop(count % len(flying))
            assert one.acknowledge(chunk.id)
            done[chunk.kind] += chunk.count
        elif what == "again":
            one.send_again()
            flying.clear()
        assert one.size <= BYTES_MAX
        assert sum(one.counts.values()) <= COUNT_MAX
        for each in Kind:
            assert given_in[each] == done[each] + one.counts[each] + one.dropped[each]


@pytest.mark.parametrize("kind", list(Kind))
def test_an_entry_larger_than_all_room_is_dropped(kind: Kind) -> None:
    one = backlog()
    one.add(kind, [b"x" * (BYTES_MAX + 1)])
    assert one.dropped[kind] == 1
    assert len(one) == 0
