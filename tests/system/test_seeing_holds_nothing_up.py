"""I/O goes on with the right data while those who look at it hang, refuse, stand or are many."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from serving.libiscsi import Session
from serving.processes import wait_until
from serving.server import Server
from system import disturbing
from system.disturbing import SERVICES, Behave, Peer, control_connections, open_paths, tcp_ports

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

BLOCK, BLOCK_COUNT = 4096, 1024
#: So many are written and read at least while something is wrong.
COUNT = 500
#: More than what may wait in an exporter (12 MiB of I/Os); targets and replicas keep nothing.
GROWTH_KIB_MAX = 16 << 10
DATA = ("target.demo", *(f"member.demo.replica-{number}" for number in (1, 2, 3)))
DROPPED = 'tierce_exporter_dropped_total{{exporter="{}",kind="records"}}'
LEFT_OUT = 'tierce_trace_records_lost_total{kind="left-out"}'


@attrs.define
class Scene:
    """A volume under an I/O at a time, and all exporters.

    Attributes:
        count: So many blocks were written and read.
        held: What each block of the volume must hold.
    """

    server: Server
    address: str
    session: Session
    count: int = 0
    held: dict[int, bytes] = attrs.field(factory=dict)

    def exchange(self, more: int = COUNT) -> None:
        """Write and read blocks, each other than all before."""
        for number in range(self.count, self.count + more):
            offset = number % BLOCK_COUNT * BLOCK
            self.held[offset] = f"{number:016}".encode() * (BLOCK // 16)
            self.session.write_now(offset, self.held[offset])
            earlier = number * 7 % BLOCK_COUNT * BLOCK
            wanted = self.held.get(earlier, bytes(BLOCK))
            assert self.session.read_now(earlier, BLOCK) == wanted
        self.count += more

    def exchange_until(self, is_so: Callable[[], object], what: str) -> None:
        """The same until it is so, and at least `COUNT` times."""
        self.exchange()

        def look() -> bool:
            self.exchange(50)
            return bool(is_so())

        wait_until(look, what)

    def compare(self) -> None:
        """Hold the whole volume against what was written."""
        for offset, wanted in self.held.items():
            assert self.session.read_now(offset, BLOCK) == wanted

    def shown(self, metric: str) -> float:
        """The value of a metric, by its name and labels; 0 if it is not there."""
        found = re.search(
            rf"^{re.escape(metric)} (\S+)$", disturbing.scrape(self.address), re.MULTILINE
        )
        return float(found[1]) if found else 0.0

    def memory_kib(self) -> dict[str, int]:
        return {name: self.server.rss_kib(name) for name in (*DATA, *SERVICES)}


@contextlib.contextmanager
def disturbed(server: Server, behave: Behave | None) -> Iterator[tuple[Scene, Peer]]:
    """Serve beside a collector that behaves so; in the end all is compared, memory and data."""
    with Peer(behave) as peer:
        address = disturbing.serve(server, peer)
        scene = Scene(server, address, server.session("demo"))
        scene.exchange()
        before = scene.memory_kib()
        target = server.pid("target.demo")
        yield scene, peer
        scene.compare()
        after = scene.memory_kib()
        grown = {name: after[name] - before[name] for name in before}
        assert max(grown.values()) < GROWTH_KIB_MAX, grown
        assert server.pid("target.demo") == target
        scene.session.close()
    server.stop()


@pytest.mark.parametrize("behave", [None, disturbing.hangs, disturbing.is_slow])
def test_io_goes_on_while_a_collector_takes_nothing_and_what_is_left_out_is_shown(
    behave: Behave | None, server: Server
) -> None:
    with disturbed(server, behave) as (scene, peer), disturbing.every_io_slow(server):
        for exporter in ("forward", "otlp"):
            metric = DROPPED.format(exporter)
            scene.exchange_until(lambda metric=metric: scene.shown(metric), f"{metric} is shown")  # type: ignore[misc]
        assert bool(peer.asked) == (behave is not None)


def test_io_goes_on_while_a_collector_refuses_and_what_it_refused_is_shown(server: Server) -> None:
    with disturbed(server, disturbing.refuses) as (scene, peer), disturbing.every_io_slow(server):
        metric = DROPPED.format("otlp")
        scene.exchange_until(lambda: scene.shown(metric), f"{metric} is shown")
        assert peer.asked


def test_io_goes_on_while_every_io_is_slow_and_what_is_not_written_down_is_shown(
    server: Server,
) -> None:
    with disturbed(server, None) as (scene, _peer), disturbing.every_io_slow(server):
        scene.exchange_until(lambda: scene.shown(LEFT_OUT), f"{LEFT_OUT} is shown")


def test_io_goes_on_while_all_exporters_stand_still(server: Server) -> None:
    with disturbed(server, disturbing.hangs) as (scene, _peer):
        with disturbing.every_io_slow(server), server.stopped(SERVICES):
            scene.exchange(2 * COUNT)
        # What they missed is shown when they go on.
        scene.exchange_until(lambda: scene.shown(LEFT_OUT), f"{LEFT_OUT} is shown")


def test_io_goes_on_while_a_hundred_scrape_at_once_and_all_are_answered(server: Server) -> None:
    with disturbed(server, None) as (scene, _peer):
        with disturbing.scraped(scene.address) as answers:
            scene.exchange_until(
                lambda: len(answers) > disturbing.SCRAPE_COUNT, "more than a hundred are answered"
            )
        assert set(answers) == {b"HTTP/1.1 200 OK"}


@pytest.mark.needs("root")
def test_io_goes_on_while_no_log_can_be_written_and_events_are_kept_all_the_same(
    server: Server,
) -> None:
    logs = server.data / "logs"
    with disturbing.full(logs), disturbed(server, None) as (scene, _peer):
        disturbing.fill(logs)
        with pytest.raises(OSError, match="No space left"):
            (logs / "more").write_bytes(bytes(BLOCK))
        # There is something to say, for the server, the target, a replica and a service.
        server.kill([DATA[1], "service.forward"])
        scene.exchange()
        wait_until(server.is_whole, "the replica is back")
        scene.exchange()
        told = server.command("events", "--count", "100", "--output", "json").stdout
        assert "node.process.died" in told


def test_no_data_process_has_anything_open_that_leads_to_an_exporter_or_to_who_it_sends_to(
    server: Server,
) -> None:
    with disturbed(server, disturbing.hangs) as (scene, peer), disturbing.every_io_slow(server):
        theirs = {peer.port, int(scene.address.rpartition(":")[2])}
        pids = server.pids()
        exporters = [pids[name] for name in SERVICES]
        scene.exchange_until(
            lambda: all(tcp_ports(pid) & theirs for pid in exporters), "the exporters send"
        )
        for name in DATA:
            check_files(server, pids[name])
            assert tcp_ports(pids[name])
            assert not tcp_ports(pids[name]) & theirs
        # Who is asked by the server alone is asked by nobody once there is none.
        assert not list((server.data / "run").glob("*.service"))
        assert all(control_connections(pids[name]) for name in (*DATA, *SERVICES))
        server.kill()
        for name in (*DATA, *SERVICES):
            wait_until(
                lambda pid=pids[name]: not control_connections(pid),  # type: ignore[misc]
                f"nobody is connected to {name}",
            )
        scene.exchange()
        server.start()
        wait_until(lambda: "were taken over" in server.said(), "the next server is there")


def check_files(server: Server, pid: int) -> None:
    """Files are those of the volume, of this process, and nothing of a service's."""
    paths = {Path(one) for one in open_paths(pid) if one.startswith("/")}
    files = {one for one in paths if one.is_relative_to(server.folder)}
    assert files
    assert not [one for one in files if one.name.startswith("service.")]
    assert not [one for one in paths - files if not str(one).startswith(("/dev/", "/memfd:"))]
