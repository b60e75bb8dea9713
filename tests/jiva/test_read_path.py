"""Reads of replicas: of whom they are asked, when bytes stand, and who answers if nobody can."""

from __future__ import annotations

import pytest

from jiva.ladder import BALLOT, ack, answer_frame, frames_of, taken
from jiva.read_ladder import NAMES, A, B, C, Ladder, data, unread
from tierce import GOOD, Code, ProtocolError, Status
from tierce_jiva.links import LinkState
from tierce_jiva.replica_actions import Fetch
from tierce_jiva.replica_data import encode_data
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame, Kind, encode

GAVE_UP = Status(Code.NOT_READY, "too late")


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


def test_a_read_is_answered_with_the_bytes_of_one_replica(ladder: Ladder) -> None:
    (read,) = ladder.read(512)
    link = ladder.one_asked()
    assert read.status is None
    ladder.come(link, (512, b"r" * 512))
    assert read.status is GOOD
    assert bytes(read.buffer or b"") == b"r" * 512
    assert ladder.answered == [read]


def test_replicas_take_turns(ladder: Ladder) -> None:
    asked = []
    for _ in range(6):
        ladder.read(0)
        asked.append(ladder.one_asked().name)
    assert sorted(asked) == [A, A, B, B, C, C]


def test_one_that_is_not_ready_is_not_asked(ladder: Ladder) -> None:
    ladder.links[B].state = LinkState.PREPARING
    for _ in range(6):
        ladder.read(0)
    assert set(ladder.asked()) == {A, C}


def test_a_batch_is_one_question_of_bounded_size(ladder: Ladder) -> None:
    half = BATCH_BYTES_MAX // 2
    ladder.read(0, half, 2 * half, length=half)
    questions = [frame.count for link in ladder.links for frame in taken(link)]
    assert questions == [2, 1]


def test_what_was_overtaken_by_a_write_is_read_again_and_the_rest_stands(ladder: Ladder) -> None:
    first, second = ladder.read(0, 1 << 16)
    link = ladder.one_asked()
    ladder.in_flight.add(1 << 16, 512)
    ladder.come(link, (0, b"r" * 512), (1 << 16, b"r" * 512))
    assert first.status is GOOD
    assert second.status is None
    assert ladder.pending == [([second], 3.0)]


@pytest.mark.parametrize("how", ["out", "unrest"])
def test_what_came_to_be_in_question_meanwhile_is_read_again(ladder: Ladder, how: str) -> None:
    (read,) = ladder.read(0)
    link = ladder.one_asked()
    if how == "out":
        ladder.use(*(name for name in NAMES if name != link.name))
    else:
        ladder.disturb(0)
    ladder.come(link, (0, b"r" * 512))
    assert read.status is None
    assert ladder.pending == [([read], 3.0)]
    assert ladder.agenda.may_admit, "it may be admitted at once"


def test_what_came_to_be_in_question_elsewhere_hinders_no_read(ladder: Ladder) -> None:
    (read,) = ladder.read(0)
    ladder.disturb(1)
    ladder.come(ladder.one_asked(), (0, b"r" * 512))
    assert read.status is GOOD


def test_a_replica_that_can_not_read_is_told_of_and_another_is_asked(ladder: Ladder) -> None:
    (read,) = ladder.read(0)
    first = ladder.one_asked()
    answer_frame(first, ack(1, [(0, Code.READ_ERROR)]))
    assert ladder.failures == [(first.name, "it can't read", [0])]
    second = ladder.one_asked()
    assert second is not first
    ladder.come(second, (0, b"r" * 512))
    assert read.status is GOOD


def test_of_what_a_replica_names_as_unreadable_just_that_is_asked_of_another(
    ladder: Ladder,
) -> None:
    ladder.use(A)
    reads = ladder.read(0, 4096, 8192, length=4096)
    first = ladder.one_asked()
    answer_frame(first, unread(1, (4096, 512), (4608, 512)))
    assert ladder.failures == [(A, "it can't read 4096+512, 4608+512", [4096, 4608])]
    assert reads[1].status is not None, "nobody else is there who could"
    assert reads[1].status.code is Code.READ_ERROR
    assert ladder.asked() == {A: [0, 8192]}, "the rest is asked for once more"
    ladder.come(first, (0, b"r" * 4096), (8192, b"r" * 4096))
    assert [read.status for read in reads[::2]] == [GOOD, GOOD]


