"""What `tierce serve` shows, with a server that is not there."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from tierce import Export, FrontendDescription, MemberSpec, Op, VolumeSpec, option
from tierce.health import Condition, Health
from tierce.process.paths import Paths
from tierce.server.conditions import Conditions
from tierce.server.event_log import Console
from tierce.server.inspecting import Inspector
from tierce.server.node import Node
from tierce.server.routing import Router
from tierce.server.status_display import (
    PLAIN_PERIOD_S,
    TERMINAL_PERIOD_S,
    VOLUME_COUNT_NAMED,
    StatusDisplay,
)
from tierce.volume.statistics import StatisticsPage

MODULE = "screens_for_tests"
EXPORTS = (Export(frontend="names", options=None),)


@attrs.frozen
class Section:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",))


def usage(options: Section, volume: VolumeSpec, _export: Export) -> dict[str, str]:
    return {"url": f"names://{options.listen[0]}/{volume.name}", "tool-x": "x it"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Scene:
    def __init__(self, reactor: Any, folder: Path, out: io.StringIO) -> None:
        self.reactor = reactor
        self.paths = Paths(folder)
        self.paths.make()
        self.out = out
        where = f"{MODULE}:usage"
        front = FrontendDescription(
            name="names",
            summary="Names.",
            factory=where,
            router=where,
            usage=where,
            identity=where,
            options=Section,
            contract=2,
        )
        spec = VolumeSpec("demo", "0" * 32, 1 << 20, 512, "pair", None, EXPORTS)
        served = SimpleNamespace(
            volume=spec,
            members=(MemberSpec("one", Path("/one")), MemberSpec("two", Path("/two"))),
        )
        self.engine = SimpleNamespace(durable=True)
        config = SimpleNamespace(
            file="tierce.yaml",
            frontends={"names": Section()},
            registry=SimpleNamespace(frontends={"names": front}, engines={"pair": self.engine}),
        )
        self.served = {"demo": served}
        self.made, self.refused = {"demo"}, dict[str, str]()
        self.target = SimpleNamespace(phase="up", is_adopted=False)
        self.addresses: tuple[str, ...] = ("127.0.0.1:4711",)
        self.conditions = {"demo": Condition(Health.HEALTHY)}
        node = SimpleNamespace(
            reactor=reactor,
            paths=self.paths,
            inventory=SimpleNamespace(
                config=config, served=self.served, made=self.made, refused=self.refused
            ),
            target=lambda _volume: self.target,
        )
        router = SimpleNamespace(addresses=lambda _frontend: self.addresses)
        conditions = cast("Conditions", SimpleNamespace(of_wanted=lambda: self.conditions))
        inspector = Inspector(cast("Node", node), cast("Router", router), conditions)
        self.status_display = StatusDisplay(cast("Node", node), inspector, conditions, Console(out))
        self.page = StatisticsPage.create(self.paths.page("demo"))

    def shown(self) -> str:
        """Take what was shown since."""
        text = self.out.getvalue()
        self.out.seek(0)
        self.out.truncate()
        return text


@pytest.fixture(params=[io.StringIO, Terminal])
def scene(
    request: pytest.FixtureRequest, reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    return Scene(reactor, tmp_path, request.param())


def test_a_volume_is_shown_once_with_how_to_use_it_and_where_its_data_lie(scene: Scene) -> None:
    scene.status_display.open(2)
    head = scene.shown()
    assert "serves tierce.yaml; Ctrl-C ends it" in head
    assert "2 running processes were taken over" in head
    scene.status_display.reachable("demo")
    assert scene.shown().splitlines() == [
        "volume demo: created, empty; 1,048,576 bytes, engine pair",
        "  url     names://127.0.0.1:4711/demo",
        "  tool-x  x it",
        "  data    /one",
        "  data    /two",
    ]
    scene.status_display.reachable("demo")
    scene.status_display.reachable("gone")
    assert scene.shown() == ""


def test_the_live_line_tells_rates_and_replicas(
    reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    scene = Scene(reactor, tmp_path, Terminal())
    scene.status_display.open(0)
    scene.status_display.reachable("demo")
    scene.shown()
    scene.page.stage("volume").add(Op.READ, 500, 500 * 4096, 1000)
    scene.page.publish("engine", {"members": [{"name": "one", "state": "in-sync"}]})
    reactor.advance(TERMINAL_PERIOD_S)
    line = "1 volume, healthy | demo: 500 IOPS (r 500 w 0) 2.0 MB/s, replicas 1 in-sync"
    # A terminal of 80 columns, as long as it says nothing else.
    assert scene.shown() == f"\r\x1b[K{line[:79]}"
    reactor.advance(TERMINAL_PERIOD_S)
    assert "demo: 0 IOPS" in scene.shown()
    scene.status_display.stopping(10.0)
    scene.shown()
    reactor.advance(TERMINAL_PERIOD_S)
    assert scene.shown() == ""


def test_the_live_line_begins_with_how_many_are_not_well_and_names_them(
    reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    scene = Scene(reactor, tmp_path, io.StringIO())
    scene.status_display.open(0)
    scene.conditions |= {
        "other": Condition(Health.DEGRADED, "replica-1 is down"),
        "third": Condition(Health.DEGRADED, "replica-2 is down"),
        "lost": Condition(Health.DOWN),
    }
    scene.shown()
    reactor.advance(PLAIN_PERIOD_S)
    assert scene.shown().startswith("4 volumes, 1 down: lost; 2 degraded: other, third | ")


def test_of_many_volumes_the_live_line_tells_what_they_do_together(
    reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    scene = Scene(reactor, tmp_path, io.StringIO())
    names = [f"volume-{index}" for index in range(VOLUME_COUNT_NAMED)]
    scene.served |= dict.fromkeys(names, scene.served["demo"])
    pages = [StatisticsPage.create(scene.paths.page(name)) for name in names]
    scene.status_display.open(0)
    reactor.advance(PLAIN_PERIOD_S)
    scene.shown()
    for page in pages:
        page.stage("volume").add(Op.WRITE, 10, 40960, 1000)
    reactor.advance(PLAIN_PERIOD_S)
    rate = f"{VOLUME_COUNT_NAMED} IOPS (r 0 w {VOLUME_COUNT_NAMED})"
    assert scene.shown().startswith(f"1 volume, healthy | {rate}")
    # What is shown is what was done since, of volumes that were only read or only written too.
    for op, reads in ((Op.READ, VOLUME_COUNT_NAMED), (Op.WRITE, 0)):
        for page in pages:
            page.stage("volume").add(op, 10, 40960, 1000)
        reactor.advance(PLAIN_PERIOD_S)
        rate = f"{VOLUME_COUNT_NAMED} IOPS (r {reads} w {VOLUME_COUNT_NAMED - reads})"
        assert scene.shown().startswith(f"1 volume, healthy | {rate}")


def test_a_volume_says_how_it_came_to_be_served(
    reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])

    scene = Scene(reactor, tmp_path, io.StringIO())

    def said() -> str:
        scene.status_display._shown.clear()
        scene.status_display.reachable("demo")
        return scene.shown().partition(";")[0]

    assert said() == "volume demo: created, empty"
    scene.made.clear()
    assert said() == "volume demo: opened"
    scene.refused["demo"] = "it was created with 1 MiB"
    assert said() == "volume demo: opened, with the settings that it had"
    scene.engine.durable = False
    scene.refused.clear()
    assert said().startswith("volume demo: opened, empty (engine pair keeps nothing when")
    scene.target.is_adopted = True
    assert said() == "volume demo: taken over"


def test_no_address_that_nobody_can_dial_is_shown(
    reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    scene = Scene(reactor, tmp_path, io.StringIO())
    scene.addresses = ()
    scene.status_display.reachable("demo")
    assert "(not known yet: its portal listens nowhere)" in scene.shown()


def test_what_was_done_before_the_server_came_is_not_shown_as_a_rate(
    reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    scene = Scene(reactor, tmp_path, io.StringIO())
    scene.page.stage("volume").add(Op.READ, 500, 500 * 4096, 1000)
    scene.status_display.open(1)
    scene.status_display.reachable("demo")
    scene.shown()
    reactor.advance(PLAIN_PERIOD_S)
    assert "demo: 0 IOPS" in scene.shown()


def test_off_a_terminal_an_idle_server_says_nothing_twice(
    reactor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    scene = Scene(reactor, tmp_path, io.StringIO())
    scene.status_display.open(0)
    scene.status_display.reachable("demo")
    scene.shown()
    reactor.advance(PLAIN_PERIOD_S)
    assert "demo: 0 IOPS" in scene.shown()
    reactor.advance(PLAIN_PERIOD_S)
    assert scene.shown() == ""
    scene.page.stage("volume").add(Op.WRITE, 10, 40960, 1000)
    reactor.advance(PLAIN_PERIOD_S)
    assert "demo: 1 IOPS" in scene.shown()
    reactor.advance(PLAIN_PERIOD_S)
    # The last line said 1 IOPS: that it is over is news.
    assert "demo: 0 IOPS" in scene.shown()
    reactor.advance(PLAIN_PERIOD_S)
    assert scene.shown() == ""
