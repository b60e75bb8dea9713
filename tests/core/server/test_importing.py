"""What plugins name is tried before anything uses it; what fails costs its volumes alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.fake_reactor import FakeReactor
from core.served import Served
from serving.strangers import lay_out
from serving.volumes import file, memory
from tierce.config import load_config, load_registry
from tierce.process.plan import FORK_SERVER
from tierce.registry import find_unusable
from tierce.server.importing import Imports

WHY = "plugin 'brittle' (package tierce-brittle): factory of engine 'brittle': it ends its process"


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(("brittle",), tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def brittle(name: str) -> dict[str, Any]:
    return {**memory(name), "engine": "brittle"}


def filtered(name: str, filter_name: str) -> dict[str, Any]:
    return {**memory(name), "filters": [{"name": filter_name}]}


def test_a_volume_whose_engine_can_not_be_imported_is_refused_by_name_and_the_others_are_served(
    served: Served,
) -> None:
    def play() -> None:
        assert "target.good" in served.machine.names()
        assert not {"target.bad", "target.over"} & set(served.machine.names())
        assert served.told("volume.refused") == [
            f"{served.file}:1: volumes.bad: the engine 'brittle' can't be used: {WHY}",
            f"{served.file}:1: volumes.over.filters[0]: the filter 'cracked' can't be "
            "used: it raises",
        ]
        # What would end the fork server is not imported there.
        assert served.child(FORK_SERVER).plan.settings["without"] == [
            "engine:brittle",
            "filter:cracked",
        ]

    served.unusable = {("engine", "brittle"): WHY, ("filter", "cracked"): "it raises"}
    served.write(brittle("bad"), filtered("over", "cracked"), filtered("good", "sound"))
    served.serve(play)


def test_a_volume_of_the_state_whose_engine_can_not_be_imported_is_refused_too(
    served: Served,
) -> None:
    def make() -> None:
        client = served.client()
        client.send(do="create", id=1, volume=filtered("kept", "cracked"), base=".")

    def play() -> None:
        assert "target.kept" not in served.machine.names()
        (told,) = served.told("volume.refused")
        assert "the filter 'cracked' can't be used: it raises" in told

    served.write(memory("good"))
    served.serve(make)
    served.unusable = {("filter", "cracked"): "it raises"}
    served.serve(play)


def test_services_and_policies_that_can_not_be_imported_are_left_out_and_named(
    served: Served,
) -> None:
    def play() -> None:
        assert "service.shaky" not in served.machine.names()
        said = served.out.getvalue()
        assert f"{served.file}:1: services: the service 'shaky' is left out: it raises" in said
        assert "policies[0].kind: the policy handler 'frail' is left out: it ends" in said

    served.unusable = {("service", "shaky"): "it raises", ("policy handler", "frail"): "it ends"}
    policies = [{"kind": "frail", "name": "night"}]
    served.write(memory("good"), services={"shaky": {}}, policies=policies)
    served.serve(play)


def test_a_reload_tries_what_is_new_of_plugins_and_nothing_else(served: Served) -> None:
    def play() -> None:
        served.write(memory("good"), memory("more"), plugins=without_brittle)
        served.supervisor.reload()
        served.reactor.turn()
        assert served.looked_count == 1
        assert "target.more" in served.machine.names()
        served.unusable = {("engine", "brittle"): WHY}
        served.write(memory("good"), brittle("bad"))
        served.supervisor.reload()
        served.supervisor.reload()
        for _round in range(3):
            served.reactor.turn()
        assert served.looked_count == 2
        (told,) = served.told("volume.refused")
        assert "the engine 'brittle' can't be used" in told
        assert "target.good" in served.machine.names()
        assert len(served.told("config.reloaded")) == 2

    without_brittle = {"disable": ["brittle"]}
    served.write(memory("good"), plugins=without_brittle)
    served.serve(play)


def test_a_file_that_is_wrong_is_for_the_reload_to_tell(served: Served) -> None:
    def play() -> None:
        served.file.write_text("plugins: 5\n")
        served.supervisor.reload()
        served.reactor.turn()
        assert "expected a mapping" in served.told("config.refused")[0]

    served.write(file("good"))
    served.serve(play)


def test_a_pipe_that_nobody_writes_does_not_keep_a_reload_waiting(served: Served) -> None:
    def play() -> None:
        served.file.unlink()
        os.mkfifo(served.file)
        # Whoever would wait for it would find this in the end.
        guard = threading.Timer(20, lambda: served.file.write_text("plugins: 5\n"))
        guard.start()
        served.supervisor.reload()
        assert guard.is_alive(), "it waited until somebody wrote"
        guard.cancel()
        served.reactor.turn()
        assert "is no regular file any more" in served.told("config.refused")[0]

    served.write(file("good"))
    served.serve(play)


def test_where_it_could_not_be_tried_nothing_is_left_out(tmp_path: Path) -> None:
    def fail(*_arguments: Any) -> Any:
        raise OSError("no process")

    reactor: Any = FakeReactor()
    path = tmp_path / "tierce.yaml"
    path.write_text("data_dir: x\n")
    imports, called = Imports(fail), list[bool]()
    then: Callable[[], None] = lambda: called.append(True)  # noqa: E731 - noted
    imports.look_again(path, reactor, then)
    assert called == []
    reactor.turn()
    assert (called, imports.unusable) == ([True], {})


def test_a_real_child_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "tierce.yaml"
    path.write_text("plugins: {enable: [brittle]}\n")
    imports = Imports(find_unusable)
    assert imports.look(load_registry(path)) == imports.unusable
    assert set(imports.unusable) == {
        ("engine", "brittle"),
        ("filter", "cracked"),
        ("service", "shaky"),
        ("policy handler", "frail"),
    }
    assert imports.unusable["engine", "brittle"] == (
        "plugin 'brittle' (package tierce-brittle): factory of engine 'brittle': importing it ends "
        "its process (exit code 7)"
    )
    assert "libbrittle.so.1" in imports.unusable["filter", "cracked"]


def test_a_file_that_is_a_pipe_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    text = (
        b"data_dir: x\nvolumes:\n  - {name: demo, size: 1 MiB, engine: memory, frontend: iscsi}\n"
    )
    writer = threading.Thread(target=path.write_bytes, args=(text,))
    writer.start()
    imports = Imports(lambda _registry, _known: {("filter", "cracked"): "it raises"})
    config = load_config(path, is_lenient=True, tried=imports.look)
    writer.join()
    assert [volume.name for volume in config.volumes] == ["demo"]
    assert set(config.registry.unusable) == {("filter", "cracked")}
