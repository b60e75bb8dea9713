"""What a factory must give, and on which thread it is called."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from core.volume.model import BLOCK, SIZE, Run, open_context, volume_spec
from tierce import (
    GOOD,
    BaseDevice,
    Capabilities,
    Completed,
    Concurrency,
    EngineDescription,
    Filter,
    FilterDescription,
    Geometry,
    Op,
    OpenContext,
    PluginError,
    Request,
    SimpleDevice,
)
from tierce.process.epoll import EpollReactor
from tierce.registry import Registry
from tierce.volume.pipeline import Pipeline, open_pipeline
from tierce.volume.statistics import StatisticsPage

MODULE = "stranger_parts"


class Noting(SimpleDevice):
    """Notes the thread of everything that is done with it."""

    threads: list[tuple[str, int]]

    def __init__(self, context: OpenContext) -> None:
        Noting.threads = []
        self.note("made")

    def note(self, what: str) -> None:
        Noting.threads.append((what, threading.get_ident()))

    def read(self, offset: int, buffer: memoryview) -> None:
        self.note("read")

    def write(self, offset: int, data: memoryview) -> None:
        self.note("write")

    def flush(self) -> None:
        self.note("flush")

    def close(self) -> None:
        self.note("close")


class Batches(BaseDevice):
    """Answers everything; its shape is what the class says."""

    size = SIZE
    context: OpenContext

    def __init__(self, context: OpenContext) -> None:
        Batches.context = context
        self.geometry = Geometry(self.size, BLOCK)

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for request in batch:
            request.status = GOOD


class Small(Batches):
    size = SIZE // 2


class Large(Batches):
    size = 2 * SIZE


class Shapeless(Batches):
    def __init__(self, context: OpenContext) -> None:
        shape: Any = (SIZE, BLOCK)
        self.geometry = shape


class Odd(Batches):
    def __init__(self, context: OpenContext) -> None:
        super().__init__(context)
        has: Any = {"discard": True}
        self.capabilities = has


class Promises(SimpleDevice):
    def __init__(self, context: OpenContext) -> None:
        """Nothing to keep."""

    async def read(self, offset: int, buffer: memoryview) -> None:  # type: ignore[override]
        """Nobody awaits it."""


class Unfinished:
    def __init__(self, context: OpenContext) -> None:
        self.geometry = Geometry(SIZE, BLOCK)
        self.capabilities = Capabilities()

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Has no close."""


class Buggy(SimpleDevice):
    def __init__(self, context: OpenContext) -> None:
        raise KeyError("path")


def make_batches(context: OpenContext) -> Batches:
    return Batches(context)


class Header(Filter):
    """Keeps the first block for itself."""

    def __init__(self, context: OpenContext, below: Any) -> None:
        super().__init__(context, below)
        self.resized(below.geometry)

    def resized(self, geometry: Geometry) -> None:
        self.geometry = attrs.evolve(geometry, size_bytes=geometry.size_bytes - BLOCK)


@pytest.fixture
def reactor() -> Iterator[EpollReactor]:
    loop = EpollReactor()
    yield loop
    loop.close()


Open = Callable[..., Pipeline]


@pytest.fixture
def opened(tmp_path: Path, reactor: EpollReactor, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[Noting.__module__])

    def open_it(
        name: str, concurrency: Concurrency = Concurrency.SERIAL, filters: tuple[str, ...] = ()
    ) -> Pipeline:
        registry = Registry.load()
        engine = EngineDescription(
            name="e", summary="E.", factory=f"{MODULE}:{name}", concurrency=concurrency, contract=2
        )
        registry.engines = {**registry.engines, "e": engine}
        described = {
            one: FilterDescription(
                name=one,
                summary="F.",
                factory=f"{MODULE}:{one}" if one == "Header" else "tierce:Filter",
                operations=frozenset(op.name for op in Op),
                contract=2,
            )
            for one in filters
        }
        registry.filters = described
        page = StatisticsPage.create(tmp_path / "page")
        volume = attrs.evolve(
            volume_spec(tmp_path, "e"), filters=tuple((one, None) for one in filters)
        )
        return open_pipeline(open_context(volume, reactor, page), registry, page.publish)

    return open_it


