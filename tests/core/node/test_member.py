"""A member process, as a role in a process that is not there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from core.fake_process import FakeProcess
from tierce import (
    EngineDescription,
    FormatError,
    MemberContext,
    PluginError,
    ReplicatorDescription,
    hookimpl,
)
from tierce.node.member import start_member
from tierce.node.target import member_addresses
from tierce.process.paths import Paths
from tierce.process.plan import Plan, Role
from tierce.process.process_loop import Process
from tierce.registry import Registry

MODULE = "sides_for_tests"


class QuietMember:
    """Announces an address and closes at once."""

    def __init__(self, context: MemberContext) -> None:
        self.context = context
        context.announce("127.0.0.1:4711")

    def close(self, closed: Callable[[], None]) -> None:
        closed()


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


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    built = Registry.build([("tests", sys.modules[__name__], "")])
    assert built.plugins[0].state == "enabled", built.plugins[0].reason
    return built


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
    address = member_addresses(process.paths, "demo")
    assert address("one") is None
    body = start_member(cast("Process", process), registry)
    assert address("one") == "127.0.0.1:4711"
    closed: list[bool] = []
    body.close(lambda: closed.append(True))
    assert closed == [True]
    assert address("one") is None


def test_an_address_that_is_none_is_named_with_its_file(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make()
    paths.address("demo", "one").write_bytes(b"\xff\xff")
    with pytest.raises(FormatError, match=r"demo\.one\.address"):
        member_addresses(paths, "demo")("one")


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
