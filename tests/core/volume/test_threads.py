"""The thread that the reference says of each call of an engine or filter is the one that it has."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import attrs
import pytest

from core.threads import Noted
from core.volume.model import BLOCK, Run, open_context, volume_spec
from tierce import (
    Action,
    BaseDevice,
    Completed,
    Concurrency,
    EngineDescription,
    Event,
    Extent,
    Filter,
    FilterDescription,
    Geometry,
    Job,
    Managed,
    NoOptions,
    Op,
    Reconfigured,
    Request,
    SimpleDevice,
    SimpleExtras,
    SimpleFilter,
    Status,
    hookimpl,
    when_quiet,
)
from tierce.block import GOOD, Capabilities
from tierce.process.epoll import EpollReactor
from tierce.process.managing import Manager
from tierce.process.messages import Peer
from tierce.registry import Registry
from tierce.volume.pipeline import open_pipeline
from tierce.volume.statistics import StatisticsPage

MODULE = "parts_that_note_threads"
OPERATIONS = frozenset({op.name for op in Op})


class Simple(SimpleDevice):
    """Does all that one on the simple level may."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def read(self, offset: int, buffer: memoryview) -> None: ...

    def write(self, offset: int, data: memoryview) -> None: ...

    def discard(self, offset: int, length: int) -> None: ...

    def write_zeroes(self, offset: int, length: int) -> None: ...

    def extents(self, offset: int, length: int) -> Iterable[Extent]:
        return [Extent(offset, length, is_hole=False)]

    def reconfigure(self, options: Any) -> None: ...

    def actions(self) -> tuple[Action, ...]:
        return (Action(name="go", summary="Goes."),)

    def manage(self, action: str, arguments: Any, job: Job) -> None:
        job.done()


class Batches(BaseDevice):
    def __init__(self, context: Any) -> None:
        self.context = context
        self.geometry = Geometry(context.volume.size_bytes, BLOCK)
        self.capabilities = Capabilities(discard=True)

    def submit(self, batch: list[Request], completed: Completed) -> None:
        for request in batch:
            request.status = GOOD

    def grow(self) -> None:
        size = 2 * self.geometry.size_bytes
        self.geometry = attrs.evolve(self.geometry, size_bytes=size)
        self.context.resized(self.geometry)


def everything() -> list[Request]:
    """One request of each kind that an engine on the simple level may be called for."""
    buffer = memoryview(bytearray(BLOCK))
    return [
        *(Request(Op.READ, 0, BLOCK, buffer), Request(Op.WRITE, 0, BLOCK, buffer)),
        *(Request(op, 0, BLOCK) for op in (Op.DISCARD, Op.WRITE_ZEROES, Op.BLOCK_STATUS)),
        Request(Op.FLUSH),
    ]


