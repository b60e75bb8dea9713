"""What makes a volume slow is named by `tierce volume why`, whatever it is, in a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from serving.libiscsi import Session
from serving.processes import wait_until
from serving.server import COMMAND, Server
from serving.strangers import STRANGERS
from serving.volumes import jiva, volume
from system.relay import Relay
from system.shim import Operation, Rule, Shim, late
from tierce.cli.looking import Look, Looker
from tierce.codec import from_json
from tierce.process.paths import Paths
from tierce.seeing.causes import Cause, Kind
from tierce.seeing.interval import NOTHING, VolumeInterval, between
from tierce.seeing.record_times import record_times
from tierce.services import TraceRecord

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi", "gcc", "/dev/shm")]

MEMORY = "/dev/shm"

DELAYS_MS = (5, 20, 100)
MS = 1_000_000
#: What is told may differ by so much from what was injected, and by so many ms: a busy machine.
ACCURACY, NOISE_MS = 0.1, 3.0
OTHERS = ("replica-1", "replica-3")


class Watched:
    """A server, and what `why` says of one of its volumes while that is used."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._sessions: dict[str, Session] = {}
        #: What the replicas that nothing was done to took for a sync, or a write, in ms; and the
        #: way to replica-2 and back.
        self.usual_ms: dict[str, float] = {}
        self.interval: VolumeInterval

    def why(
        self, name: str, seconds: float = 2.0, use: Callable[[Session], None] | None = None
    ) -> dict[str, Any]:
        """Use a volume while `why` watches, by a write and a flush after the other if nothing else
        is said; return what it says."""
        session = self._session(name)
        looker = Looker(self.server.data, name)
        before = looker.look()
        words = ["--for", f"{seconds}s", "--output", "json"]
        # Into a file: what it says of slow I/Os is more than a pipe takes unread.
        answer = self.server.folder / "why.json"
        with answer.open("wb") as out:
            asked = self._start(out, "volume", "why", name, *words)
        count = 0
        while asked.poll() is None:
            count += 1
            if use is not None:
                use(session)
                continue
            session.write_now(4096 * (count % 64), bytes([count % 256]) * 4096)
            session.flush_now()
        self._note_usual(before, looker.look(), name)
        assert asked.returncode == 0
        return dict(json.loads(answer.read_bytes()))

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _start(self, out: IO[bytes], *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, *words],
            stdout=out,
            env={**self.server.env, "TIERCE_DATA_DIR": str(self.server.data)},
        )

    def _session(self, name: str) -> Session:
        if name not in self._sessions:
            self._sessions[name] = self.server.session(name)
        return self._sessions[name]

    def _note_usual(self, before: Look, after: Look, name: str) -> None:
        interval = between(before.volumes[name], after.volumes[name], after.at - before.at)
        self.interval = interval
        for stage, operation in (("sync", "flush"), ("apply", "write")):
            others = NOTHING
            for member in OTHERS:
                stages = interval.of_member(member, operation)
                others = others.plus(stages.get(f"replica.{stage}", NOTHING))
            self.usual_ms[stage] = others.mean_ns / MS
        if trip := interval.trips.get("replica-2"):
            store = interval.of_member("replica-2", "write").get("replica.apply", NOTHING)
            self.usual_ms["link"] = (interval.of(trip, "write").mean_ns - store.mean_ns) / MS


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A server in memory: what others do to a disk meanwhile would be told as well."""
    with (
        tempfile.TemporaryDirectory(dir=MEMORY, prefix="tierce-") as folder,
        Server(Path(folder)) as server,
    ):
        made = Watched(server)
        yield made
        made.close()


def cause_of(said: dict[str, Any], operation: str) -> dict[str, Any]:
    """Return what had most of an operation's time."""
    (one,) = [one for one in said["operations"] if one["operation"] == operation]
    return dict(one["causes"][0])


class Late:
    """A part that is late by so much, and what is told of it.

    Args:
        watched: The server.
        volume: The volume.
        operation: The operation that waits for it.
        cause: The part.
    """

    def __init__(self, watched: Watched, volume: str, operation: str, cause: Cause) -> None:
        self._watched = watched
        self._volume = volume
        self._operation = operation
        self._cause = cause

    def assert_named(self, delay_ms: float, usual_ms: Callable[[], float] = lambda: 0.0) -> None:
        """Hold that `why` names the part, with the time that it was late and takes anyway, and that
        the records of the I/Os say the same."""
        operation, cause = self._operation, self._cause
        said = self._watched.why(self._volume)
        first = cause_of(said, operation)
        assert (first["cause"], first["name"]) == (cause.kind.value, cause.name), said["sentence"]
        assert said["verdict"] == "slow"
        records = [
            from_json(TraceRecord, one) for one in said["slow"] if one["operation"] == operation
        ]
        # What is written down without being asked for takes more than 50 ms.
        assert bool(records) or delay_ms < 50
        times = record_times(records, self._watched.interval, "lags").get(operation, {})
        expected_ms = delay_ms + usual_ms()
        found_ms = [first["mean_ns"] / MS]
        found_ms += [times[cause] / len(records) / MS] if records else []
        told = " | ".join(f"{one:.1f}" for one in found_ms)
        print(f"| {cause.label} | {delay_ms} | {expected_ms:.1f} | {first['share']:.0%} | {told} |")
        for one in found_ms:
            assert one == pytest.approx(expected_ms, rel=ACCURACY, abs=NOISE_MS), said


