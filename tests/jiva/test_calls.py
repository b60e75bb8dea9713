"""What an operation costs in Python calls, and how deep they go: bounds that a change must not pass
unseen. Counted is what the state machines do in one process, a target and three replicas."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType

import attrs
import pytest

from jiva.bench import Bench
from jiva.cluster import Cluster
from tierce import GOOD, Op, Request
from tierce_jiva.links import Head


@attrs.define
class Count:
    """Calls of Python functions, and the most that were under way at once."""

    calls: int = 0
    depth: int = 0
    deepest: int = 0

    def note(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            self.calls += 1
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
        elif event == "return":
            self.depth -= 1


def counted(call: Callable[[], None]) -> Count:
    """Return what it costs when it is done for the third time."""
    call()
    call()
    count = Count()
    # A collection within would count what others have asked to be called at one.
    gc.disable()
    sys.setprofile(count.note)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(3)


def test_a_write_to_three_replicas_costs_no_more_calls_than_it_did(bench: Bench) -> None:
    """All of it: the target, its three replicas, and the frames between them."""
    count = counted(lambda: bench.write(1))
    assert count.calls <= 81 + 4, "three answers are counted, and the last"
    assert count.deepest <= 8


def test_a_batch_of_writes_costs_a_few_calls_for_each(bench: Bench) -> None:
    one, eight = counted(lambda: bench.write(1)), counted(lambda: bench.write(8))
    # One of them makes the request, and four for each replica store its bytes in this test.
    assert eight.calls - one.calls <= 7 * 16


def test_a_read_from_a_replica_costs_no_more_calls_than_it_did(bench: Bench) -> None:
    count = counted(lambda: bench.read(1))
    assert count.calls <= 60 + 1, "the answer is counted"
    assert count.deepest <= 10


class CachedFile:
    """A file of this machine that is in the page cache."""

    def read_cached(self, _head: Head, _requests: list[Request]) -> list[Request]:
        return []


def test_a_read_of_a_file_of_this_machine_costs_no_more_calls_than_it_did() -> None:
    cluster = Cluster(3)
    cluster.local = CachedFile()
    cluster.boot_id = cluster.nodes["replica-1"].boot_id
    target = cluster.start_target()
    cluster.run(3)
    requests = [Request(Op.READ, 0, 4096, memoryview(bytearray(4096)))]
    count = counted(lambda: target.submit(cluster.now, requests, cluster.settled.extend))
    assert requests[0].status is GOOD
    # One here, and one is the file's.
    assert count.calls <= 2 + 4
    assert count.deepest <= 6
