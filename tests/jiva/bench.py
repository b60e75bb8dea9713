"""What one operation costs in the state machines alone: a target and its replicas in one process,
their frames carried by hand, no socket and no disk.

    PYTHONPATH=tests python -m jiva.bench

Prints microseconds an operation, the best of several rounds: run it on two trees in turn.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from jiva.cluster import Cluster
from tierce import Op, Request
from tierce_jiva.replica_actions import Send

_ROUNDS = 15
_COUNT = 3000
_BLOCK = 4096


class Bench:
    """A volume that is open, with marks set.

    Args:
        count: How many replicas it has.
    """

    def __init__(self, count: int) -> None:
        self.cluster = Cluster(count)
        self.cluster.run(3)
        self.data = memoryview(bytes(_BLOCK))
        self.cluster.write(0, bytes(_BLOCK))
        self.cluster.run()
        nodes = self.cluster.nodes
        self.ends = [
            (link, self.cluster.pipes[link.name], nodes[link.name].replica)
            for link in self.cluster.target.links
        ]

    def carry(self) -> None:
        """Carry what was sent to every replica, and its answers back."""
        for link, pipe, replica in self.ends:
            data = b"".join(link.outgoing)
            link.outgoing.clear()
            pipe.at_replica.space()[: len(data)] = data
            assert replica is not None
            frames = pipe.at_replica.received(len(data))
            for action in replica.received(pipe.number, frames, int(self.cluster.now * 1e9)):
                assert isinstance(action, Send)
                pipe.at_target.space()[: len(action.data)] = action.data
                frames = pipe.at_target.received(len(action.data))
                self.cluster.target.received(self.cluster.now, link.name, frames)

    def write(self, batch: int) -> None:
        """Write `batch` blocks in one batch."""
        requests = [Request(Op.WRITE, i * _BLOCK, _BLOCK, self.data) for i in range(batch)]
        self.cluster.target.submit(self.cluster.now, requests, _ignore)
        self.carry()
        self.cluster.carry_out()
        assert requests[-1].status is not None

    def read(self, batch: int) -> None:
        """Read `batch` blocks in one batch, from one replica."""
        buffer = memoryview(bytearray(_BLOCK))
        requests = [Request(Op.READ, i * _BLOCK, _BLOCK, buffer) for i in range(batch)]
        self.cluster.target.submit(self.cluster.now, requests, _ignore)
        for link, pipe, replica in self.ends:
            if link.outgoing:
                self.ends, kept = [(link, pipe, replica)], self.ends
                self.carry()
                self.ends = kept
        self.cluster.carry_out()
        assert requests[-1].status is not None


def _ignore(_requests: list[Request]) -> None:
    """Nobody waits."""


def best_us(call: Callable[[int], None], batch: int) -> float:
    """Return the microseconds that an operation takes in the quickest round."""
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for _ in range(_COUNT // batch):
            call(batch)
        best = min(best, time.perf_counter() - began)
    return best / (_COUNT // batch * batch) * 1e6


def main() -> int:
    """Print every case."""
    for count in (1, 3):
        bench = Bench(count)
        for name, call in (("write", bench.write), ("read", bench.read)):
            for batch in (1, 8):
                us = best_us(call, batch)
                sys.stdout.write(f"{name} x{count}, batches of {batch}: {us:6.2f} us\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
