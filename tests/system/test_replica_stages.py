"""What each replica did with a frame stands in the I/O's record, of real processes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.volumes import jiva
from system.shim import Operation, Rule, Shim, late
from tierce.process.paths import Paths
from tierce.volume.trace_ring import TraceRing

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

#: Twice what a record takes that is called slow.
LATE_NS = 100_000_000


def records(server: Server) -> list[dict[str, Any]]:
    """Return what the volume's target has written down."""
    with contextlib.closing(TraceRing.open(Paths(server.data).traces("demo"))) as ring:
        found = [ring.read(number) for number in range(ring.next_number)]
    return [record for record in found if record is not None]


def stages(record: dict[str, Any], member: str) -> dict[str, int]:
    """Return how long one replica's stages took, in ns."""
    return {one["stage"]: one["elapsed_ns"] for one in record["stages"] if one["member"] == member}


@pytest.mark.needs("gcc")
def test_a_slow_fdatasync_is_found_in_its_replicas_own_stage_with_sampling_off(
    tmp_path: Path,
) -> None:
    shim = Shim(tmp_path)
    with Server(tmp_path, shim.environment) as server:
        server.configure(jiva("demo", "16 MiB"))
        server.run("demo")
        wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
        session = server.session("demo")
        session.write_now(0, bytes(4096))
        # replica-2's folder.
        rule = Rule(Operation.SYNC, late(LATE_NS / 1e6), 100, str(server.heads()[1].parent))
        with shim.failing([rule]):
            session.flush_now()
        record = records(server)[-1]
        session.close()
        server.stop()
    assert (record["operation"], record["is_slow"]) == ("flush", True)
    found = stages(record, "replica-2")
    assert LATE_NS <= found["replica.sync"] <= found["jiva.replica"] <= record["elapsed_ns"]
    # All of it but some scheduling is the disk's.
    assert found["replica.sync"] > 0.8 * found["jiva.replica"]


def test_a_sampled_write_has_each_replicas_queue_and_apply(server: Server) -> None:
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    session = server.session("demo")
    session.write_now(0, bytes(4096))

    def sampled() -> list[dict[str, Any]]:
        return [one for one in records(server) if one["is_sampled"] and one["operation"] == "write"]

    def is_sampled() -> bool:
        for _ in range(100):
            session.write_now(0, bytes(4096))
        return bool(sampled())

    wait_until(is_sampled, "a write is sampled")
    record = sampled()[0]
    session.close()
    server.stop()
    for name in ("replica-1", "replica-2", "replica-3"):
        assert set(stages(record, name)) == {"jiva.replica", "replica.queue", "replica.apply"}
        numbers = {one["number"] for one in record["stages"] if one["member"] == name}
        assert len(numbers) == 1
    assert "jiva.replicate" in stages(record, "")
    spans = [one["span_id"] for one in record["stages"]]
    assert len(set(spans)) == len(spans)
