"""Exporters, policy handlers and members, each as a role in a process that is not there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import attrs
import pytest

from tierce import (
    EngineDescription,
    Event,
    ExporterContext,
    ExporterDescription,
    FormatError,
    MemberContext,
    PluginError,
    PolicyHandlerDescription,
    ReplicatorDescription,
    hookimpl,
    option,
)
from tierce.node.exporting import read_volumes, start_exporter
from tierce.node.layout import Layout
from tierce.node.managing import Manager
from tierce.node.member import start_member
from tierce.node.plan import EXIT_FAILED, Plan, Role
from tierce.node.policies import start_policies
from tierce.node.process import Process, log_story
from tierce.node.target import member_addresses
from tierce.registry import Registry
from tierce.volume.statistics import StatisticsPage

MODULE = "sides_for_tests"


@attrs.frozen
class Options:
    word: str = option(doc="Any.", default="hello")


class FakeProcess:
    """What a role sees of its process."""

    def __init__(self, reactor: Any, folder: Path, plan: Plan) -> None:
        self.reactor = reactor
        self.layout = Layout(folder)
        self.layout.make()
        self.plan = plan
        self.boot_id = "boot"
        self.events: list[Event] = []
        self.manager = Manager("process/test", reactor, self.events.append, log_story)
        self.is_closed = False
        self.exit_code: int | None = None

    def emit(self, event: Event) -> None:
        self.events.append(event)

    log = emit

    def end(self, code: int) -> None:
        self.exit_code = code

    def close(self) -> None:
        self.is_closed = True


class CountingExporter:
    """Writes down what it sees, once, and works until it is told to stop."""

    seen: ClassVar[list[Any]] = []

    def __init__(self, context: ExporterContext) -> None:
        self.context = context

    def run(self, stop: Callable[[], bool]) -> None:
        if self.context.options.word == "fail":
            raise RuntimeError("no sink")
        CountingExporter.seen.append((self.context.volumes(), stop()))


class QuietMember:
    """Announces an address and closes at once."""

    def __init__(self, context: MemberContext) -> None:
        self.context = context
        context.announce("127.0.0.1:4711")

    def close(self, closed: Callable[[], None]) -> None:
        closed()


def handle(options: Options, volumes: Mapping[str, Mapping[str, Any]]) -> Iterable[Event]:
    if options.word == "fail":
        raise RuntimeError("can't be done")
    yield Event("policy.applied", f"{options.word} {sorted(volumes)}", "policy/p")


@hookimpl
def tierce_replicators() -> list[ReplicatorDescription]:
    return [
        ReplicatorDescription(
            name="pair",
            summary="Two.",
            factory=f"{MODULE}:none",
            member=f"{MODULE}:QuietMember",
            contract=2,
        )
    ]


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    return [
        EngineDescription(name="pair", summary="Two.", replicator="pair", contract=2),
        EngineDescription(name="bare", summary="None.", factory=f"{MODULE}:none", contract=2),
    ]


@hookimpl
def tierce_exporters() -> list[ExporterDescription]:
    return [
        ExporterDescription(
            name="count",
            summary="Counts.",
            factory=f"{MODULE}:CountingExporter",
            options=Options,
            contract=2,
        )
    ]


@hookimpl
def tierce_policy_handlers() -> list[PolicyHandlerDescription]:
    return [
        PolicyHandlerDescription(
            kind="greet", summary="Greets.", factory=f"{MODULE}:handle", options=Options, contract=2
        )
    ]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    CountingExporter.seen.clear()
    built = Registry.build([("tests", sys.modules[__name__], "")])
    assert built.plugins[0].state == "enabled", built.plugins[0].reason
    return built


def exporter(reactor: Any, folder: Path, **options: str) -> FakeProcess:
    settings = {"exporter": "count", "options": options}
    return FakeProcess(reactor, folder, Plan("exporter.count", Role.EXPORTER, "", settings))


def test_an_exporter_reads_the_pages_of_volumes_not_of_members(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    process = exporter(reactor, tmp_path)
    for name, member in (("demo", ""), ("demo", "replica-1"), ("other", "")):
        page = StatisticsPage.create(process.layout.page(name, member))
        page.publish({"of": name + member})
        page.close()
    start_exporter(cast("Process", process), registry)
    volumes, stop = CountingExporter.seen[0]
    assert {name: seen["published"] for name, seen in volumes.items()} == {
        "demo": {"of": "demo"},
        "other": {"of": "other"},
    }
    assert stop is False


@pytest.mark.parametrize(
    ("word", "reason"), [("fail", "no sink"), ("hello", "before it was told to")]
)
def test_an_exporter_that_ends_by_itself_is_a_failure(
    reactor: Any, tmp_path: Path, registry: Registry, word: str, reason: str
) -> None:
    process = exporter(reactor, tmp_path, word=word)
    start_exporter(cast("Process", process), registry)
    assert process.exit_code == EXIT_FAILED
    assert reason in process.events[0].message


def test_an_exporter_closes_when_its_work_has_ended(tmp_path: Path, registry: Registry) -> None:
    class Pending:
        """Offloaded work that ends when the test says so."""

        def offload(self, _work: Any, done: Callable[[Any, Any], None]) -> None:
            self.done = done

    pending = Pending()
    process = exporter(pending, tmp_path)
    body = start_exporter(cast("Process", process), registry)
    closed: list[bool] = []
    body.close(lambda: closed.append(True))
    assert closed == []
    pending.done(None, None)
    assert closed == [True]
    assert process.events == []


def test_a_page_that_is_damaged_reads_as_empty(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    layout.page("demo").write_bytes(b"no page")
    assert read_volumes(layout) == {"demo": {"stages": {}, "published": {}}}


def test_every_policy_document_has_its_turn_whatever_the_others_do(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    documents = [
        {"kind": "greet", "name": "bad", "parameters": {"word": "fail"}, "volumes": {}},
        {"kind": "gone", "name": "lost", "parameters": {}, "volumes": {}},
        {"kind": "greet", "name": "good", "parameters": {}, "volumes": {"demo": {}}},
    ]
    process = FakeProcess(reactor, tmp_path, Plan("policies", Role.POLICIES))
    process.layout.policies.write_text(json.dumps(documents))
    body = start_policies(cast("Process", process), registry)
    assert [(event.code, event.subject) for event in process.events] == [
        ("policy.failed", "policy/bad"),
        ("policy.failed", "policy/lost"),
        ("policy.applied", "policy/p"),
    ]
    assert process.events[2].message == "hello ['demo']"
    reactor.turn()
    assert process.is_closed
    assert not process.layout.policies.exists()
    body.close(lambda: None)


def member(reactor: Any, folder: Path, engine: str) -> FakeProcess:
    settings = {
        "volume": "demo",
        "uuid": "0" * 32,
        "size_bytes": 4096,
        "block_size": 512,
        "engine": engine,
        "member": {"name": "one", "folder": str(folder), "address": "127.0.0.1:0", "settings": {}},
    }
    return FakeProcess(reactor, folder, Plan("member.demo.one", Role.MEMBER, "demo", settings))


def test_a_member_is_found_by_what_it_announces_until_it_closes(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    process = member(reactor, tmp_path, "pair")
    address = member_addresses(process.layout, "demo")
    assert address("one") is None
    body = start_member(cast("Process", process), registry)
    assert address("one") == "127.0.0.1:4711"
    closed: list[bool] = []
    body.close(lambda: closed.append(True))
    assert closed == [True]
    assert address("one") is None


def test_an_address_that_is_none_is_named_with_its_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    layout.address("demo", "one").write_bytes(b"\xff\xff")
    with pytest.raises(FormatError, match=r"demo\.one\.address"):
        member_addresses(layout, "demo")("one")


def test_an_engine_without_a_replicator_can_run_no_member(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    process = member(reactor, tmp_path, "bare")
    with pytest.raises(PluginError, match="no replicator that runs them"):
        start_member(cast("Process", process), registry)


def test_a_member_of_an_engine_without_a_store_is_given_none(
    reactor: Any, tmp_path: Path, registry: Registry
) -> None:
    body = start_member(cast("Process", member(reactor, tmp_path, "pair")), registry)
    context = cast("QuietMember", body._member).context
    assert (context.store, context.store_options) == (None, None)
    body.close(lambda: None)
