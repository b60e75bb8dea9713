"""Target and replica of different releases: what they said before frames had extensions is
recorded, and what they say now is held to the byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jiva.cluster import bytes_of
from jiva.ladder import BALLOT, frames_of, ready_links
from jiva.nodes import MemoryStore
from jiva.recorded_frames import ANSWERED, ASKED, SAID
from jiva.replica_ladder import Ladder
from jiva.shells import ReplicaShell
from tierce import GOOD, Op, Request, Tracer
from tierce_jiva.frame_head import Asking, Durations, Extension, Stages, extended
from tierce_jiva.in_flight import InFlight
from tierce_jiva.pending import Pending
from tierce_jiva.read_path import ReadPath
from tierce_jiva.regions import Extents
from tierce_jiva.replica_actions import Action, Send
from tierce_jiva.target_actions import Agenda
from tierce_jiva.timing import Timing
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import Frame, Kind, encode, encode_ack
from tierce_jiva.write_path import WritePath

DATA = b"tierce" * 85 + b"!!"


class Told(ReplicaShell):
    """The replica of `Ladder`, whose disk is quick, and the very bytes that it answers."""

    def __init__(self) -> None:
        ladder = Ladder()
        self.replica, self._store = ladder.replica, ladder.store
        self.told = b""
        self.replica.connected(1)

    def answer(self, asked: bytes) -> bytes:
        self.told = b""
        self.carry_out(self.replica.received(1, frames_of(asked)))
        return self.told

    def send(self, action: Send) -> None:
        self.told += action.data

    @property
    def medium(self) -> MemoryStore:
        return self._store

    @property
    def is_running(self) -> bool:
        return True

    def at_work(self, _action: Action, work: Callable[[], None]) -> None:
        work()

    def when_told(self, _action: Action, tell: Callable[[], None]) -> None:
        tell()

    def save(self, _action: Action) -> str:
        return ""

    def begin_sync(self) -> Callable[[], None]:
        return lambda: None

    def never(self, action: Action) -> None:
        raise AssertionError(action)

    hang_up = hold = report = log = stop = never


def test_a_target_of_an_older_release_is_answered_as_it_always_was_to_the_byte() -> None:
    replica = Told()
    for what, asked, told in SAID:
        assert replica.answer(asked) == told, what


def test_what_is_followed_is_answered_as_what_is_not_but_for_the_extension() -> None:
    replica = Told()
    followed = Extension(is_timed=True, asking=Asking(bytes(16), bytes(8)))
    for what, asked, told in SAID:
        # The bytes behind a BATCH are not its front's.
        front = len(asked) - len(DATA) if what == "batch" else len(asked)
        answer = replica.answer(extended(asked[:front], followed) + asked[front:])
        (now,), (before,) = frames_of(answer), frames_of(told)
        same = (now.kind, now.sequence, bytes(now.table), bytes(now.payload))
        assert same == (before.kind, before.sequence, bytes(before.table), bytes(before.payload))
        is_told = now.extension is not None and now.extension.durations is not None
        assert is_told is (what in {"batch", "flush", "read"}), what


class Older:
    """A target of this release that follows its I/Os, and one replica of an older one."""

    def __init__(self) -> None:
        self.links = ready_links(1)
        self.links.timing = Timing(Tracer(lambda _io: None))
        self.links.timing.until = 1.0
        (self.link,) = self.links
        self.agenda = Agenda()
        in_flight, regions = InFlight(), self.links.regions
        self.writes = WritePath(self.links, in_flight, Unflushed(regions), self.agenda)
        self.writes.use([self.link], self.link.bit)
        unequal = Extents(regions)
        self.reads = ReadPath(self.links, in_flight, unequal, Pending(), None, self.agenda)
        self.reads.use([self.link], [self.link], "boot")

    def asked(self) -> tuple[Frame, bytes]:
        """Return what the replica is asked, and as what one that knows no extension reads it."""
        data = b"".join(map(bytes, self.link.outgoing))
        self.link.outgoing.clear()
        (frame,) = frames_of(data)
        size = int.from_bytes(data[36:38], "little")
        return frame, data[44 + size :]

    def answer(self, told: bytes) -> None:
        (frame,) = frames_of(told)
        if not self.writes.acknowledged(self.link, frame):
            self.link.calls.pop(frame.sequence).answer(frame)


def test_a_replica_of_an_older_release_is_understood_and_finds_what_it_expects() -> None:
    target = Older()
    target.links.sequence = 4
    write = Request(Op.WRITE, 4096, 512, memoryview(DATA))
    discard = Request(Op.DISCARD, 8192, 4096)
    flush = Request(Op.FLUSH)
    reads = [
        Request(Op.READ, 4096, 512, memoryview(bytearray(512))),
        Request(Op.READ, 0, 16, memoryview(bytearray(16))),
    ]
    asks: dict[str, Callable[[], object]] = {
        "batch": lambda: target.writes.write([write, discard], print),
        "flush": lambda: target.writes.flush([flush], print),
        "read": lambda: target.reads.read(reads, print, 0.0),
    }
    for what, ask in asks.items():
        ask()
        frame, behind = target.asked()
        assert frame.extension == Extension(is_timed=True), what
        assert behind == ASKED[what][44:], what
        target.answer(ANSWERED[what])
    assert {request.status for request in (write, discard, flush, *reads)} == {GOOD}
    assert bytes_of(reads[0]) == DATA


NOW = [
    (
        encode(Kind.FLUSH, 6, BALLOT),
        Extension(is_timed=True),
        "544a4956010400000600000000000000010000000000000007000000000000000000000000000100baab4f70",
    ),
    (
        encode(Kind.FLUSH, 6, BALLOT),
        Extension(is_timed=True, asking=Asking(bytes(range(16)), bytes(range(16, 24)))),
        "544a4956010400000600000000000000010000000000000007000000000000001a0000001a0001001af9afcb"
        "011a000102030405060708090a0b0c0d0e0f1011121314151617",
    ),
    (
        encode_ack(6, BALLOT),
        Extension(durations=Durations(Stages.SYNC_WAIT_SYNC, 5_000_000, 7_000_000_000)),
        "544a495601030000060000000000000001000000000000000700000000000000180000001800000007586da8"
        "0218010000000000404b4c000000000000863ba101000000",
    ),
    (
        encode_ack(5, BALLOT),
        Extension(durations=Durations(Stages.QUEUE_APPLY, 1, 2)),
        "544a4956010300000500000000000000010000000000000007000000000000001800000018000000755c48d4"
        "021800000000000001000000000000000200000000000000",
    ),
    (
        encode(Kind.DATA, 7, BALLOT),
        Extension(durations=Durations(Stages.QUEUE_READ, 3, 4)),
        "544a495601060000070000000000000001000000000000000700000000000000180000001800000056e2cce2"
        "021802000000000003000000000000000400000000000000",
    ),
]


@pytest.mark.parametrize(("front", "extension", "expected"), NOW)
def test_what_this_release_says_stays_as_it_is(
    front: bytes, extension: Extension, expected: str
) -> None:
    """Later releases must read these very bytes."""
    data = bytes.fromhex(expected.replace(" ", ""))
    assert extended(front, extension) == data
    (frame,) = frames_of(data)
    assert frame.extension == extension
