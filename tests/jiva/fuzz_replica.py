"""Feeds a replica frames that are random, mutated, and cut anywhere.

    python tests/jiva/fuzz_replica.py [--seconds 3600] [--seed N]

Prints the seed of what fails: any exception but ProtocolError from the reader, an action that
names no connection that is open, a write outside the volume, a promise taken back. An hour of it
is the long form; the tests run a second.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crc32c import crc32c

from jiva.cluster import UUID
from jiva.ladder import extended_by
from jiva.nodes import MemoryStore
from jiva.shells import ReplicaShell
from tierce import BatchEntry, Extent, Op, ProtocolError
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership, Record
from tierce_jiva.frame_head import Asking, Durations, Extension, Stages, extended
from tierce_jiva.replica import Replica
from tierce_jiva.replica_actions import Action, Hangup, Log, Pause, Report, Resume, Save, Send, Stop
from tierce_jiva.wire import ENTRY, FrameReader, Kind, encode, encode_control

SIZE = 1 << 20
NAMES = ("replica-1", "replica-2", "replica-3")


class CheckedStore(MemoryStore):
    """Refuses what a real file would grow by, and what is not there."""

    def write(self, offset: int, data: memoryview) -> None:
        assert 0 <= offset <= offset + len(data) <= SIZE, "a write outside the volume"
        super().write(offset, data)

    def read(self, offset: int, buffer: memoryview) -> None:
        assert 0 <= offset <= offset + len(buffer) <= SIZE, "a read outside the volume"
        super().read(offset, buffer)

    def digest(self, offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= SIZE, "a digest outside the volume"
        return super().digest(offset, length)

    def find_extents(self, offset: int, length: int) -> list[Extent]:
        assert 0 < length <= SIZE - offset, "a question beyond the volume"
        return super().find_extents(offset, length)


class Session(ReplicaShell):
    """One replica, and a peer that says anything.

    Args:
        dice: Everything random.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        membership = Membership(NO_BALLOT, 0, NAMES, NAMES)
        self.store = CheckedStore(SIZE)
        self.replica = Replica(
            name=NAMES[0],
            uuid=UUID,
            size_bytes=SIZE,
            record=Record(NO_BALLOT, membership, "boot"),
            store=self.store,
            boot_id="boot",
            head="",
            facts={"head": "/head"},
            admit=self.admit,
            clock=lambda: dice.randrange(1 << 40),
        )
        self.readers: dict[int, FrameReader] = {}
        #: Questions to the store that it has not answered, and connections that wait for that.
        self.asked: list[int] = []
        self.paused: set[int] = set()
        self.number = 0
        self.ballot = Ballot(1, 7)
        self.promised = self.replica.record.promised

    def run(self, steps: int) -> None:
        """Take so many steps."""
        for _ in range(steps):
            if not self.readers or self.dice.random() < 0.05:
                self._connect()
            self._say(self.dice.choice(list(self.readers)), self._stream())
            assert self.replica.record.promised >= self.promised, "a promise was taken back"
            self.promised = self.replica.record.promised

    def _connect(self) -> None:
        self.number += 1
        self.readers[self.number] = FrameReader()
        self.replica.connected(self.number)
        if self.dice.random() < 0.8:
            hello = {"kind": "hello", "uuid": UUID, "replica": NAMES[0]}
            self._say(self.number, encode_control(1, self.ballot, hello))
            self.ballot = Ballot(self.ballot.number + 1, 7)
            self._say(self.number, encode_control(2, self.ballot, {"kind": "prepare"}))

    def _stream(self) -> bytes:
        frames = b"".join(self._frame() for _ in range(self.dice.randrange(1, 4)))
        if self.dice.random() < 0.3:
            spoiled = bytearray(frames)
            for _ in range(self.dice.randrange(1, 5)):
                spoiled[self.dice.randrange(len(spoiled))] = self.dice.randrange(256)
            frames = bytes(spoiled)
        return frames

    def _frame(self) -> bytes:
        """A frame, perhaps with an extension: one of ours, or any bytes."""
        front, payload = self._bare()
        if self.dice.random() < 0.3:
            front = self._extended(front)
        return front + payload

    def _extended(self, front: bytes) -> bytes:
        dice = self.dice
        asking = Asking(dice.randbytes(16), dice.randbytes(8)) if dice.random() < 0.5 else None
        stages = dice.choice(list(Stages))
        durations = Durations(stages, dice.randrange(1 << 63), dice.randrange(1 << 63))
        extension = Extension(
            is_timed=dice.random() < 0.8,
            asking=asking,
            durations=durations if dice.random() < 0.3 else None,
        )
        if dice.random() < 0.6:
            return extended(front, extension)
        return extended_by(front, dice.randbytes(dice.randrange(40)), dice.randrange(1 << 16))

    def _bare(self) -> tuple[bytes, bytes]:
        dice = self.dice
        kind = dice.choice(list(Kind))
        ballot = self.ballot if dice.random() < 0.8 else Ballot(dice.randrange(1 << 64), 7)
        sequence = dice.randrange(1 << 64)
        if kind is Kind.CONTROL:
            return encode_control(sequence, ballot, self._message()), b""
        if kind in {Kind.BATCH, Kind.READ, Kind.DIGEST, Kind.STATUS, Kind.EXTENTS}:
            return self._extents(kind, sequence, ballot)
        return encode(kind, sequence, ballot, payload=dice.randbytes(dice.randrange(64))), b""

    def _extents(self, kind: Kind, sequence: int, ballot: Ballot) -> tuple[bytes, bytes]:
        dice = self.dice
        table, payload, count = b"", b"", dice.randrange(5)
        for _ in range(count):
            op = dice.choice([Op.WRITE, Op.DISCARD, Op.READ, dice.randrange(256)])
            length = dice.choice([0, 512, 4096, dice.randrange(1 << 32)])
            offset = dice.choice([0, 4096, SIZE - 4096, SIZE, dice.randrange(1 << 64)])
            data = dice.randbytes(length) if kind is Kind.BATCH and length <= 4096 else b""
            table += ENTRY.pack(op, length, offset, crc32c(data))
            payload += data
        front = encode(kind, sequence, ballot, table=table, count=count, payload_bytes=len(payload))
        return front, payload

    def _message(self) -> dict[str, object]:
        dice = self.dice
        membership = Membership(
            self.ballot, dice.randrange(9), NAMES, NAMES[: dice.randrange(1, 4)]
        )
        value: dict[str, object] = dice.choice(
            [
                {"kind": "hello", "uuid": UUID, "replica": dice.choice(NAMES)},
                {"kind": "prepare"},
                {
                    "kind": "accept",
                    "membership": membership.to_json(),
                    "let_in": [NAMES[0]],
                    "suspect": False,
                },
                {"kind": "accept", "membership": dice.choice([None, 3, [], {}]), "let_in": {}},
                {"kind": "mark", "order": dice.randrange(99), "settled": 0, "marks": "01"},
                {
                    "kind": "mark",
                    "order": dice.choice([1, -1, "one", None]),
                    "settled": dice.choice([0, 5, -1, []]),
                    "marks": dice.choice(["", "00", "ff", "0101", "x", 7]),
                },
                {"kind": "renew"},
                {"kind": "redone"},
                {"kind": dice.choice([None, 4, "?", ["hello"]])},
                json.loads(dice.choice(["{}", '{"kind": {"a": [1]}}'])),
            ]
        )
        return value

    def _say(self, number: int, data: bytes) -> None:
        while data and number in self.readers:
            if number in self.paused:
                self._be_ready()
                continue
            cut = self.dice.randrange(1, len(data) + 1)
            part, data = data[:cut], data[cut:]
            reader = self.readers[number]
            reader.space()[: len(part)] = part
            try:
                frames = reader.received(len(part))
            except ProtocolError:
                self._close(number)
                return
            self.carry_out(self.replica.received(number, frames, self.dice.randrange(1 << 40)))

    def _close(self, number: int) -> None:
        self.readers.pop(number, None)
        self.paused.discard(number)
        self.replica.disconnected(number)

    def _be_ready(self) -> None:
        """The store admits what it was asked about, some of which nobody waits for any more."""
        number = self.asked.pop(self.dice.randrange(len(self.asked)))
        error = OSError(28, "full") if self.dice.random() < 0.3 else None
        self.carry_out(self.replica.admitted(number, error))

    # -- the process around the replica ------------------------------------------------------------

    @property
    def medium(self) -> CheckedStore:
        return self.store

    @property
    def is_running(self) -> bool:
        return True

    def send(self, action: Send) -> None:
        assert len(action.data) >= 44, "an answer is at least a header"

    def hang_up(self, action: Hangup) -> None:
        self.readers.pop(action.connection, None)
        self.paused.discard(action.connection)

    def hold(self, action: Pause | Resume) -> None:
        if action.connection in self.readers:
            (self.paused.add if isinstance(action, Pause) else self.paused.discard)(
                action.connection
            )

    def admit(self, number: int, entries: list[BatchEntry]) -> bool:
        for entry in entries:
            assert 0 <= entry.offset <= entry.offset + entry.length <= SIZE, "outside the volume"
        must_wait = self.dice.random() < 0.3
        if must_wait:
            self.asked.append(number)
        return not must_wait

    def report(self, action: Report) -> None:
        """Nobody reads it."""

    def log(self, action: Log) -> None:
        """Nobody reads it."""

    def stop(self, action: Stop) -> None:
        """It goes on: what a process that ends has said is said all the same."""

    def at_work(self, _action: Action, work: Callable[[], None]) -> None:
        work()

    def when_told(self, _action: Action, tell: Callable[[], None]) -> None:
        tell()

    def save(self, _action: Save) -> str:
        return ""

    def begin_sync(self) -> Callable[[], OSError | None]:
        return lambda: OSError(5, "lost") if self.dice.random() < 0.1 else None


def run(seed: int, steps: int = 60) -> None:
    """One session from a seed."""
    Session(random.Random(seed)).run(steps)


def main() -> int:
    """Run sessions for as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, help="run this one and stop")
    options = parser.parse_args()
    if options.seed is not None:
        run(options.seed)
        return 0
    until, seed = time.monotonic() + options.seconds, random.SystemRandom().randrange(1 << 32)
    count = 0
    while time.monotonic() < until:
        try:
            run(seed)
        except BaseException:
            print(f"failed with --seed {seed}", file=sys.stderr)
            raise
        seed, count = seed + 1, count + 1
    print(f"{count} sessions, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
