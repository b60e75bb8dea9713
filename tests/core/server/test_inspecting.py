"""What `list` and `show` tell of a volume."""

from __future__ import annotations

from core.served import Served, while_serving
from core.volume.test_trace_ring import io
from serving.volumes import file, jiva, memory
from tierce.server.inspecting import settings
from tierce.state import Owner, Phase, VolumeRecord
from tierce.volume.statistics import StatisticsPage
from tierce.volume.trace_ring import TraceRing


@while_serving(memory(), file("other"))
def test_list_has_a_row_for_each_volume(served: Served) -> None:
    *rows, end = served.ask("list")
    assert end == {"ok": {}}
    assert [row["row"]["name"] for row in rows] == ["demo", "other"]
    row = rows[0]["row"]
    assert (row["engine"], row["state"], row["size"]) == ("memory", "up", 64 << 20)
    assert row["wanted"]


@while_serving(file())
def test_show_tells_its_settings_where_they_are_from_its_data_and_its_processes(
    served: Served,
) -> None:
    page = StatisticsPage.create(served.paths.page("demo"))
    page.publish("engine", {"state": "open", "details": {"depth": 4, "uuid": "a stranger's"}})
    ring = TraceRing.create(served.paths.traces("demo"))
    ring.write(io(512, ("device", "", 0, 311_000_000, 0)))
    ring.close()
    (answer,) = served.ask("show", name="demo")
    shown = answer["ok"]
    assert shown["settings"]["size"] == 64 << 20
    assert shown["origins"]["size"] == f"{served.file}:1"
    assert shown["origins"]["block_size"] == "default"
    assert shown["data"] == [str(served.folder / "demo.img")]
    (process,) = shown["processes"]
    assert (process["name"], process["phase"]) == ("target.demo", "up")
    (slow,) = shown["slow"]
    assert "WRITE of 4096 bytes at 512 took 312.0 ms" in slow
    # What is published may add to ours, and hides nothing of it.
    assert shown["depth"] == 4
    assert len(shown["uuid"]) == 32
    assert shown["usage"]["url"] == "iscsi://127.0.0.1:3260/iqn.2026-11.io.tierce:demo/0"
    page.close()


def test_of_a_volume_that_is_not_served_the_settings_of_its_record_are_shown() -> None:
    mapping = {"size": 512, "frontend": "iscsi", "secret": "word"}
    record = VolumeRecord("gone", "0" * 32, 0.0, Owner.STATE, Phase.READY, mapping)
    assert settings(None, record) == {
        "size": 512,
        "block_size": None,
        "engine": None,
        "frontend": "iscsi",
    }


@while_serving(jiva())
def test_show_of_a_replicated_volume_names_each_folder_and_process(served: Served) -> None:
    (answer,) = served.ask("show", name="demo")
    shown = answer["ok"]
    assert shown["data"] == [str(served.folder / f"demo-{number}") for number in range(3)]
    assert len(shown["processes"]) == 4


@while_serving(jiva())
def test_show_tells_how_much_each_replica_takes_that_knows_it(served: Served) -> None:
    pages = [StatisticsPage.create(served.paths.page("demo", f"replica-{n}")) for n in (1, 2)]
    for page, status in zip(pages, ({"used_bytes": 8192}, {}), strict=True):
        page.publish("member", {"name": "replica", "state": "up", **status})
    (answer,) = served.ask("show", name="demo")
    assert answer["ok"]["used_bytes"] == {"replica-1": 8192}
    for page in pages:
        page.close()


@while_serving(memory())
def test_the_engine_s_word_for_its_state_is_part_of_the_row(served: Served) -> None:
    page = StatisticsPage.create(served.paths.page("demo"))
    page.publish("engine", {"state": "degraded"})
    (row, _end) = served.ask("list")
    assert row["row"]["state"] == "up, degraded"
    page.close()


@while_serving(memory())
def test_options_that_are_kept_though_others_are_wanted_are_shown(served: Served) -> None:
    served.machine.program("target.demo").show(kept_options={"engine": "it said no"})
    served.reactor.turn()
    (answer,) = served.ask("show", name="demo")
    assert answer["ok"]["kept_options"] == {"engine": "it said no"}
