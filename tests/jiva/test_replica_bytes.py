"""What a replica does with its bytes: batches, flushes, reads, digests, holes, and their
failures."""

from __future__ import annotations

import errno

import pytest
from crc32c import crc32c

from jiva.ladder import BALLOT, frames_of
from jiva.nodes import MemoryStore
from tierce import Code, Extent, Op, ProtocolError, UnreadableError
from tierce_jiva.ballot import Membership, Record
from tierce_jiva.record_keeper import RecordKeeper
from tierce_jiva.replica_actions import (
    Action,
    DigestExtents,
    Fetch,
    FindExtents,
    Report,
    Save,
    Stop,
    Sync,
)
from tierce_jiva.replica_bytes import ReplicaBytes
from tierce_jiva.wire import (
    BATCH_BYTES_MAX,
    ENTRY,
    STATUS_BYTES_MAX,
    Frame,
    Kind,
    check_found,
    check_unread,
    decode_failures,
    encode,
    encode_extents,
)

SIZE = 16 << 20
EIO = OSError(errno.EIO, "bad sector")
ENOSPC = OSError(errno.ENOSPC, "no space left")


class Ladder:
    """The bytes of one replica; connection 1."""

    def __init__(self, size_bytes: int = SIZE) -> None:
        self.store = MemoryStore(SIZE)
        self.actions: list[Action] = []
        record = Record(BALLOT, Membership(BALLOT, 1, ("a",), ("a",)), "boot")
        self.keeper = RecordKeeper(record, self.actions)
        self.answers: list[Frame] = []
        self.bytes = ReplicaBytes(self.store, size_bytes, self.keeper, self.actions, self._answer)

    def _answer(self, connection: int, frame: bytes) -> None:
        assert connection == 1
        self.answers += frames_of(frame)

    def ask(self, kind: Kind, sequence: int, *extents: tuple[int, int]) -> None:
        self.bytes.ask(1, frames_of(encode_extents(kind, sequence, BALLOT, extents))[0])

    def flush(self, sequence: int) -> None:
        self.bytes.ask(1, frames_of(encode(Kind.FLUSH, sequence, BALLOT))[0])

    def write(self, offset: int = 0, data: bytes = b"a" * 512) -> list[tuple[int, Code]]:
        table = ENTRY.pack(Op.WRITE, len(data), offset, crc32c(data))
        front = encode(Kind.BATCH, 1, BALLOT, table=table, count=1, payload_bytes=len(data))
        return self.bytes.apply(frames_of(front + data)[0])

    def take(self) -> list[Action]:
        actions = self.actions.copy()
        self.actions.clear()
        return actions

    def told(self) -> list[tuple[Kind, int, list[Code]]]:
        """Return what was answered since: kind, sequence, failures."""
        answers, self.answers = self.answers, []
        return [
            (
                frame.kind,
                frame.sequence,
                [code for _, code in decode_failures(frame)] if frame.kind is Kind.ACK else [],
            )
            for frame in answers
        ]

    def reports(self) -> list[str]:
        return [action.code for action in self.take() if isinstance(action, Report)]


@pytest.fixture
def ladder() -> Ladder:
    return Ladder()


# -- flushes ---------------------------------------------------------------------------------------


def test_a_flush_is_answered_after_a_sync_that_began_after_it_arrived(ladder: Ladder) -> None:
    ladder.flush(1)
    assert ladder.take() == [Sync()]
    ladder.flush(2)
    ladder.flush(3)
    assert ladder.take() == [], "one sync at a time"
    ladder.bytes.synced(None)
    assert ladder.told() == [(Kind.ACK, 1, [])]
    assert ladder.take() == [Sync()], "the others came while it was under way"
    ladder.bytes.synced(None)
    assert ladder.told() == [(Kind.ACK, 2, []), (Kind.ACK, 3, [])]
    assert ladder.take() == []


def test_a_failed_sync_is_told_only_when_it_is_on_record(ladder: Ladder) -> None:
    ladder.flush(1)
    ladder.take()
    ladder.bytes.synced(EIO)
    assert ladder.keeper.record.suspect
    (report, save) = ladder.take()
    assert isinstance(report, Report)
    assert report.code == "jiva.replica.flush-failed"
    assert isinstance(save, Save)
    assert save.record.suspect
    assert ladder.told() == []
    ladder.keeper.saved()
    assert ladder.told() == [(Kind.ACK, 1, [Code.WRITE_ERROR])]


def test_a_full_disk_is_told_as_such_by_a_flush_too(ladder: Ladder) -> None:
    ladder.flush(1)
    ladder.bytes.synced(ENOSPC)
    ladder.keeper.saved()
    assert ladder.told() == [(Kind.ACK, 1, [Code.NO_SPACE])]


