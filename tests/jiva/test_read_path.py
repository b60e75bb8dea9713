"""Reads: whom they are asked of, when the bytes stand, and who answers if nobody can."""

from __future__ import annotations

import pytest

from jiva.ladder import BALLOT, ack, answer_frame, frames_of, ready_links, said, taken
from tierce import GOOD, Code, Op, ProtocolError, Request, Status
from tierce_jiva.findings import Unread
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Head, Link, Links, LinkState
from tierce_jiva.pending import Pending
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents
from tierce_jiva.replica_actions import Fetch
from tierce_jiva.replica_data import encode_data
from tierce_jiva.target_actions import Agenda, ForgetFile, ReadFile
from tierce_jiva.wire import BATCH_BYTES_MAX, ENTRY, Frame, Kind, encode, encode_unread

A, B, C = NAMES = ("replica-1", "replica-2", "replica-3")
GAVE_UP = Status(Code.NOT_READY, "too late")


class File:
    """Files of this machine, and what of them is cached."""

    def __init__(self) -> None:
        self.cached: set[int] = set()
        self.is_missing = False
        self.asked: list[tuple[Head, list[int]]] = []

    def read_cached(self, head: Head, requests: list[Request]) -> list[Request] | None:
        if self.is_missing:
            return None
        self.asked.append((head, [request.offset for request in requests]))
        return [request for request in requests if request.offset not in self.cached]


class Ladder:
    """All three may be read."""

    def __init__(self, *, local: File | None = None) -> None:
        self.links: Links = ready_links()
        self.agenda = Agenda()
        self.in_flight = InFlight()
        self.unequal = Extents(self.links.regions)
        self.waiting = Pending()
        self.reads = ReadPath(
            self.links, self.in_flight, self.unequal, self.waiting, local, self.agenda
        )
        self.use(*NAMES)

    @property
    def answered(self) -> list[Request]:
        return [request for requests in self.agenda.completed.values() for request in requests]

    @property
    def pending(self) -> list[tuple[list[Request], float]]:
        return [(group.requests, group.since) for group in self.waiting.groups]

    @property
    def failures(self) -> list[tuple[str, str, list[int]]]:
        return [
            (found.link.name, found.reason, [offset for offset, _ in found.extents])
            for found in said(self.agenda, Unread)
        ]

    def come_back(self, *failed: int) -> None:
        """The oldest that a thread was asked for is read; at these offsets it could not be."""
        (read, *_) = said(self.agenda, ReadFile)
        self.agenda.actions.remove(read)
        for request in read.requests:
            if request.offset in failed:
                request.status = Status(Code.READ_ERROR, "bad sector")
            else:
                assert request.buffer is not None
                request.buffer[:] = b"f" * request.length
        unread = self.reads.find_unread(read)
        if unread is not None:
            self.agenda.findings.append(unread)
        self.reads.file_read(read)

    def use(self, *names: str, readable: tuple[str, ...] = ()) -> None:
        sources = [self.links[name] for name in names]
        later = [self.links[name] for name in readable or names]
        self.reads.use(sources, later, "here")

    def read(self, *offsets: int, length: int = 512, since: float = 3.0) -> list[Request]:
        requests = [
            Request(Op.READ, offset, length, memoryview(bytearray(length))) for offset in offsets
        ]
        self.reads.read(requests, lambda _settled: None, since)
        return requests

    def asked(self) -> dict[str, list[int]]:
        """Return the offsets that each replica is asked for now."""
        found: dict[str, list[int]] = {}
        for link in self.links:
            for frame in taken(link):
                assert frame.kind is Kind.READ
                offsets = [offset for _, _, offset, _ in ENTRY.iter_unpack(frame.table)]
                found.setdefault(link.name, []).extend(offsets)
        return found

    def disturb(self, extent: int) -> None:
        found = Extents(self.links.regions)
        found.add(extent)
        self.links.unrest.note(found)

    def one_asked(self) -> Link:
        (name,) = self.asked()
        return self.links[name]

    def come(self, link: Link, *extents: tuple[int, bytes]) -> None:
        """A replica answers with bytes."""
        answer_frame(link, data(*extents))


def data(*extents: tuple[int, bytes]) -> Frame:
    fetch = Fetch(
        1,
        1,
        tuple((offset, len(found)) for offset, found in extents),
        bytearray(b"".join(found for _, found in extents)),
    )
    return frames_of(encode_data(fetch, BALLOT))[0]


def unread(sequence: int, *parts: tuple[int, int]) -> Frame:
    return frames_of(encode_unread(sequence, BALLOT, parts))[0]


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


# -- from replicas ---------------------------------------------------------------------------------


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


# -- from files of this machine --------------------------------------------------------------------


