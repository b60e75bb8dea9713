"""Whole pipelines against a byte array, with every capability and with none."""

from __future__ import annotations

import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.volume.model import BLOCK, SIZE, Oracle, Run, Tally, blame, open_context, volume_spec
from tierce import (
    Capabilities,
    Code,
    Concurrency,
    EngineDescription,
    FilterDescription,
    Flag,
    Geometry,
    Op,
    PluginError,
    Request,
)
from tierce.process.epoll import EpollReactor
from tierce.registry import Registry
from tierce.volume.emulate import Emulator
from tierce.volume.pipeline import open_pipeline
from tierce.volume.simple import SimpleAdapter
from tierce.volume.statistics import StatisticsPage
from tierce_engines.file_lifecycle import FileLifecycle
from tierce_engines.options import FileOptions

BLOCKS = SIZE // BLOCK

extents = st.tuples(st.integers(0, BLOCKS - 1), st.integers(1, 12)).map(
    lambda pair: (pair[0] * BLOCK, min(pair[1], BLOCKS - pair[0]) * BLOCK)
)
operations = st.tuples(st.sampled_from(list(Op)), extents, st.integers(0, 3), st.booleans())


def request(op: Op, offset: int, length: int, fill: int, fua: bool) -> Request:
    if op is Op.FLUSH:
        return Request(op)
    if op is Op.READ:
        return Request(op, offset, length, memoryview(bytearray(length)))
    if op is Op.WRITE:
        return Request(op, offset, length, memoryview(bytes([fill]) * length), flags=Flag(fua))
    if op is Op.COMPARE_AND_WRITE:
        data = bytes([fill]) * length + bytes([fill + 1 & 3]) * length
        return Request(op, offset, length, memoryview(data), flags=Flag(fua))
    return Request(op, offset, length, flags=Flag(fua and op is not Op.BLOCK_STATUS))


