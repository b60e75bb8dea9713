"""Who has made a slow I/O slow is named by the I/O's own record, of real processes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.volumes import jiva
from tierce.node.target import read_page
from tierce.process.paths import Paths

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

#: Twice what a record takes that is called slow.
LATE_NS = 100_000_000


def oldest_ns(server: Server, stage: str) -> int:
    """How long the oldest I/O has been pending in a stage."""
    page: dict[str, Any] = read_page(Paths(server.data).page("demo")) or {}
    _count, since_ns = page.get("parked", {}).get(stage, (0, 0))
    return time.monotonic_ns() - since_ns if since_ns else 0


def test_a_replica_that_stands_still_is_named_by_the_write_that_waited_for_it(
    server: Server,
) -> None:
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    session = server.session("demo")
    session.write_now(0, bytes(4096))
    statuses: list[int] = []
    with server.stopped(["member.demo.replica-2"]):
        session.write(0, bytes(4096), statuses.append)
        session.serve(0)
        wait_until(lambda: oldest_ns(server, "device") > LATE_NS, "the write is late")
    session.complete()
    assert statuses == [0]
    slow = server.shown()["slow"][-1]
    assert "WRITE of 4096 bytes at 0 took " in slow
    (who,) = [part for part in slow.split(", ") if "jiva.replica/" in part]
    assert "jiva.replica/replica-2 " in who
    session.close()
    server.stop()