def at_home(*names: str) -> tuple[Ladder, File]:
    """These replicas are on the target's machine."""
    file = File()
    ladder = Ladder(local=file)
    for number, link in enumerate(ladder.links):
        link.boot_id = "here" if link.name in names else "elsewhere"
        link.head = Head(f"/{link.name}", 1, number, 5, link.connection)
    ladder.use(*NAMES)
    return ladder, file


def test_what_is_cached_here_is_answered_at_once() -> None:
    ladder, file = at_home(B)
    file.cached = {0, 512}
    reads = ladder.read(0, 512)
    assert [read.status for read in reads] == [GOOD, GOOD]
    assert file.asked == [(ladder.links[B].head, [0, 512])]
    assert ladder.answered == [], "it is answered by its status"
    assert ladder.asked() == {}


def test_what_is_not_cached_here_comes_later_and_is_told() -> None:
    ladder, file = at_home(B)
    file.cached = {0}
    cached, cold = ladder.read(0, 512)
    assert (cached.status, cold.status) == (GOOD, None)
    ladder.come_back()
    assert cold.status is GOOD
    assert ladder.answered == [cold]


def test_of_several_here_each_is_read_for_its_own_extents() -> None:
    ladder, file = at_home(A, C)
    mib = 1 << 20
    file.cached = {number * mib for number in range(4)}
    ladder.read(*sorted(file.cached))
    asked = {head.path: offsets for head, offsets in file.asked}
    assert asked == {"/replica-1": [0, 2 * mib], "/replica-3": [mib, 3 * mib]}


def test_a_file_that_is_not_found_here_is_read_from_its_replica() -> None:
    ladder, file = at_home(B)
    file.is_missing = True
    ladder.read(0)
    assert ladder.asked()
    file.is_missing = False
    ladder.read(0)
    assert file.asked == [], "it is not looked for again on this connection"
    ladder.use(*NAMES)
    ladder.read(0)
    assert file.asked


def test_what_a_file_can_not_give_is_told_and_comes_from_another_replica() -> None:
    ladder, _ = at_home(B)
    good, bad = ladder.read(0, 512)
    ladder.come_back(512)
    assert good.status is GOOD
    assert bad.status is None
    assert ladder.failures == [(B, "bad sector", [512])]
    link = ladder.one_asked()
    assert link.name != B
    ladder.come(link, (512, b"r" * 512))
    assert bad.status is GOOD


@pytest.mark.parametrize("how", ["connection", "out", "unrest"])
def test_a_file_that_came_to_be_in_question_meanwhile_is_read_again(how: str) -> None:
    ladder, _ = at_home(B)
    good, bad = ladder.read(0, 512)
    link = ladder.links[B]
    if how == "connection":
        assert link.head is not None
        ladder.reads.lost(link)
        assert [action.head for action in said(ladder.agenda, ForgetFile)] == [link.head]
        link.head = Head("/replica-2", 1, 99, 6, link.connection + 1)
    elif how == "out":
        ladder.use(A, C)
    else:
        ladder.disturb(0)
    ladder.come_back(512)
    assert good.status is None
    assert ([good], 3.0) in ladder.pending
    assert bad.status is None
    # What failed on a file that was given up is nobody's fault.
    assert ladder.failures == ([] if how == "connection" else [(B, "bad sector", [512])])


@pytest.mark.parametrize("how", ["there", "connection", "out"])
def test_of_what_a_file_can_give_nothing_of_nothing_waits(how: str) -> None:
    ladder, _ = at_home(B)
    (bad,) = ladder.read(0)
    if how == "connection":
        ladder.links[B].head = None
    elif how == "out":
        ladder.use(A, C)
    ladder.come_back(0)
    assert ladder.pending == [], "whoever waits for nothing would be told of nothing"
    ladder.come(ladder.one_asked(), (0, b"r" * 512))
    assert bad.status is GOOD


def test_a_file_that_a_write_overtook_is_read_again() -> None:
    ladder, _ = at_home(B)
    (read,) = ladder.read(0)
    ladder.in_flight.add(0, 512)
    ladder.come_back()
    assert read.status is None
    assert ladder.pending == [([read], 3.0)]


def test_nothing_of_this_machine_is_read_where_its_memory_is_not_shared() -> None:
    ladder, file = at_home()
    ladder.read(0)
    assert file.asked == []
    assert ladder.asked()


def test_reads_of_files_are_not_given_up_while_a_thread_fills_their_buffers() -> None:
    ladder, _ = at_home(B)
    (read,) = ladder.read(0, since=0.0)
    ladder.reads.give_up(99.0, GAVE_UP)
    assert read.status is None
    ladder.come_back()
    assert read.status is GOOD
