"""A real OpenTelemetry collector is sent the events of a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.volumes import jiva
from system.conftest import refuse
from system.peers.built import PROGRAM, BuildError, peers
from system.peers.running import Collector, attributes
from system.test_slow import LATE_NS, oldest_ns

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi", PROGRAM)]

BLOCK = b"told!!!!" * 64


@attrs.frozen
class Scene:
    """A server whose events a collector is sent."""

    server: Server
    collector: Collector

    def write(self, count: int) -> None:
        session = self.server.session("demo")
        for index in range(count):
            session.write_now(index * 512, BLOCK)
        session.close()

    def arrived(self, tag: str) -> list[dict[str, str]]:
        """What has arrived, as the collector understood it."""
        found = []
        for request in self.collector.received("logs"):
            for whose in request["resourceLogs"]:
                for scope in whose["scopeLogs"]:
                    found += [attributes(one) for one in scope["logRecords"]]
        return [one for one in found if one["fluent.tag"] == tag]

    def numbers(self) -> set[int]:
        """The numbers of the events that have arrived."""
        return {int(one["sequence"]) for one in self.arrived("tierce.events")}

    def happened(self) -> dict[int, dict[str, Any]]:
        """The events that the server's state has, by number."""
        listed = self.server.command("events", "--count", "10000", "--output", "json")
        assert listed.returncode == 0, listed.stderr
        return {one["sequence"]: one for one in json.loads(listed.stdout)}

    def all_arrive(self, first: int) -> None:
        """Wait until everything that has happened from an event on has arrived."""
        wanted = {number for number in self.happened() if number >= first}
        assert wanted
        wait_until(lambda: wanted <= self.numbers(), f"events {sorted(wanted)} are there")


@pytest.fixture
def scene(server: Server, tmp_path: Path) -> Iterator[Scene]:
    try:
        peers()
    except BuildError as error:
        refuse(str(error))
    with Collector(tmp_path / "collector") as collector:
        options = {"address": collector.forward, "records": True, "ack_timeout_s": 5}
        server.configure(jiva("demo", "16 MiB"), services={"forward": options})
        server.run("demo")
        yield Scene(server, collector)
    server.stop()


def first_number(scene: Scene) -> int:
    """Have something happen until it arrives: a new service begins with what happens after it."""
    for _time in range(20):
        scene.server.kill(["member.demo.replica-3"])
        wait_until(scene.server.is_whole, "the replica is back")
        if scene.numbers():
            break
    return min(scene.numbers())


def test_every_event_arrives_over_restarts_of_collector_service_and_server(scene: Scene) -> None:
    first = first_number(scene)
    scene.server.kill(["member.demo.replica-1"])
    scene.all_arrive(first)
    # What happens while nobody takes it comes later, a killed service notwithstanding.
    scene.collector.stop()
    scene.server.kill(["target.demo"])
    scene.write(1)
    scene.server.kill(["service.forward"])
    scene.server.kill(["member.demo.replica-2"])
    wait_until(scene.server.is_whole, "the replica is back")
    scene.collector.start()
    scene.all_arrive(first)
    scene.server.kill()
    scene.server.kill(["target.demo"])
    scene.server.start()
    scene.write(1)
    scene.all_arrive(first)
    # Nor is what happens while a server ends in order lost: the next one's service goes on there.
    scene.server.stop()
    scene.server.run("demo")
    scene.all_arrive(first)
    told = scene.happened()
    for one in scene.arrived("tierce.events"):
        event = told[int(one["sequence"])]
        assert (one["code"], one["subject"]) == (event["code"], event["subject"])
        assert one["severity"] == event["severity"]


def test_a_slow_io_arrives_as_it_was_written_down(scene: Scene) -> None:
    first_number(scene)
    session = scene.server.session("demo")
    # The first write to a region waits for its mark, not for its own frame.
    session.write_now(0, BLOCK)
    statuses: list[int] = []
    with scene.server.stopped(["member.demo.replica-2"]):
        session.write(0, BLOCK, statuses.append)
        session.serve(0)
        wait_until(lambda: oldest_ns(scene.server, "device") > LATE_NS, "the write is late")
    session.complete()
    session.close()
    assert statuses == [0]

    def found() -> list[dict[str, str]]:
        return [one for one in scene.arrived("tierce.records") if "replica-2" in one["stages"]]

    wait_until(found, "it is there")
    record = found()[-1]
    assert (record["volume"], record["operation"]) == ("demo", "write")
    assert len(record["trace_id"]) == 32
