"""No hole is told where anything else can be read: against a model, whatever happens meanwhile."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from jiva.cluster import opened
from jiva.steps import holes
from tierce import GOOD, Code, Op, Request
from tierce_jiva.replica_actions import FindExtents

BLOCK = 4096


MIB = 1 << 20


A, B, C = ("replica-1", "replica-2", "replica-3")


FULL = OSError(errno.ENOSPC, "planned")


#: Both sides of the borders of granules and extents.
BLOCKS = (0, 1, 15, 16, 255, 256)


NAMES = (A, B, C)


blocks = st.sampled_from(range(len(BLOCKS)))


step = st.one_of(
    st.tuples(st.sampled_from(["write", "discard"]), blocks),
    st.tuples(st.just("status"), st.just(0)),
    st.tuples(st.sampled_from(["hang", "mute", "fill", "kill", "slow"]), st.integers(0, 2)),
    st.tuples(st.sampled_from(["hop", "hop", "run", "heal"]), st.just(0)),
)


@attrs.define(eq=False)
class PendingCall:
    """One BLOCK_STATUS.

    Attributes:
        request: It.
        number: That of the last change before it.
        may_hold: What each block may have held since it was asked.
    """

    request: Request
    number: int
    may_hold: dict[int, set[int]]


class Model:
    """A volume, and what each block may hold: what was acknowledged last, what was under way beside
    that, and what was sent since. Each change has a number.

    A block that was told as a hole, and that nothing was sent for since, reads as zeroes.
    """

    def __init__(self) -> None:
        self.cluster = opened(not_ready_after_s=1.0, alone_after_s=0.5)
        self.may_hold: dict[int, dict[int, int]] = {block: {0: 0} for block in BLOCKS}
        self.pending: dict[int, set[int]] = {block: set() for block in BLOCKS}
        self.calls: list[PendingCall] = []
        self.told_as_holes: set[int] = set()
        self.version = 0
        self.answered = 0

    def submit(self, request: Request, done: Callable[[Request], None]) -> None:
        target = self.cluster.target

        def settled(requests: list[Request]) -> None:
            for one in requests:
                done(one)

        target.submit(self.cluster.now, [request], settled)
        if request.status is not None:
            done(request)

    def change(self, op: str, block: int) -> None:
        self.version += 1
        held = self.version % 255 + 1 if op == "write" else 0
        number = self.version
        # What had ended when this one came; what was under way may come after it.
        overwritten = self.may_hold[block].keys() - self.pending[block]
        self.pending[block].add(number)
        self.told_as_holes.discard(block)
        self.may_hold[block][number] = held
        for question in self.calls:
            question.may_hold[block].add(held)

        def done(request: Request) -> None:
            self.pending[block].discard(number)
            if request.status is GOOD:
                for older in overwritten:
                    self.may_hold[block].pop(older, None)

        if op == "write":
            data = memoryview(bytes([held]) * BLOCK)
            self.submit(Request(Op.WRITE, block * BLOCK, BLOCK, data), done)
        else:
            self.submit(Request(Op.DISCARD, block * BLOCK, BLOCK), done)

    def ask(self) -> None:
        request = Request(Op.BLOCK_STATUS, 0, 2 * MIB)
        may_hold = {block: set(held.values()) for block, held in self.may_hold.items()}
        question = PendingCall(request, self.version, may_hold)
        self.calls.append(question)
        self.submit(request, lambda _request: self.judge(question))

    def judge(self, question: PendingCall) -> None:
        self.calls.remove(question)
        assert question.request.status is not None
        if not question.request.status.is_good:
            assert question.request.status.code is Code.NOT_READY
            return
        self.answered += 1
        for offset, length in holes(question.request):
            for block in BLOCKS:
                if offset < (block + 1) * BLOCK and block * BLOCK < offset + length:
                    assert 0 in question.may_hold[block], "a hole where data was acknowledged"
                    early = {number for number in self.pending[block] if number <= question.number}
                    assert not early, "a hole where something was asked for before"
                    assert not self.is_under_way(block), "a hole where something is under way"
                    if not self.pending[block]:
                        self.told_as_holes.add(block)

    def is_under_way(self, block: int) -> bool:
        return any(
            request.offset == block * BLOCK
            for link in self.cluster.target.links
            for batch in link.writes.values()
            for request in batch.requests
        )

    def read_all(self) -> None:
        self.heal()
        self.cluster.run(10)
        for block in BLOCKS:
            held = self.cluster.get(block * BLOCK, BLOCK)[0]
            assert held in self.may_hold[block].values()
            assert not held or block not in self.told_as_holes, "it was told as a hole"
            assert len(set(self.cluster.cached(block * BLOCK))) == 1

    def heal(self) -> None:
        for name, node in self.cluster.nodes.items():
            node.is_hung = node.is_mute = False
            node.store.fail_write = None
            self.cluster.release(name)
            if node.replica is None:
                self.cluster.start_replica(name)

    def take(self, what: str, which: int) -> None:
        cluster = self.cluster
        node = cluster.nodes[NAMES[which % 3]]
        if what in {"write", "discard"}:
            self.change(what, BLOCKS[which])
        elif what == "status":
            self.ask()
        elif what == "hang":
            node.is_hung = True
        elif what == "mute":
            node.is_mute = True
        elif what == "fill":
            node.store.fail_write, node.store.tears = FULL, True
        elif what == "slow":
            node.held = {FindExtents}
        elif what == "kill" and node.replica is not None:
            cluster.kill_replica(node.name)
        elif what == "hop":
            cluster.connect()
            cluster.step()
        elif what == "run":
            cluster.run(0.3)
        elif what == "heal":
            self.heal()


def play(steps: Iterable[tuple[str, int]]) -> Model:
    model = Model()
    for what, which in steps:
        model.take(what, which)
    model.read_all()
    assert not model.calls
    return model


@settings(max_examples=60, deadline=None)
@given(st.lists(step, max_size=30))
def test_no_hole_is_told_where_anything_else_can_be_read(steps: list[tuple[str, int]]) -> None:
    play(steps)


def test_the_model_is_not_played_in_vain() -> None:
    model = play([("write", 0), ("run", 0), ("discard", 0), ("run", 0), ("status", 0), ("run", 0)])
    assert model.answered == 1
    assert model.told_as_holes == set(BLOCKS)
