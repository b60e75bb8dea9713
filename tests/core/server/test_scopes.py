"""Services of volumes and of control, by a supervisor whose processes are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.served import Served
from serving.strangers import lay_out
from serving.volumes import file, memory
from tierce import ConfigError
from tierce.config import load_config

SERVICES = {"watchman": {"folder": "."}, "captain": {"folder": "."}}


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(("watchman",), tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))


def services(served: Served) -> list[str]:
    return [name for name in served.machine.names() if name.startswith("service.")]


def reload(served: Served) -> None:
    served.supervisor.reload()
    served.reactor.turn()
    served.reactor.turn()


def test_a_service_of_volumes_comes_and_goes_with_each_and_one_of_control_runs_once(
    served: Served,
) -> None:
    def play() -> None:
        both = ["service.watchman.demo", "service.watchman.other"]
        assert services(served) == ["service.captain", *both]
        pid = served.child("service.watchman.demo").pid
        served.write(memory("demo"), services=SERVICES)
        reload(served)
        assert services(served) == ["service.captain", "service.watchman.demo"]
        served.write(memory("demo"), memory("third"), services=SERVICES)
        reload(served)
        assert services(served)[1:] == ["service.watchman.demo", "service.watchman.third"]
        assert served.child("service.watchman.demo").pid == pid, "the others are left alone"

    served.write(memory("demo"), memory("other"), services=SERVICES)
    served.serve(play)


def test_a_volume_is_deleted_when_its_service_has_gone_too(served: Served) -> None:
    def play() -> None:
        served.machine.habit(
            "service.watchman.demo", lambda habits: setattr(habits, "is_stubborn", True)
        )
        served.write(services=SERVICES)
        reload(served)
        client = served.client()
        client.send(do="delete", id=1, name="demo", without=[])
        assert client.replies() == []
        served.machine.program("service.watchman.demo").end()
        served.reactor.turn()
        assert client.replies() == [{"ok": {}}]

    served.write(file("demo"), services=SERVICES)
    served.serve(play)


def test_what_a_service_of_a_volume_says_is_about_the_volume_and_no_part_of_its_health(
    served: Served,
) -> None:
    def play() -> None:
        (before,) = served.ask("show", name="demo")
        served.machine.program("service.watchman.demo").end()
        served.reactor.turn()
        (answer,) = served.ask("show", name="demo")
        names = {one["name"]: one["phase"] for one in answer["ok"]["processes"]}
        assert names == {"target.demo": "up", "service.watchman.demo": "down"}
        assert answer["ok"]["health"] == before["ok"]["health"]
        events = served.supervisor._store.events(1000)
        died = [one["subject"] for one in events if one["code"] == "node.process.died"]
        assert died == ["volume/demo/service.watchman"]
        served.reactor.advance(0.125)
        assert "service.watchman.demo" in services(served)

    served.write(memory("demo"), services=SERVICES)
    served.serve(play)


def test_one_of_a_pool_is_refused_with_file_and_line(served: Served) -> None:
    served.file.write_text("data_dir: ./data\nservices:\n  lifeguard: {folder: .}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(served.file)
    assert str(caught.value) == (
        f"{served.file}:3: services.lifeguard: the service 'lifeguard' is one of a pool, and this "
        "Tierce has no pools"
    )
