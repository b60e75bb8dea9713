"""Who has made a slow I/O slow is named by the I/O's own record, of real processes."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.volumes import jiva, volume
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


def told(server: Server, code: str) -> list[dict[str, Any]]:
    """The events of a code, as the server's log has them."""
    lines = (server.data / "logs" / "serve.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [event for event in events if event["code"] == code]


def test_a_write_that_waits_for_a_majority_is_told_with_the_replicas_and_told_when_it_is_over(
    server: Server,
) -> None:
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    session = server.session("demo")
    statuses: list[int] = []
    with server.stopped(["member.demo.replica-2", "member.demo.replica-3"]):
        session.write(4096, bytes(4096), statuses.append)
        session.serve(0)
        wait_until(lambda: told(server, "volume.io-stuck"), "the write is told")
    session.complete()
    wait_until(lambda: told(server, "volume.io-moves"), "its end is told")
    (stuck,) = told(server, "volume.io-stuck")
    assert stuck["subject"] == "volume/demo"
    assert stuck["fields"]["waits_for"] == ["replica-2", "replica-3"]
    where = {"stage": "device", "operation": "write", "offset": 4096, "length": 4096}
    assert where.items() <= stuck["fields"].items()
    (moves,) = told(server, "volume.io-moves")
    assert moves["fields"]["age_s"] >= stuck["fields"]["age_s"] >= 10
    assert moves["fields"]["how"] == ("good" if statuses == [0] else "not ready")
    assert told(server, "volume.plugin-failed") == []
    session.close()
    server.stop()


def test_a_filter_that_forgets_what_it_is_given_is_told_by_name(server: Server) -> None:
    server.lay_out("hangs")
    filters = {"filters": [{"name": "hangs"}]}
    server.configure(
        volume("demo", "memory", "16 MiB") | filters,
        plugins={"enable": ["engines", "iscsi", "hangs"]},
    )
    server.run("demo")
    session = server.session("demo")
    session.read(0, 512, lambda *_answer: None)
    session.serve(0)
    wait_until(lambda: told(server, "volume.io-stuck"), "the read is told")
    (stuck,) = told(server, "volume.io-stuck")
    assert stuck["fields"]["stage"] == "filter.hangs"
    assert "filter hangs (plugin 'hangs' (package tierce-hangs))" in stuck["message"]


def test_what_is_pending_is_named_with_the_replicas_that_it_waits_for(server: Server) -> None:
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    session = server.session("demo")
    session.write_now(0, bytes(4096))

    def journal() -> dict[str, Any]:
        asked = server.command("volume", "journal", "demo", "--output", "json")
        assert asked.returncode == 0, asked.stderr
        return dict(json.loads(asked.stdout))

    assert journal()["pending"] == []
    statuses: list[int] = []
    with server.stopped(["member.demo.replica-1", "member.demo.replica-2"]):
        session.write(8192, bytes(4096), statuses.append)
        session.serve(0)

        def is_told() -> bool:
            found = journal()["pending"]
            return bool(found) and found[0]["waits_for"] == ["replica-1", "replica-2"]

        wait_until(is_told, "who is waited for is told")
        (one,) = journal()["pending"]
        assert (one["operation"], one["offset"], one["length"]) == ("write", 8192, 4096)
        assert one["stage"] == "device"
        stuck = json.loads(
            server.command("volume", "why", "demo", "--for", "0.5s", "--output", "json").stdout
        )
        assert stuck["verdict"] == "stuck"
    session.complete()
    assert statuses == [0]
    assert journal()["recent"][-1]["is_slow"]
    session.close()
    server.stop()