def test_a_late_filter_or_engine_is_named(watched: Watched) -> None:
    server = watched.server
    server.install(STRANGERS / "pace")
    server.lay_out("lags")

    def configure(filter_ms: float, engine_ms: float) -> None:
        paced = {**volume("paced", "memory", "16 MiB")}
        paced["filters"] = [{"name": "pace", "delay_s": filter_ms / 1000}]
        server.configure(paced, volume("late", "lags", "16 MiB", delay_s=engine_ms / 1000))

    configure(0, 0)
    server.run("paced", "late")
    for number, delay in enumerate(DELAYS_MS, 1):
        configure(delay, delay)
        server.reload(number)
        Late(watched, "paced", "write", Cause(Kind.FILTER, "pace")).assert_named(delay)
        Late(watched, "late", "write", Cause(Kind.ENGINE_CALL, "lags")).assert_named(delay)
    server.stop()


@pytest.mark.timeout(300)
def test_of_three_replicas_a_late_disk_store_or_link_is_named(
    watched: Watched, tmp_path: Path
) -> None:
    server = watched.server
    shim = Shim(tmp_path)
    server.env |= shim.environment
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    sync = Late(watched, "demo", "flush", Cause(Kind.SYNC, "replica-2"))
    apply = Late(watched, "demo", "write", Cause(Kind.APPLY, "replica-2"))
    link = Late(watched, "demo", "write", Cause(Kind.LINK, "replica-2"))
    for delay in DELAYS_MS:
        with shim.failing([Rule(Operation.SYNC, late(delay), 100, "demo-1/")]):
            sync.assert_named(delay, lambda: watched.usual_ms["sync"])
        with shim.failing([Rule(Operation.WRITE, late(delay), 100, "demo-1/head")]):
            apply.assert_named(delay, lambda: watched.usual_ms["apply"])
    relay = Relay(Paths(server.data).address("demo", "replica-2"))
    watched.close()
    old = server.pid("target.demo")
    server.kill(["target.demo"])
    server.new_pid("target.demo", old)
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync again")
    # What was away is compared in the background first.
    watched.why("demo", 5.0)
    watched.why("demo")
    usual_ms = watched.usual_ms["link"]
    for delay in DELAYS_MS:
        relay.delay_s = delay / 1000
        link.assert_named(delay, lambda: usual_ms)
    server.stop()
    relay.close()


def test_a_replica_that_stood_still_for_a_moment_is_named_by_the_one_write_that_waited(
    watched: Watched,
) -> None:
    server = watched.server
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
    pid = server.pids()["member.demo.replica-3"]

    def stand_still() -> None:
        time.sleep(1.5)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(pid, signal.SIGCONT)

    standing = threading.Thread(target=stand_still)
    standing.start()
    said = watched.why("demo", 4.0)
    standing.join()
    # On a machine that is slow as a whole the average is told first, and then this.
    told = [said["sentence"], *said["notes"]]
    (which,) = [text for text in told if "the link to replica-3" in text]
    print(which)
    (trip,) = [one for one in said["slow"][0]["stages"] if one["member"] == "replica-3"]
    assert trip["elapsed_ns"] / MS == pytest.approx(300, rel=ACCURACY)
    kept = json.loads(
        server.command("volume", "why", "demo", "--records", "--output", "json").stdout
    )
    assert kept["operations"][0]["causes"][0]["name"] == "replica-3"
    server.stop()


def test_an_initiator_that_is_slow_to_read_is_named(watched: Watched) -> None:
    server = watched.server
    server.configure(volume("demo", "memory", "16 MiB"))
    server.run("demo")

    def read_slowly(session: Session) -> None:
        """Ask for more than its socket takes, and leave that there."""
        for number in range(64):
            session.read(262_144 * number, 262_144, lambda _status, _data: None)
        session.serve(0)
        time.sleep(0.8)
        session.complete()

    said = watched.why("demo", 4.0, read_slowly)
    assert said["verdict"] == "slow", said["sentence"]
    assert cause_of(said, "read")["cause"] == "send", json.dumps(said["operations"])
    print(said["sentence"])
    server.stop()