def test_after_a_failed_sync_every_flush_fails_until_the_bytes_are_opened_anew(
    ladder: Ladder,
) -> None:
    ladder.flush(1)
    ladder.bytes.synced(EIO)
    ladder.keeper.saved()
    ladder.take()
    ladder.told()
    ladder.flush(2)
    assert ladder.told() == [(Kind.ACK, 2, [Code.WRITE_ERROR])]
    assert ladder.take() == []
    ladder.bytes.is_reopened = True
    ladder.flush(3)
    assert ladder.take() == [Sync()]
    ladder.bytes.synced(EIO)
    assert not ladder.bytes.is_reopened


def test_what_was_asked_during_a_sync_that_fails_has_a_sync_of_its_own(ladder: Ladder) -> None:
    ladder.flush(1)
    ladder.flush(2)
    ladder.take()
    ladder.bytes.synced(EIO)
    assert Sync() in ladder.take()
    ladder.keeper.saved()
    ladder.bytes.synced(EIO)
    ladder.keeper.saved()
    assert ladder.told() == [(Kind.ACK, number, [Code.WRITE_ERROR]) for number in (1, 2)]


# -- reads -----------------------------------------------------------------------------------------


def test_what_is_cached_is_answered_at_once(ladder: Ladder) -> None:
    ladder.write(512, b"b" * 512)
    ladder.ask(Kind.READ, 5, (512, 512), (0, 512))
    (frame,) = ladder.answers
    assert bytes(frame.payload) == b"b" * 512 + bytes(512)
    assert ladder.take() == []


def test_what_is_not_cached_is_fetched_with_all_that_was_asked_beside_it(ladder: Ladder) -> None:
    ladder.store.is_cold = True
    ladder.ask(Kind.READ, 5, (512, 512), (0, 1024))
    (fetch,) = ladder.take()
    assert isinstance(fetch, Fetch)
    assert fetch.extents == ((512, 512), (0, 1024))
    assert ladder.told() == []
    fetch.buffer[:] = b"c" * 1536
    ladder.bytes.fetched(fetch, None)
    assert bytes(ladder.answers[0].payload) == b"c" * 1536


def test_more_than_a_frame_holds_is_not_read(ladder: Ladder) -> None:
    with pytest.raises(ProtocolError, match=f"more than {BATCH_BYTES_MAX} bytes"):
        ladder.ask(Kind.READ, 5, (0, BATCH_BYTES_MAX), (0, 512))
    ladder.ask(Kind.READ, 6, (0, BATCH_BYTES_MAX))
    assert ladder.told() == [(Kind.DATA, 6, [])]


def test_digests_are_asked_of_a_worker(ladder: Ladder) -> None:
    ladder.ask(Kind.DIGEST, 7, (0, 1 << 20), (1 << 20, 1 << 20))
    (wanted,) = ladder.take()
    assert wanted == DigestExtents(1, 7, ((0, 1 << 20), (1 << 20, 1 << 20)))
    assert isinstance(wanted, DigestExtents)
    ladder.bytes.digested(wanted, [b"a" * 16, b"b" * 16], None)
    (frame,) = ladder.answers
    assert (frame.kind, frame.count, bytes(frame.table)) == (
        Kind.DIGESTS,
        2,
        b"a" * 16 + b"b" * 16,
    )


def test_holes_are_asked_of_a_worker(ladder: Ladder) -> None:
    ladder.ask(Kind.STATUS, 7, (4096, 1 << 20))
    (wanted,) = ladder.take()
    assert wanted == FindExtents(1, 7, 4096, 1 << 20)
    assert isinstance(wanted, FindExtents)
    found = [Extent(4096, 4096, is_hole=True), Extent(8192, 4096, is_hole=False)]
    ladder.bytes.found(wanted, found, None)
    (frame,) = ladder.answers
    assert frame.sequence == 7
    assert list(check_found(frame, 4096, 1 << 20)) == found


@pytest.mark.parametrize("extents", [[], [(0, 512), (512, 512)], [(0, STATUS_BYTES_MAX + 512)]])
def test_a_question_about_holes_is_about_one_extent_of_bounded_length(
    extents: list[tuple[int, int]],
) -> None:
    ladder = Ladder(2 * STATUS_BYTES_MAX)
    with pytest.raises(ProtocolError, match="one of at most that is allowed"):
        ladder.ask(Kind.STATUS, 7, *extents)
    assert ladder.take() == []
    ladder.ask(Kind.STATUS, 7, (0, STATUS_BYTES_MAX))
    assert ladder.take() == [FindExtents(1, 7, 0, STATUS_BYTES_MAX)]


@pytest.mark.parametrize("how", ["cached", "cold", "digest", "status"])
def test_a_read_that_fails_is_an_error_and_told_once(ladder: Ladder, how: str) -> None:
    ladder.store.fail_read = EIO
    ladder.store.is_cold = how == "cold"
    reports = []
    for _ in range(3):
        if how == "digest":
            ladder.ask(Kind.DIGEST, 5, (0, 512))
            (wanted,) = ladder.take()
            assert isinstance(wanted, DigestExtents)
            ladder.bytes.digested(wanted, [], EIO)
        elif how == "status":
            ladder.ask(Kind.STATUS, 5, (0, 512))
            (wanted,) = ladder.take()
            assert isinstance(wanted, FindExtents)
            ladder.bytes.found(wanted, [], EIO)
        else:
            ladder.ask(Kind.READ, 5, (0, 512))
            fetches = [action for action in ladder.actions if isinstance(action, Fetch)]
            for fetch in fetches:
                ladder.bytes.fetched(fetch, EIO)
        reports += ladder.reports()
    assert ladder.told() == [(Kind.ACK, 5, [Code.READ_ERROR])] * 3
    assert reports == ["jiva.replica.read-failed"]