class Bare:
    """The least a device can be."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)

    def read(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.data[offset : offset + len(buffer)]

    def write(self, offset: int, data: memoryview) -> None:
        self.data[offset : offset + len(data)] = data


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture
def reactor() -> Iterator[EpollReactor]:
    loop = EpollReactor()
    yield loop
    loop.close()


def check(run: Run, steps: list[tuple[Op, tuple[int, int], int, bool]]) -> None:
    oracle = Oracle()
    for op, (offset, length), fill, fua in steps:
        oracle.apply(run.submit(request(op, offset, length, fill, fua))[0])


@pytest.mark.parametrize("engine", ["memory", "file"])
@settings(max_examples=60, deadline=None)
@given(steps=st.lists(operations, max_size=30))
def test_a_pipeline_keeps_the_bytes_it_was_given(
    engine: str, steps: list[tuple[Op, tuple[int, int], int, bool]]
) -> None:
    registry, reactor = Registry.load(), EpollReactor()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = FileOptions(path=str(folder / "bytes.img")) if engine == "file" else None
        volume = volume_spec(folder, engine, options)
        if engine == "file":
            FileLifecycle().create(volume)
        page = StatisticsPage.create(folder / "page")
        pipeline = open_pipeline(open_context(volume, reactor, page), registry, page.publish)
        run = Run(pipeline.device, reactor)
        check(run, steps)
        run.close()
        page.close()
        reactor.close()


@pytest.mark.parametrize("concurrency", list(Concurrency))
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(operations, max_size=25), io_max=st.sampled_from([512, 1536, 1 << 20]))
def test_what_a_bare_device_lacks_is_made_of_what_it_has(
    concurrency: Concurrency,
    steps: list[tuple[Op, tuple[int, int], int, bool]],
    io_max: int,
) -> None:
    reactor = EpollReactor()
    geometry = Geometry(SIZE, BLOCK, io_bytes_max=io_max)
    adapter = SimpleAdapter(
        Bare(),
        geometry,
        concurrency,
        durable=False,
        engine="bare",
        reactor=reactor,
        lane=reactor.lane() if concurrency is Concurrency.SERIAL else None,
        blame=blame(reactor),
        stage=lambda _name: Tally(),
    )
    check(Run(Emulator(adapter), reactor), steps)
    reactor.close()


@settings(max_examples=40, deadline=None)
@given(batch=st.lists(extents, min_size=2, max_size=12), data=st.data())
def test_overlapping_operations_of_one_batch_leave_one_of_their_outcomes(
    batch: list[tuple[int, int]], data: st.DataObject
) -> None:
    reactor = EpollReactor()
    adapter = SimpleAdapter(
        Bare(),
        Geometry(SIZE, BLOCK),
        Concurrency.PARALLEL,
        durable=False,
        engine="b",
        reactor=reactor,
        lane=None,
        blame=blame(reactor),
        stage=lambda _name: Tally(),
    )
    run = Run(Emulator(adapter), reactor)
    writes = [
        request(
            data.draw(st.sampled_from([Op.WRITE, Op.COMPARE_AND_WRITE])),
            offset,
            length,
            i % 4,
            False,
        )
        for i, (offset, length) in enumerate(batch)
    ]
    for write in run.submit(*writes):
        assert write.status is not None
        assert write.status.code in {Code.GOOD, Code.MISCOMPARE}
    whole = request(Op.READ, 0, SIZE, 0, False)
    run.submit(whole)
    assert whole.buffer is not None
    written = {value for block in writes for value in bytes(block.buffer or b"")}
    assert set(bytes(whole.buffer)) <= written | {0}
    reactor.close()


@pytest.mark.parametrize(
    ("offset", "length"), [(SIZE, 512), (SIZE - 512, 1024), (1, 512), (0, 513), (-512, 512)]
)
def test_a_request_outside_or_askew_never_reaches_the_device(
    offset: int, length: int, reactor: EpollReactor
) -> None:
    adapter = SimpleAdapter(
        Bare(),
        Geometry(SIZE, BLOCK),
        Concurrency.INLINE,
        durable=False,
        engine="b",
        reactor=reactor,
        lane=None,
        blame=blame(reactor),
        stage=lambda _name: Tally(),
    )
    asked = Request(Op.READ, offset, length, memoryview(bytearray(max(length, 0))))
    Run(Emulator(adapter), reactor).submit(asked)
    assert asked.status is not None
    assert asked.status.code is Code.OUT_OF_RANGE


def test_a_write_to_a_read_only_device_is_refused(reactor: EpollReactor) -> None:
    adapter = SimpleAdapter(
        Bare(),
        Geometry(SIZE, BLOCK),
        Concurrency.INLINE,
        durable=False,
        engine="b",
        reactor=reactor,
        lane=None,
        blame=blame(reactor),
        stage=lambda _name: Tally(),
    )
    adapter.capabilities = Capabilities(read_only=True)
    write = request(Op.WRITE, 0, 512, 1, False)
    Run(Emulator(adapter), reactor).submit(write)
    assert write.status is not None
    assert write.status.code is Code.READ_ONLY


def test_zeroes_far_longer_than_a_piece_do_not_recurse(reactor: EpollReactor) -> None:
    class Endless(Bare):
        def write(self, offset: int, data: memoryview) -> None:
            pass

    geometry = Geometry(4 << 30, BLOCK)
    adapter = SimpleAdapter(
        Endless(),
        geometry,
        Concurrency.INLINE,
        durable=False,
        engine="b",
        reactor=reactor,
        lane=None,
        blame=blame(reactor),
        stage=lambda _name: Tally(),
    )
    zeroes = Request(Op.WRITE_ZEROES, 0, 4 << 30)
    Run(Emulator(adapter), reactor).submit(zeroes)
    assert zeroes.status is not None
    assert zeroes.status.is_good


class Passing:
    """A filter that passes everything on, and says what came."""

    seen: list[Op]

    def __init__(self, _context: object, below: SimpleAdapter) -> None:
        Passing.seen = []
        self.geometry = below.geometry
        self.capabilities = below.capabilities
        self._below = below
        self.close = below.close

    def submit(self, batch: list[Request], completed: object) -> None:
        Passing.seen += [request.op for request in batch]
        self._below.submit(batch, completed)  # type: ignore[arg-type]


def filtered(registry: Registry, operations: set[str], contract: int = 2) -> None:
    described = FilterDescription(
        name="passing",
        summary="",
        factory=f"{__name__}:Passing",
        operations=frozenset(operations),
        contract=contract,
    )
    registry.filters = {**registry.filters, "passing": described}


def test_a_filter_never_sees_what_it_was_not_built_for(
    tmp_path: Path, reactor: EpollReactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    registry = Registry.load()
    filtered(registry, {"READ", "WRITE", "FLUSH"})
    page = StatisticsPage.create(tmp_path / "page")
    volume = attrs.evolve(volume_spec(tmp_path), filters=(("passing", None),))
    pipeline = open_pipeline(open_context(volume, reactor, page), registry, page.publish)
    run = Run(pipeline.device, reactor)
    discard = run.submit(Request(Op.DISCARD, 0, 512))[0]
    run.submit(request(Op.WRITE_ZEROES, 0, 512, 0, False))
    assert discard.status is not None
    assert discard.status.code is Code.UNSUPPORTED
    assert set(Passing.seen) == {Op.WRITE}
    assert page.snapshot()["stages"]["filter.passing"]["write"]["count"] == 1
    page.close()


def test_an_engine_that_is_no_device_is_one_clear_error(
    tmp_path: Path, reactor: EpollReactor
) -> None:
    registry = Registry.load()
    odd = EngineDescription(name="odd", summary="", factory="builtins:repr", contract=2)
    registry.engines = {**registry.engines, "odd": odd}
    page = StatisticsPage.create(tmp_path / "page")
    with pytest.raises(PluginError, match="gave a str"):
        open_pipeline(
            open_context(volume_spec(tmp_path, "odd"), reactor, page), registry, page.publish
        )
    page.close()


def test_an_engine_that_nobody_brings_is_named(tmp_path: Path, reactor: EpollReactor) -> None:
    page = StatisticsPage.create(tmp_path / "page")
    context = open_context(volume_spec(tmp_path, "odd"), reactor, page)
    with pytest.raises(PluginError, match="no engine 'odd' is enabled"):
        open_pipeline(context, Registry.load(), page.publish)
    page.close()


def test_every_operation_is_counted_once(tmp_path: Path, reactor: EpollReactor) -> None:
    page = StatisticsPage.create(tmp_path / "page")
    context = open_context(volume_spec(tmp_path), reactor, page)
    run = Run(open_pipeline(context, Registry.load(), page.publish).device, reactor)
    run.submit(*[request(Op.WRITE, i * 512, 512, 1, False) for i in range(5)])
    run.submit(*[request(Op.READ, i * 512, 1024, 1, False) for i in range(3)])
    counted = page.snapshot()["stages"]["device"]
    assert (counted["write"]["count"], counted["write"]["bytes"]) == (5, 2560)
    assert (counted["read"]["count"], counted["read"]["bytes"]) == (3, 3072)
    page.close()


def _this_module() -> object:
    module = types.ModuleType(__name__)
    vars(module)["Passing"] = Passing
    return module
