"""Writes, reads, discards and flushes at depth, each answer held against the register."""

from __future__ import annotations

import random
import time
from functools import partial

import attrs

from serving.libiscsi import GOOD, Session
from serving.server import Server
from system.register import BLOCK, SECTOR, Register

#: Most writes go here, so that blocks are written again while older writes are uncertain.
HOT_COUNT = 256
DEPTH = 16
BLOCKS_PER_WRITE_MAX = 16
COMPARED_BYTES = 1 << 17
#: Longer than any damage here may hold writes up.
ANSWER_TIMEOUT_S = 150
DIFFERENCES_SHOWN = 20
_PER_BLOCK = BLOCK // SECTOR


@attrs.define
class Load:
    """The load on one volume, and what it may hold.

    Attributes:
        random: What chooses; each round has its own.
        acknowledged: Writes and discards that were answered GOOD.
        refused: Those that were answered otherwise, or whose session broke.
        flushes: Flushes that were answered GOOD.
        reads: Reads whose data were judged.
        wrong: What reads under load showed that they must not.
    """

    server: Server
    register: Register
    session: Session
    random: random.Random
    acknowledged: int = 0
    refused: int = 0
    flushes: int = 0
    reads: int = 0
    wrong: list[str] = attrs.field(factory=list)

    @classmethod
    def on(cls, server: Server, volume: int, size_bytes: int) -> Load:
        register = Register.of(volume, size_bytes)
        return cls(server, register, server.session(), random.Random(volume))

    @property
    def _block_count(self) -> int:
        return len(self.register.alive) // _PER_BLOCK

    def submit(self) -> None:
        """Send one request."""
        kind = self.random.random()
        if kind < 0.02:
            self.session.flush(self._flushed)
            return
        span = HOT_COUNT if self.random.random() < 0.8 else self._block_count
        count = self.random.choice((1, 1, 1, 2, BLOCKS_PER_WRITE_MAX))
        first = self.random.randrange(span - count + 1)
        if kind < 0.12:
            self._read(first, count)
        elif self.register.is_free(first * _PER_BLOCK, count * _PER_BLOCK):
            self._change(first, count, is_discard=kind < 0.16)

    def _read(self, first: int, count: int) -> None:
        reading = self.register.begin_read(first * _PER_BLOCK, count * _PER_BLOCK)

        def answered(status: int, data: bytes) -> None:
            if status == GOOD:
                self.reads += 1
                self.wrong += self.register.finish_read(reading, data)

        self.session.read(first * BLOCK, count * BLOCK, answered)

    def _change(self, first: int, count: int, *, is_discard: bool) -> None:
        sector, sectors = first * _PER_BLOCK, count * _PER_BLOCK
        session = self.session

        def answered(status: int) -> None:
            # Cancelled with its session: nobody knows, and until there is another it may be done.
            if not session.is_broken:
                self.register.answered(sector, sectors, is_good=status == GOOD)
            self.acknowledged += status == GOOD
            self.refused += status != GOOD

        if is_discard:
            self.register.submit_discard(sector, sectors)
            session.discard(first * BLOCK, count * BLOCK, answered)
        else:
            data = self.register.submit(sector, sectors)
            session.write(first * BLOCK, data, answered, fua=self.random.random() < 0.05)

    def _flushed(self, status: int) -> None:
        self.flushes += status == GOOD

    def fill_up(self) -> None:
        """Bring the session to its depth (or near it, as blocks in flight are not chosen)."""
        for _try in range(4 * DEPTH):
            if self.session.in_flight >= DEPTH or self.session.is_broken:
                return
            self.submit()

    def run(self, more: int) -> None:
        """Go on until so many more writes are acknowledged or the session breaks."""
        wanted = self.acknowledged + more
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while self.acknowledged < wanted and not self.session.is_broken:
            assert time.monotonic() < deadline, "writes are not acknowledged"
            self.fill_up()
            self.session.serve(0.2)

    def run_for(self, seconds: float) -> None:
        """Go on for so long, whatever is answered, or until the session breaks."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.session.is_broken:
            self.fill_up()
            self.session.serve(0.05)

    def complete(self) -> None:
        """Wait until nothing is in flight, or the session is broken."""
        self.session.complete(ANSWER_TIMEOUT_S)

    def flush(self) -> None:
        """Complete, and make what was acknowledged durable, if that is possible now."""
        self.complete()
        if not self.session.is_broken:
            self.session.flush(self._flushed)
            self.complete()

    def reconnect(self, *, is_new: bool) -> None:
        """Log in again if the session broke; what it had in flight stays uncertain.

        Args:
            is_new: It must have broken, even if nothing has noticed it yet.
        """
        if is_new or self.session.is_broken:
            self.session.close()
            self.session = self.server.session()
            self.register.forget_in_flight()

    def compare(self) -> None:
        """Read the whole volume and hold it against the register; every read must succeed."""
        assert self.look(), f"a read was refused: {self.session.error()}"

    def look(self) -> bool:
        """Read the whole volume and hold it against the register, as far as reads are answered;
        returns whether all were."""
        is_whole = True
        for offset in range(0, self._block_count * BLOCK, COMPARED_BYTES):
            answers: list[tuple[int, bytes]] = []
            if not self.session.is_broken:
                self.session.read(offset, COMPARED_BYTES, partial(_note, answers))
                self.complete()
            if not answers or answers[0][0] != GOOD:
                is_whole = False
                break
            self.wrong += self.register.check(offset, answers[0][1])
        wrong, self.wrong = self.wrong, []
        assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:DIFFERENCES_SHOWN])
        return is_whole


def _note(answers: list[tuple[int, bytes]], status: int, data: bytes) -> None:
    answers.append((status, data))