def test_a_serial_engine_lives_on_one_thread_from_its_making_to_its_close(
    opened: Open, reactor: EpollReactor
) -> None:
    run = Run(opened("Noting").device, reactor)
    run.submit(*[Request(Op.WRITE, at * BLOCK, BLOCK, memoryview(bytes(BLOCK))) for at in range(4)])
    run.submit(Request(Op.READ, 0, BLOCK, memoryview(bytearray(BLOCK))), Request(Op.FLUSH))
    run.close()
    assert [what for what, _ in Noting.threads] == [
        *("made", "write", "write", "write", "write", "read", "flush", "close")
    ]
    (thread,) = {thread for _, thread in Noting.threads}
    assert thread != threading.get_ident()


@pytest.mark.parametrize("concurrency", [Concurrency.INLINE, Concurrency.PARALLEL])
def test_other_engines_are_made_on_the_data_thread(opened: Open, concurrency: Concurrency) -> None:
    opened("Noting", concurrency)
    assert Noting.threads == [("made", threading.get_ident())]


@pytest.mark.parametrize(
    ("name", "concurrency", "message"),
    [
        ("Small", Concurrency.BATCH, "with 32768 bytes in blocks of 512; expected 65536"),
        ("Shapeless", Concurrency.BATCH, "has a tuple as geometry; expected tierce.Geometry"),
        ("Odd", Concurrency.BATCH, "has a dict as capabilities"),
        ("Unfinished", Concurrency.BATCH, "without close; derive it from tierce.BaseDevice"),
        ("Noting", Concurrency.BATCH, "without submit"),
        ("Promises", Concurrency.SERIAL, "read is an `async def`"),
        ("Buggy", Concurrency.SERIAL, "it failed to open: KeyError: 'path'"),
        ("make_batches", Concurrency.SERIAL, "concurrency=tierce.Concurrency.BATCH"),
        ("MODULE", Concurrency.SERIAL, "can't be called"),
    ],
)
def test_what_is_no_engine_is_one_line_that_names_the_plugin(
    opened: Open, name: str, concurrency: Concurrency, message: str
) -> None:
    with pytest.raises(PluginError, match="plugin 'e'") as caught:
        opened(name, concurrency)
    assert message in str(caught.value)


def test_an_engine_that_is_larger_than_its_volume_serves_the_volume(opened: Open) -> None:
    assert opened("Large", Concurrency.BATCH).device.geometry.size_bytes == SIZE


def test_a_filter_that_leaves_less_than_the_volume_is_refused(opened: Open) -> None:
    with pytest.raises(PluginError, match=r"plugin 'Header'.*65024 bytes"):
        opened("Batches", Concurrency.BATCH, ("Header",))
    opened("Large", Concurrency.BATCH, ("Header",))


def test_a_new_shape_goes_through_the_filters_to_the_front_end(opened: Open) -> None:
    heard: list[Geometry] = []
    pipeline = opened("Large", Concurrency.BATCH, ("plain", "Header", "plain"))
    pipeline.resized.append(heard.append)
    Batches.context.resized(Geometry(4 * SIZE, BLOCK))
    assert [one.size_bytes for one in heard] == [4 * SIZE - BLOCK]
    last = Request(Op.READ, 4 * SIZE - 2 * BLOCK, BLOCK, memoryview(bytearray(BLOCK)))
    pipeline.device.submit([last], lambda _requests: None)
    assert last.status is GOOD


def test_a_new_shape_with_another_block_is_a_mistake_and_changes_nothing(opened: Open) -> None:
    heard: list[Geometry] = []
    pipeline = opened("Batches", Concurrency.BATCH)
    pipeline.resized.append(heard.append)
    Batches.context.resized(Geometry(4 * SIZE, 4096))
    assert heard == []
    assert pipeline.device.geometry.size_bytes == SIZE


def test_two_filters_of_one_name_have_their_own_counters(
    opened: Open, tmp_path: Path, reactor: EpollReactor
) -> None:
    name = "f" * 63
    pipeline = opened("Batches", Concurrency.BATCH, (name, name))
    Run(pipeline.device, reactor).submit(Request(Op.READ, 0, BLOCK, memoryview(bytearray(BLOCK))))
    stages = StatisticsPage.open(tmp_path / "page").snapshot()["stages"]
    assert set(stages) == {"device", f"filter.{name}", f"filter.{name}:2"}
    assert all(stage["read"]["count"] == 1 for stage in stages.values())
