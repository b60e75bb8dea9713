"""Strangers' plugins in a whole pipeline: what they cost, and what the user reads."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from core.fake_reactor import FakeReactor
from core.volume.model import BLOCK, SIZE, Run, open_context, volume_spec
from tierce import Code, Event, Flag, NoOptions, Op, Reactor, Request, Status, VolumeStatus
from tierce.process.epoll import EpollReactor
from tierce.registry import Registry
from tierce.volume.pipeline import Pipeline, open_pipeline
from tierce.volume.stalls import STALL_S
from tierce.volume.statistics import StatisticsPage

STRANGERS = Path(__file__).parents[2] / "strangers"


class Scene:
    """A volume with a stranger in it."""

    def __init__(self, folder: Path, reactor: Reactor, stranger: str, engine: str) -> None:
        module = importlib.import_module(f"tierce_{stranger}")
        own = [("engines", "tierce_engines.plugin", "tierce")]
        registry = Registry.build([*own, (stranger, module, f"tierce-{stranger}")])
        assert [one.state for one in registry.plugins] == ["enabled", "enabled"]
        self.page = StatisticsPage.create(folder / "page")
        filters = () if engine == stranger else ((stranger, NoOptions()),)
        volume = attrs.evolve(volume_spec(folder, engine), filters=filters)
        self.events: list[Event] = []
        context = attrs.evolve(open_context(volume, reactor, self.page), emit=self.events.append)
        self.pipeline: Pipeline = open_pipeline(context, registry, self.page.publish)
        self.run = Run(self.pipeline.device, reactor)

    def shown(self) -> str:
        """What `tierce volume show` has of it."""
        return str(self.page.snapshot()["published"].get("plugin_errors"))


@pytest.fixture
def reactor() -> Iterator[EpollReactor]:
    loop = EpollReactor()
    yield loop
    loop.close()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in STRANGERS.iterdir():
        monkeypatch.syspath_prepend(str(folder))


def write(at: int, fill: bytes = b"w") -> Request:
    return Request(Op.WRITE, at, BLOCK, memoryview(fill * BLOCK), Flag.FUA)


def read(at: int) -> Request:
    return Request(Op.READ, at, BLOCK, memoryview(bytearray(BLOCK)))


def test_a_filter_that_parks_serves_like_any_other(tmp_path: Path, reactor: EpollReactor) -> None:
    scene = Scene(tmp_path, reactor, "parks", "memory")
    scene.run.submit(*[write(at * BLOCK) for at in range(8)])
    asked = scene.run.submit(read(0), read(SIZE - BLOCK))
    assert [bytes(request.buffer or b"")[:1] for request in asked] == [b"w", b"\0"]
    assert scene.events == []
    scene.run.close()


def test_a_filter_that_raises_costs_its_volumes_requests_and_names_itself(
    tmp_path: Path, reactor: EpollReactor, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tmp_path, reactor, "raises", "memory")
    for _ in range(3):
        (asked,) = scene.run.submit(read(0))
        assert asked.status is not None
        assert asked.status.code is Code.READ_ERROR
        assert "filter raises raised in submit: KeyError" in asked.status.reason
    (event,) = scene.events
    assert event.code == "volume.plugin-failed"
    assert event.subject == "volume/model"
    assert event.message == (
        "volume model: filter raises (plugin 'raises' (package tierce-raises)) raised in submit: "
        "KeyError: 'forgot to fill the table'; 1 requests are answered with an error"
    )
    assert "forgot to fill the table" in scene.shown()
    assert "Traceback" in caplog.text
    closed: list[Status] = []

    def told(status: Status) -> None:
        closed.append(status)
        reactor.stop()

    scene.pipeline.close(told)
    reactor.run()
    assert closed[0].code is Code.WRITE_ERROR
    assert "forgot how" in closed[0].reason
    # What went on untold is told at the end, with how many there were.
    assert any("(2 more times" in one.message for one in scene.events)


def test_a_filter_that_completes_twice_is_heard_once(tmp_path: Path, reactor: EpollReactor) -> None:
    scene = Scene(tmp_path, reactor, "repeats", "memory")
    scene.run.submit(write(0), write(BLOCK))
    (asked,) = scene.run.submit(read(0))
    assert bytes(asked.buffer or b"")[:1] == b"w"
    (event,) = scene.events
    assert (
        "filter repeats (plugin 'repeats' (package tierce-repeats)) completed a request twice"
        in (event.message)
    )


def test_an_engine_that_says_itself_that_its_io_waits_is_told_with_why_and_without_blame(
    tmp_path: Path,
) -> None:
    loop = FakeReactor(by_hand=True)
    scene = Scene(tmp_path, loop, "hangs", "hangs")
    engine: Any = scene.pipeline.engine
    engine.context.publish(VolumeStatus(state="stopped", trouble="too few replicas answer"))
    scene.pipeline.device.submit([read(0)], lambda _requests: pytest.fail("was answered"))
    scene.pipeline.boundaries[0].stalls.clock = lambda: 1 << 62
    loop.advance(STALL_S)
    (event,) = scene.events
    assert event.code == "volume.io-stuck"
    assert event.message.endswith("1 requests in all: too few replicas answer")
    assert scene.shown() == "None"


@pytest.mark.parametrize(
    ("engine", "part"), [("memory", "filter hangs"), ("hangs", "engine hangs")]
)
def test_what_hangs_is_named_after_10_seconds(tmp_path: Path, engine: str, part: str) -> None:
    loop = FakeReactor(by_hand=True)
    scene = Scene(tmp_path, loop, "hangs", engine)
    scene.pipeline.device.submit([read(0)], lambda _requests: pytest.fail("was answered"))
    for boundary in scene.pipeline.boundaries:
        boundary.stalls.clock = lambda: 1 << 62
    loop.advance(STALL_S)
    (event,) = scene.events
    assert event.message.startswith(
        f"volume model: {part} (plugin 'hangs' (package tierce-hangs)) does not answer"
    )
    assert "READ of 512 bytes at 0" in event.message
    assert "does not answer" in scene.shown()


def test_each_part_logs_by_its_own_name(tmp_path: Path) -> None:
    scene = Scene(tmp_path, FakeReactor(by_hand=True), "hangs", "hangs")
    engine: Any = scene.pipeline.engine
    assert engine.context.logger.name == "tierce.engine.hangs"
