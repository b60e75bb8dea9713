"""BLOCK_STATUS: whom it is asked of, what is told as data whatever the answer, and what if nobody
answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiva.ladder import BALLOT, SIZE_BYTES, ack, answer_frame, frames_of, ready_links, taken
from tierce import EXTENT_COUNT_MAX, GOOD, Code, Extent, Op, ProtocolError, Request
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, LinkState
from tierce_jiva.pending import Pending
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents
from tierce_jiva.status_path import CHANGING_COUNT_MAX, StatusPath, cover
from tierce_jiva.target_actions import Agenda
from tierce_jiva.wire import ENTRY, STATUS_BYTES_MAX, Kind, encode, encode_found

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")
KIB, MIB = 1 << 10, 1 << 20
HOLE, DATA = True, False


class Ladder:
    """All three may be asked."""

    def __init__(self, size_bytes: int = SIZE_BYTES) -> None:
        self.links = ready_links(size_bytes=size_bytes)
        self.agenda = Agenda()
        self.pending, self.under_way = InFlight(), InFlight()
        self.unequal = Extents(self.links.regions)
        self.reads = ReadPath(
            self.links, self.under_way, self.unequal, Pending(), None, self.agenda
        )
        self.statuses = StatusPath(
            self.links,
            self.reads,
            (self.pending, self.under_way),
            self.unequal,
            self.agenda,
        )
        for link in self.links:
            link.knows_status = True
        self.use(*NAMES)

    @property
    def answered(self) -> list[Request]:
        return [request for requests in self.agenda.completed.values() for request in requests]

    def use(self, *names: str) -> None:
        links = [self.links[name] for name in names]
        self.reads.use(links, links, "elsewhere")

    def ask(self, offset: int = 0, length: int = 4 * MIB, since: float = 3.0) -> Request:
        request = Request(Op.BLOCK_STATUS, offset, length)
        self.statuses.ask(request, lambda _settled: None, since)
        return request

    def asked(self) -> list[tuple[str, int, int]]:
        """Return who is asked now, and about what."""
        found = []
        for link in self.links:
            for frame in taken(link):
                assert frame.kind is Kind.STATUS
                ((_, length, offset, _),) = ENTRY.iter_unpack(frame.table)
                found.append((link.name, offset, length))
        return found

    def one_asked(self) -> Link:
        ((name, _, _),) = self.asked()
        return self.links[name]


def tell(link: Link, *found: tuple[int, int, bool]) -> None:
    """A replica answers."""
    extents = [Extent(*one) for one in found]
    answer_frame(link, frames_of(encode_found(1, BALLOT, extents))[0])


def told(request: Request) -> list[tuple[int, int, bool]]:
    assert request.status is GOOD
    return [(extent.offset, extent.length, extent.is_hole) for extent in request.extents]


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


# -- whom ------------------------------------------------------------------------------------------


def test_one_replica_is_asked_and_its_answer_is_told(ladder: Ladder) -> None:
    request = ladder.ask(4096, MIB)
    ((name, offset, length),) = ladder.asked()
    assert (offset, length) == (4096, MIB)
    assert request.status is None
    tell(ladder.links[name], (4096, 8192, HOLE), (12288, 4096, DATA))
    assert told(request) == [(4096, 8192, HOLE), (12288, 4096, DATA)]
    assert ladder.answered == [request]


def test_replicas_take_turns(ladder: Ladder) -> None:
    asked = []
    for _ in range(6):
        ladder.ask()
        asked.append(ladder.one_asked().name)
    assert sorted(asked) == [A, A, B, B, C, C]


def test_one_that_is_not_ready_is_not_asked(ladder: Ladder) -> None:
    ladder.links[B].state = LinkState.PREPARING
    for _ in range(6):
        ladder.ask()
    assert {name for name, _, _ in ladder.asked()} == {A, C}


def test_one_of_an_older_release_is_not_asked_what_it_would_hang_up_on(ladder: Ladder) -> None:
    ladder.links[B].knows_status = False
    for _ in range(6):
        ladder.ask()
    assert {name for name, _, _ in ladder.asked()} == {A, C}


def test_no_more_is_asked_about_than_one_answer_holds() -> None:
    ladder = Ladder(size_bytes=4 * STATUS_BYTES_MAX)
    request = ladder.ask(MIB, 3 * STATUS_BYTES_MAX)
    ((name, _, length),) = ladder.asked()
    assert length == STATUS_BYTES_MAX
    tell(ladder.links[name], (MIB, STATUS_BYTES_MAX, HOLE))
    assert told(request) == [(MIB, STATUS_BYTES_MAX, HOLE)], "whoever wants more asks on"


def test_a_replica_that_can_not_tell_is_followed_by_another(ladder: Ladder) -> None:
    request = ladder.ask()
    first = ladder.one_asked()
    answer_frame(first, ack(1, [(0, Code.READ_ERROR)]))
    second = ladder.one_asked()
    assert second is not first
    tell(second, (0, 4 * MIB, HOLE))
    assert told(request) == [(0, 4 * MIB, HOLE)]


def test_a_link_that_is_lost_hands_its_question_to_another(ladder: Ladder) -> None:
    ladder.ask()
    first = ladder.one_asked()
    ladder.links.lose(first, "cut")
    assert ladder.one_asked() is not first


def test_where_nobody_can_tell_all_is_data(ladder: Ladder) -> None:
    request = ladder.ask(4096)
    for _ in NAMES:
        answer_frame(ladder.one_asked(), ack(1, [(0, Code.READ_ERROR)]))
    assert told(request) == [(4096, 4 * MIB, DATA)]
    assert ladder.answered == [request]


def test_with_nobody_to_ask_all_is_data_at_once(ladder: Ladder) -> None:
    ladder.use()
    request = ladder.ask()
    assert told(request) == [(0, 4 * MIB, DATA)]
    assert ladder.answered == [], "it is answered by its status"


def test_what_takes_too_long_is_told_as_data_once(ladder: Ladder) -> None:
    early = ladder.ask(since=1.0)
    first = ladder.one_asked()
    late = ladder.ask(since=2.0)
    ladder.statuses.give_up(2.0)
    assert told(early) == [(0, 4 * MIB, DATA)]
    assert late.status is None
    tell(first, (0, 4 * MIB, HOLE))
    assert told(early) == [(0, 4 * MIB, DATA)], "what comes after that is dropped"
    assert ladder.answered == [early]


# -- what is not certain ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["pending", "under_way"])
def test_what_is_to_change_is_data_though_the_replica_has_a_hole(ladder: Ladder, how: str) -> None:
    request = ladder.ask(0, 256 * KIB)
    link = ladder.one_asked()
    changing: InFlight = getattr(ladder, how)
    changing.add(64 * KIB + 4096, 4096)
    tell(link, (0, 256 * KIB, HOLE))
    assert told(request) == [
        (0, 64 * KIB, HOLE),
        (64 * KIB, 64 * KIB, DATA),
        (128 * KIB, 128 * KIB, HOLE),
    ]


def test_what_changes_elsewhere_hinders_no_hole(ladder: Ladder) -> None:
    request = ladder.ask(0, MIB)
    ladder.under_way.add(MIB, MIB)
    tell(ladder.one_asked(), (0, MIB, HOLE))
    assert told(request) == [(0, MIB, HOLE)]


def test_what_may_differ_between_the_members_is_data(ladder: Ladder) -> None:
    request = ladder.ask(0, 16 * MIB)
    ladder.unequal.add(1)
    ladder.unequal.add_regions([2])
    tell(ladder.one_asked(), (0, 16 * MIB, HOLE))
    assert told(request) == [
        (0, MIB, HOLE),
        (MIB, MIB, DATA),
        (2 * MIB, 6 * MIB, HOLE),
        (8 * MIB, 4 * MIB, DATA),
        (12 * MIB, 4 * MIB, HOLE),
    ]


def test_what_is_in_doubt_on_the_one_that_was_asked_is_data(ladder: Ladder) -> None:
    ladder.use(A)
    ladder.links[A].doubt.add(0)
    ladder.links[B].doubt.add(1)
    request = ladder.ask()
    tell(ladder.one_asked(), (0, 4 * MIB, HOLE))
    assert told(request) == [(0, MIB, DATA), (MIB, 3 * MIB, HOLE)]


@pytest.mark.parametrize("how", ["unequal", "doubt"])
def test_what_was_in_question_when_a_replica_was_asked_is_data_though_it_is_mended(
    ladder: Ladder, how: str
) -> None:
    ladder.use(A)
    in_question = ladder.unequal if how == "unequal" else ladder.links[A].doubt
    in_question.add(1)
    request = ladder.ask()
    in_question.clear()
    tell(ladder.links[A], (0, 4 * MIB, HOLE))
    assert told(request) == [(0, MIB, HOLE), (MIB, MIB, DATA), (2 * MIB, 2 * MIB, HOLE)]


def test_of_another_that_is_asked_only_what_is_in_question_by_then_is_data(ladder: Ladder) -> None:
    ladder.unequal.add(1)
    request = ladder.ask()
    ladder.unequal.clear()
    ladder.links.lose(ladder.one_asked(), "cut")
    tell(ladder.one_asked(), (0, 4 * MIB, HOLE))
    assert told(request) == [(0, 4 * MIB, HOLE)]


def test_what_came_to_be_in_question_meanwhile_makes_all_of_it_data(ladder: Ladder) -> None:
    request = ladder.ask()
    in_question = Extents(ladder.links.regions)
    in_question.add(1)
    ladder.links.unrest.note(in_question)
    tell(ladder.one_asked(), (0, 4 * MIB, HOLE))
    assert told(request) == [(0, 4 * MIB, DATA)]


def test_one_that_may_not_be_read_any_more_is_not_believed(ladder: Ladder) -> None:
    request = ladder.ask()
    first = ladder.one_asked()
    ladder.use(*(name for name in NAMES if name != first.name))
    tell(first, (0, 4 * MIB, HOLE))
    assert request.status is None
    second = ladder.one_asked()
    assert second is not first
    tell(second, (0, 4 * MIB, DATA))
    assert told(request) == [(0, 4 * MIB, DATA)]


def test_where_very_much_changes_nothing_is_looked_at_in_detail(ladder: Ladder) -> None:
    request = ladder.ask(0, MIB)
    ladder.under_way.add(2 * MIB, (CHANGING_COUNT_MAX + 1) * 64 * KIB)
    tell(ladder.one_asked(), (0, MIB, HOLE))
    assert told(request) == [(0, MIB, DATA)]


# -- what a replica must not say -------------------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        [],
        [(512, 512, HOLE)],
        [(0, 512, HOLE), (1024, 512, DATA)],
        [(0, 1024, HOLE), (512, 512, DATA)],
        [(0, 0, HOLE)],
        [(0, 4 * MIB, HOLE), (4 * MIB, 512, HOLE)],
        [(0, 4 * MIB + 512, HOLE)],
        [(512 * number, 512, HOLE) for number in range(EXTENT_COUNT_MAX + 1)],
    ],
    ids=["none", "late", "gap", "overlap", "empty", "outside", "too long", "too many"],
)
def test_extents_that_are_not_due_break_the_protocol(
    ladder: Ladder, found: list[tuple[int, int, bool]]
) -> None:
    request = ladder.ask()
    link = ladder.one_asked()
    with pytest.raises(ProtocolError, match=r"extents? "):
        tell(link, *found)
    assert request.status is None, "another is asked when the link is gone"


def test_a_kind_of_extent_that_nobody_knows_breaks_the_protocol(ladder: Ladder) -> None:
    ladder.ask()
    table = ENTRY.pack(2, 512, 0, 0)
    (frame,) = frames_of(encode(Kind.EXTENTS, 1, BALLOT, table=table, count=1))
    with pytest.raises(ProtocolError, match="of kind 2"):
        answer_frame(ladder.one_asked(), frame)


def test_another_answer_breaks_the_protocol(ladder: Ladder) -> None:
    ladder.ask()
    (frame,) = frames_of(encode(Kind.DATA, 1, BALLOT))
    with pytest.raises(ProtocolError, match="a STATUS was answered with DATA"):
        answer_frame(ladder.one_asked(), frame)


# -- data over holes -------------------------------------------------------------------------------

lengths = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12)
pairs = st.lists(st.tuples(st.integers(-9, 99), st.integers(1, 30)), max_size=8)


@given(st.integers(0, 20), lengths, pairs)
def test_what_is_covered_is_data_and_nothing_else_changes(
    first: int, parts: list[tuple[int, bool]], spans: list[tuple[int, int]]
) -> None:
    found, at = [], first
    for length, is_hole in parts:
        found.append(Extent(at, length, is_hole))
        at += length
    holes = {byte for extent in found if extent.is_hole for byte in range(*ends(extent))}
    for begin, length in spans:
        holes -= set(range(begin, begin + length))
    told = cover(tuple(found), sorted((begin, begin + length) for begin, length in spans))
    position = first
    for extent in told:
        assert extent.offset == position
        assert extent.length > 0
        position += extent.length
        assert {byte in holes for byte in range(*ends(extent))} == {extent.is_hole}
    assert position == at


def ends(extent: Extent) -> tuple[int, int]:
    return extent.offset, extent.offset + extent.length


def test_no_more_is_told_than_a_request_may_hold() -> None:
    found = (Extent(0, 1 << 30, HOLE),)
    spans = [(number * 1024, number * 1024 + 512) for number in range(EXTENT_COUNT_MAX)]
    told = cover(found, spans)
    assert len(told) == EXTENT_COUNT_MAX
    assert told[-1] == Extent(spans[EXTENT_COUNT_MAX // 2 - 1][1], 512, HOLE)
