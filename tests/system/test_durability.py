"""Kill -9 at random moments; every acknowledged byte must be there afterwards.

The short form runs with `make test`; `make soak ROUNDS=300` is the long one. A failing seed is
repeated with TIERCE_SOAK_SEED=N (the choices repeat, the kernel's scheduling does not).
"""

from __future__ import annotations

import os
import random
import time

import attrs
import pytest

from system.initiator import GOOD, Session
from system.ledger import BLOCK, Ledger
from system.plan import chosen_seed
from system.serving import Server, jiva, wait_until

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

SIZE = 16 << 20
BLOCK_COUNT = SIZE // BLOCK
#: Most writes go here, so that blocks are written again while older writes are uncertain.
HOT_COUNT = 256
DEPTH = 16
BLOCKS_PER_WRITE_MAX = 16
READ_BLOCKS = 32
MEMBERS = tuple(f"member.demo.replica-{number}" for number in (1, 2, 3))
OTHERS = ("serve", "portal", "template", "target.demo")


@attrs.define
class Soak:
    """Rounds of load, kill, restart and comparison on one volume."""

    server: Server
    random: random.Random
    ledger: Ledger
    session: Session
    acknowledged: int = 0
    in_flight_at_kill: int = 0
    flushes: int = 0

    def submit(self) -> None:
        """Send one write, or now and then a flush."""
        if self.random.random() < 0.02:
            self.session.flush(self._flushed)
            return
        span = HOT_COUNT if self.random.random() < 0.8 else BLOCK_COUNT
        count = self.random.choice((1, 1, 1, 2, BLOCKS_PER_WRITE_MAX))
        first = self.random.randrange(span - count + 1)
        if not self.ledger.is_free(first, count):
            return
        data, generations = self.ledger.submit(first, count)

        def answered(status: int) -> None:
            self.ledger.answered(first, generations, is_good=status == GOOD)
            self.acknowledged += status == GOOD

        self.session.write(first * BLOCK, data, answered, fua=self.random.random() < 0.05)

    def _flushed(self, status: int) -> None:
        self.flushes += status == GOOD

    def load(self, more: int) -> None:
        """Write until so many more are acknowledged or the session breaks."""
        wanted = self.acknowledged + more
        deadline = time.monotonic() + 60
        while self.acknowledged < wanted and not self.session.is_broken:
            assert time.monotonic() < deadline, "writes are not answered"
            self.fill_up()
            self.session.serve(0.2)

    def fill_up(self) -> None:
        """Bring the session to its depth (or near it, as blocks in flight are not chosen)."""
        for _try in range(4 * DEPTH):
            if self.session.in_flight >= DEPTH or self.session.is_broken:
                return
            self.submit()

    def victims(self) -> list[str]:
        """Choose whom to kill: all, all replicas, the target and some, or anything."""
        kind = self.random.random()
        if kind < 0.25:
            return [*MEMBERS, *OTHERS]
        if kind < 0.4:
            return list(MEMBERS)
        if kind < 0.6:
            return ["target.demo", *self.random.sample(MEMBERS, self.random.randint(0, 2))]
        every = [*MEMBERS, *OTHERS]
        return self.random.sample(every, self.random.randint(1, len(every) - 1))

    def round(self) -> list[str]:
        """Load, kill, bring back, compare. Returns whom it killed; nobody, if it proves nothing."""
        self.load(self.random.randint(1, 400))
        victims = self.victims()
        self.fill_up()
        self.session.serve(0)
        # Somewhere between a batch's arrival and its last acknowledgement.
        time.sleep(self.random.random() * 0.002)
        before = self.session.in_flight
        self.server.kill(victims)
        if not self.server.is_serving:
            self.server.start()
        if "target.demo" not in victims:
            self.load(50)
        self.session.settle()
        # All may have been answered before the target died: then nothing has noticed it yet.
        self.reconnect(is_new="target.demo" in victims)
        self.compare()
        self.in_flight_at_kill += before
        return victims if before else []

    def reconnect(self, *, is_new: bool) -> None:
        """Log in again if the session broke; what it had in flight stays uncertain."""
        if is_new or self.session.is_broken:
            self.session.close()
            for block in self.ledger.blocks:
                block.is_in_flight = False
            self.session = self.server.session()

    def compare(self) -> None:
        """Read the whole volume and hold it against the ledger."""
        wrong: list[str] = []
        for first in range(0, BLOCK_COUNT, READ_BLOCKS):
            data = self.session.read_now(first * BLOCK, READ_BLOCKS * BLOCK)
            wrong += self.ledger.check(first, data)
        assert not wrong, "\n".join(wrong[:20])


def soak(server: Server, rounds: int, seed: int) -> None:
    print(f"seed {seed} (TIERCE_SOAK_SEED={seed} repeats its choices)")
    server.configure(jiva("demo", str(SIZE)))
    server.run("demo")
    session = server.session()
    run = Soak(server, random.Random(seed), Ledger.of(seed, BLOCK_COUNT), session)
    counted = number = 0
    while counted < rounds:
        number += 1
        assert number <= 2 * rounds + 5, "writes were hardly ever in flight"
        victims = run.round()
        counted += bool(victims)
        print(
            f"round {number}: {run.acknowledged} writes acknowledged; killed {victims}", flush=True
        )
    run.session.close()
    print(
        f"{counted} rounds, {run.acknowledged} acknowledged writes, {run.flushes} flushes, "
        f"{run.in_flight_at_kill} writes in flight when killed: nothing lost"
    )


def test_every_acknowledged_byte_survives_kill_9(server: Server) -> None:
    soak(server, 15, chosen_seed())


@pytest.mark.long
@pytest.mark.timeout(0)
def test_soak_every_acknowledged_byte_survives_hundreds_of_kills(server: Server) -> None:
    soak(server, int(os.environ.get("TIERCE_SOAK_ROUNDS", "300")), chosen_seed())


def heads(server: Server) -> list[bytes]:
    """Return the bytes of each replica's head."""
    return [path.read_bytes() for path in server.heads()]


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_two_sessions_at_the_same_blocks_leave_equal_replicas(
    server: Server, is_killed: bool
) -> None:
    """What two initiators write at once has no order, but every replica must have the same one."""
    server.configure(jiva("demo", str(SIZE)))
    server.run("demo")
    sessions = [server.session(initiator=name) for name in ("one", "two")]
    chooser = random.Random(3)
    statuses: list[int] = []
    for number in range(1500):
        first = chooser.randrange(64)
        for fill, session in enumerate(sessions):
            count = chooser.randint(1, 8)
            data = bytes([1 + (2 * number + fill) % 255]) * (count * BLOCK)
            session.write(first * BLOCK, data, statuses.append)
        while max(session.in_flight for session in sessions) >= DEPTH:
            for session in sessions:
                session.serve(0.001)
    if is_killed:
        server.kill_all()
        for session in sessions:
            session.close()
        server.run("demo")
        sessions = [server.session()]
        sessions[0].read_now(0, 64 * BLOCK)
        wait_until(lambda: len(set(heads(server))) == 1, "the replicas are equal again")
    for session in sessions:
        session.settle()
        session.close()
    server.stop()
    if not is_killed:
        assert statuses.count(GOOD) == 3000
    first_head, *other_heads = heads(server)
    assert len(other_heads) == 2
    assert any(first_head)
    assert all(other == first_head for other in other_heads)