Open = Callable[..., Any]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open a pipeline of an engine and a filter that are these classes."""

    def open_it(
        reactor: EpollReactor,
        engine: type,
        concurrency: Concurrency,
        over: type,
        of_filter: Concurrency = Concurrency.BATCH,
    ) -> Any:
        module = ModuleType(MODULE)
        module.__dict__.update(engine=engine, over=over)
        monkeypatch.setitem(sys.modules, MODULE, module)

        def tierce_engines() -> list[EngineDescription]:
            factory = f"{MODULE}:engine"
            one = EngineDescription(
                name="e", summary="E.", factory=factory, concurrency=concurrency, contract=2
            )
            return [one]

        def tierce_filters() -> list[FilterDescription]:
            factory = f"{MODULE}:over"
            is_simple = of_filter is Concurrency.SERIAL
            one = FilterDescription(
                name="f",
                summary="F.",
                factory=factory,
                operations=OPERATIONS - {"COMPARE_AND_WRITE"} if is_simple else OPERATIONS,
                concurrency=of_filter,
                contract=2,
            )
            return [one]

        hooks = ModuleType("hooks")
        hooks.__dict__.update(
            tierce_engines=hookimpl(tierce_engines), tierce_filters=hookimpl(tierce_filters)
        )
        registry = Registry.build([("p", hooks, "")])
        assert registry.plugins[0].state == "enabled", registry.plugins[0].reason
        volume = attrs.evolve(volume_spec(tmp_path, "e"), filters=(("f", NoOptions()),))
        page = StatisticsPage.create(tmp_path / "page")
        return open_pipeline(open_context(volume, reactor, page), registry, page.publish)

    return open_it


def close(pipeline: Any, reactor: EpollReactor) -> None:
    done: list[Status] = []

    def closed(status: Status) -> None:
        done.append(status)
        reactor.stop()

    pipeline.close(closed)
    if not done:
        reactor.run()


@attrs.frozen(eq=False)
class Asker:
    """Who asks for an action."""

    answers: list[Any]

    def send(self, message: Any) -> None:
        self.answers.append(message)


def manage(pipeline: Any, reactor: EpollReactor) -> list[Any]:
    """Have an action done and options taken, as a target does; return the answers."""
    answers: list[Any] = []
    emitted: list[Event] = []
    manager = Manager("volume/demo", reactor, emitted.append, lambda _error: None)
    manager.add("engine", pipeline.engine, "", pipeline.caller)
    manager.act(cast("Peer", Asker(answers)), {"id": 1, "part": "engine", "action": "go"})
    pipeline.caller.call(
        lambda: pipeline.engine.reconfigure(NoOptions()),
        lambda result, error: answers.append({"taken": (result, error)}),
    )
    # The workers answer through the loop.
    timer = reactor.call_later(30, reactor.stop)

    def look() -> None:
        if len(answers) < 2:
            reactor.call_later(0.001, look)
        else:
            reactor.stop()

    look()
    reactor.run()
    timer.cancel()
    assert (emitted, {"taken": (None, None)} in answers) == ([], True)
    return answers


@pytest.mark.parametrize("how", ["inline", "serial", "parallel"])
def test_an_engine_on_the_simple_level_is_called_where_its_concurrency_says(
    how: str, opened: Open
) -> None:
    noted = Noted()
    reactor = EpollReactor()
    extra = noted.spied(noted.spied(Simple, Reconfigured), Managed)
    kind = noted.spied(noted.spied(extra, SimpleExtras), SimpleDevice)
    pipeline = opened(reactor, kind, Concurrency(how), Filter)
    run = Run(pipeline.device, reactor)
    for _round in range(3):
        run.submit(*everything())
    answers = manage(pipeline, reactor)
    assert [one for one in answers if "id" in one] == [{"id": 1, "ok": {}}]
    close(pipeline, reactor)
    called = noted.check(SimpleDevice, how) | noted.check(SimpleExtras, how)
    assert noted.check(Managed, how) == {"actions", "manage"}
    assert noted.check(Reconfigured, how) == {"reconfigure"}
    extras = {"discard", "write_zeroes", "extents"}
    assert called == {"SimpleDevice(...)", "read", "write", "flush", "close", *extras}
    reactor.close()


def test_batches_and_filters_are_called_on_the_data_thread(opened: Open) -> None:
    engine, over = Noted(), Noted()
    reactor = EpollReactor()
    pipeline = opened(
        reactor,
        engine.spied(Batches, BaseDevice),
        Concurrency.BATCH,
        over.spied(Filter, Filter),
    )
    Run(pipeline.device, reactor).submit(*everything())
    when_quiet(pipeline.device, lambda: None)
    pipeline.engine.grow()
    close(pipeline, reactor)
    methods = {"submit", "when_quiet", "close"}
    assert engine.check(BaseDevice) == {"BaseDevice(...)", *methods}
    assert over.check(Filter) == {"Filter(...)", *methods, "resized"}
    reactor.close()


def test_a_filter_on_the_simple_level_is_called_on_a_thread_of_its_own(opened: Open) -> None:
    noted, reactor = Noted(), EpollReactor()
    pipeline = opened(
        reactor,
        Simple,
        Concurrency.PARALLEL,
        noted.spied(SimpleFilter, SimpleFilter),
        Concurrency.SERIAL,
    )
    run = Run(pipeline.device, reactor)
    for request in run.submit(*everything()):
        assert request.status is GOOD
    close(pipeline, reactor)
    methods = {"read", "write", "flush", "discard", "write_zeroes", "extents", "close"}
    assert noted.check(SimpleFilter) == {"SimpleFilter(...)", *methods}
    (thread,) = {one for threads in noted.threads.values() for one in threads}
    assert thread != noted.data
    reactor.close()


def test_a_call_on_another_thread_than_it_says_is_found() -> None:
    noted = Noted()
    noted.threads["read"] = [noted.data]
    with pytest.raises(AssertionError, match=r"SimpleDevice\.read is on the data thread"):
        noted.check(SimpleDevice, "serial")
    noted.threads["read"] = [1, 2]
    with pytest.raises(AssertionError, match="not always on the same thread"):
        noted.check(SimpleDevice, "serial")
    with pytest.raises(AssertionError, match="is not on the data thread"):
        noted.check(SimpleDevice, "inline")