@pytest.mark.parametrize("how", ["cached", "cold", "digest"])
def test_what_a_store_names_as_unreadable_is_answered_and_told_by_name_once(
    ladder: Ladder, how: str
) -> None:
    error = UnreadableError([(512, 1024), (8192, 512)], "rotten")
    ladder.store.fail_read = error
    ladder.store.is_cold = how == "cold"
    kind = Kind.DIGEST if how == "digest" else Kind.READ
    told = []
    for extents in ([(0, 1024)], [(0, 1024)], [(1024, 512), (8192, 1024)]):
        ladder.ask(kind, 5, *extents)
        for action in list(ladder.actions):
            if isinstance(action, Fetch):
                ladder.bytes.fetched(action, error)
            elif isinstance(action, DigestExtents):
                ladder.bytes.digested(action, [], error)
        told += [action.message for action in ladder.actions if isinstance(action, Report)]
        (frame,) = ladder.answers
        assert decode_failures(frame) == [(0, Code.READ_ERROR)]
        parts = check_unread(frame, extents)
        assert parts == ([(512, 512)] if extents[0] == (0, 1024) else [(1024, 512), (8192, 512)])
        ladder.actions.clear()
        ladder.answers.clear()
    assert told == [
        "can't read 512+512: its disk failed",
        "can't read 1024+512, 8192+512: its disk failed",
    ]


@pytest.mark.parametrize("kind", [Kind.READ, Kind.DIGEST, Kind.STATUS])
def test_what_is_read_while_a_failed_sync_is_untold_is_answered_behind_it(
    ladder: Ladder, kind: Kind
) -> None:
    ladder.flush(1)
    ladder.bytes.synced(EIO)
    ladder.take()
    ladder.ask(kind, 2, (0, 512))
    for action in ladder.take():
        if isinstance(action, FindExtents):
            ladder.bytes.found(action, [Extent(0, 512, is_hole=True)], None)
        else:
            assert isinstance(action, DigestExtents)
            ladder.bytes.digested(action, [b"a" * 16], None)
    assert ladder.told() == []
    ladder.keeper.saved()
    assert [sequence for _, sequence, _ in ladder.told()] == [1]
    ladder.keeper.saved()
    assert [sequence for _, sequence, _ in ladder.told()] == [2]
    ladder.ask(Kind.READ, 3, (0, 512))
    assert [sequence for _, sequence, _ in ladder.told()] == [3], "and then at once again"


def test_a_replica_is_asked_nothing_else(ladder: Ladder) -> None:
    with pytest.raises(ProtocolError, match="is not asked ACK"):
        ladder.ask(Kind.ACK, 1)


# -- failures --------------------------------------------------------------------------------------


def test_a_write_that_fails_is_told_once_until_it_succeeds(ladder: Ladder) -> None:
    told = []
    for error in (ENOSPC, ENOSPC, EIO, None, EIO):
        ladder.store.fail_write = error
        ladder.write()
        told.append(ladder.reports())
    failed = ["jiva.replica.write-failed"]
    assert told == [failed, [], failed, [], failed]


def test_a_flush_that_fails_is_told_once_until_one_succeeds(ladder: Ladder) -> None:
    told = []
    for error in (EIO, EIO, None, EIO):
        ladder.bytes.is_reopened = True
        ladder.flush(1)
        ladder.bytes.synced(error)
        if ladder.keeper.is_saving:
            ladder.keeper.saved()
        told.append(ladder.reports())
    assert told == [["jiva.replica.flush-failed"], [], [], ["jiva.replica.flush-failed"]]


def test_what_a_report_says_is_what_an_operator_can_act_on(ladder: Ladder) -> None:
    ladder.store.fail_write = ENOSPC
    ladder.write()
    (report,) = ladder.take()
    assert report == Report("jiva.replica.write-failed", "can't write: its disk is full", "error")


@pytest.mark.parametrize("how", ["write", "read", "asked"])
def test_a_file_that_was_cut_ends_the_replica_before_a_write_hides_it(
    ladder: Ladder, how: str
) -> None:
    ladder.store.is_cut = True
    if how == "write":
        assert ladder.write() == [(0, Code.WRITE_ERROR)]
        assert not any(ladder.store.cached)
    elif how == "read":
        ladder.store.fail_read = EIO
        ladder.ask(Kind.READ, 1, (0, 512))
    else:
        assert ladder.bytes.is_cut()
    (stop,) = ladder.take()
    assert isinstance(stop, Stop)
    assert "cut short" in stop.reason