@pytest.mark.parametrize("part", [(8192, 512), (4096, 4608), (4096, 0), (0, 8192)])
def test_what_is_named_as_unreadable_and_was_not_asked_for_breaks_the_protocol(
    ladder: Ladder, part: tuple[int, int]
) -> None:
    ladder.read(0, 4096, length=4096)
    with pytest.raises(ProtocolError, match="was not asked for"):
        answer_frame(ladder.one_asked(), unread(1, part))
    assert ladder.failures == []


def test_what_no_replica_can_read_is_an_error_with_its_place(ladder: Ladder) -> None:
    (read,) = ladder.read(4096)
    for _ in NAMES:
        answer_frame(ladder.one_asked(), ack(1, [(0, Code.READ_ERROR)]))
    assert read.status == Status(Code.READ_ERROR, "no replica could read 512 bytes at 4096", 4096)
    assert {name for name, *_ in ladder.failures} == set(NAMES)


def test_one_that_may_be_read_again_later_is_waited_for_before_that(ladder: Ladder) -> None:
    ladder.use(A, readable=(A, B))
    (read,) = ladder.read(0)
    answer_frame(ladder.one_asked(), ack(1, [(0, Code.READ_ERROR)]))
    assert read.status is None
    assert ladder.pending == [([read], 3.0)]


def test_with_nobody_to_ask_a_read_waits(ladder: Ladder) -> None:
    for link in ladder.links:
        link.state = LinkState.DOWN
    (read,) = ladder.read(0)
    assert read.status is None
    assert ladder.pending == [([read], 3.0)]


def test_a_link_that_is_lost_hands_its_reads_to_another(ladder: Ladder) -> None:
    ladder.read(0)
    first = ladder.one_asked()
    ladder.links.lose(first, "cut")
    assert ladder.one_asked() is not first
    assert ladder.failures == []


def test_what_is_given_up_is_answered_once_and_its_buffer_left_alone(ladder: Ladder) -> None:
    (early,) = ladder.read(0, since=1.0)
    first = ladder.one_asked()
    (late,) = ladder.read(0, since=2.0)
    second = ladder.one_asked()
    ladder.reads.give_up(2.0, GAVE_UP)
    assert early.status is GAVE_UP
    assert late.status is None
    ladder.come(first, (0, b"r" * 512))
    assert bytes(early.buffer or b"") == bytes(512)
    ladder.come(second, (0, b"r" * 512))
    assert ladder.answered == [early, late]


@pytest.mark.parametrize(
    "frame",
    [
        data((0, b"r" * 1024)),
        data((512, b"r" * 512)),
        data((0, b"r" * 512), (512, b"r" * 512)),
        frames_of(encode(Kind.DIGESTS, 1, BALLOT))[0],
    ],
    ids=["length", "offset", "count", "kind"],
)
def test_what_was_not_asked_for_breaks_the_protocol_and_fills_nothing(
    ladder: Ladder, frame: Frame
) -> None:
    (read,) = ladder.read(0)
    link = ladder.one_asked()
    with pytest.raises(ProtocolError, match=r"."):
        answer_frame(link, frame)
    assert bytes(read.buffer or b"") == bytes(512)
    assert read.status is None


def test_bytes_that_arrive_damaged_break_the_protocol(ladder: Ladder) -> None:
    (read,) = ladder.read(0)
    fetch = Fetch(1, 1, ((0, 512),), bytearray(b"r" * 512))
    damaged = bytearray(encode_data(fetch, BALLOT))
    damaged[-1] ^= 1
    with pytest.raises(ProtocolError, match="arrived damaged"):
        answer_frame(ladder.one_asked(), frames_of(bytes(damaged))[0])
    assert bytes(read.buffer or b"") == bytes(512)
