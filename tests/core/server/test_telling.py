"""What services are told: the processes, the healths, the events."""

from __future__ import annotations

from core.served import Served, while_serving
from serving.volumes import file


@while_serving(file())
def test_every_process_and_every_health_is_told(served: Served) -> None:
    served.ask("list")
    *rows, end = served.ask("processes")
    assert end == {"ok": {}}
    (processes,) = [row["row"]["processes"] for row in rows if "processes" in row["row"]]
    assert {one["name"]: one["state"] for one in processes} == dict.fromkeys(
        served.machine.names(), "up"
    )
    assert {one["pid"] for one in processes} == {
        served.child(name).pid for name in served.machine.names()
    }
    (volumes,) = [row["row"]["volumes"] for row in rows if "volumes" in row["row"]]
    (record,) = served.supervisor.inventory.records().values()
    assert volumes["demo"] == {
        "uuid": record.uuid,
        "engine": "file",
        "frontends": ["iscsi"],
        "size_bytes": 64 << 20,
        "block_size": 512,
    }
    (health,) = [row["row"]["health"] for row in rows if "health" in row["row"]]
    assert set(health) == {"demo"}


@while_serving({**file(), "labels": {"team": "billing"}}, file("other"))
def test_labels_are_told_of_the_volumes_that_have_some(served: Served) -> None:
    *rows, _end = served.ask("processes")
    assert [row["row"]["labels"] for row in rows if "labels" in row["row"]] == [
        {"demo": {"team": "billing"}}
    ]
    (shown,) = served.ask("show", name="demo")
    assert shown["ok"]["settings"]["labels"] == {"team": "billing"}


@while_serving()
def test_events_are_told_after_a_number_and_without_one_their_last_number(served: Served) -> None:
    served.client().send(do="create", id=1, volume=file("new"), base=str(served.folder))
    served.reactor.turn()
    (answer,) = served.ask("events")
    last = answer["ok"]["last"]
    assert last > 0
    *rows, end = served.ask("events", after=0)
    assert end == {"ok": {"last": last}}
    assert sum(len(row["row"]["events"]) for row in rows) == last
    assert served.ask("events", after=last) == [{"ok": {"last": last}}]
    (answer,) = served.ask("events", after="x")
    assert answer["error"] == "events after 'x': expected a number"
