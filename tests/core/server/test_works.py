"""What an engine does hangs, ends its process, is given up or taken over: nobody else waits for it.
The processes are not there; what they do is."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from core.fake_machine import Program
from core.served import Client, Served, while_serving
from serving.volumes import file as kept
from serving.volumes import memory
from tierce import ConflictError
from tierce.inventory.workers import AGAIN_S, ASKED_S, PATIENCE_S, TOLD_S
from tierce.process.client import ANSWER_TIMEOUT_S
from tierce.process.plan import FORK_SERVER, Plan, Role

ADOPT = {"without": [], "engine": "file", "frontend": ""}


def create(served: Served, volume: dict[str, Any]) -> Client:
    client = served.client()
    client.send(do="create", id=1, volume=volume, base=str(served.folder))
    return client


def delete(served: Served, name: str) -> Client:
    client = served.client()
    client.send(do="delete", id=1, name=name, without=[])
    return client


def hang(served: Served) -> None:
    """Let every work hang from now on."""
    served.machine.keeps.add("work")


def go_on(served: Served) -> None:
    """Let works be done again, those that come."""
    served.machine.keeps.discard("work")


def working(served: Served) -> Program:
    return served.machine.program("work.1")


def rows(served: Served) -> dict[str, dict[str, Any]]:
    return {row["row"]["name"]: row["row"] for row in served.ask("list")[:-1]}


@while_serving(memory(), kept("old"))
def test_while_one_hangs_commands_restarts_and_other_volumes_go_on(served: Served) -> None:
    hang(served)
    client = create(served, kept("new"))
    assert client.replies() == []
    assert {name: row["state"] for name, row in rows(served).items()} == {
        "demo": "up",
        "new": "creating",
        "old": "up",
    }
    why = rows(served)["new"]["why"]
    assert why == "it waits for create of the engine file, which is under way"
    served.machine.program("target.demo").end()
    served.reactor.turn()
    go_on(served)
    served.reactor.advance(0.25)
    assert served.child("target.demo").phase == "up"
    other = create(served, kept("other"))
    served.reactor.advance(PATIENCE_S)
    (answer,) = other.replies()
    assert answer["ok"]["name"] == "other"
    assert client.replies() == []


@while_serving()
def test_what_takes_long_is_told_with_its_plugin_and_who_waits_hears_of_it(
    served: Served,
) -> None:
    hang(served)
    client = create(served, kept("new"))
    served.reactor.advance(ASKED_S)
    served.reactor.advance(TOLD_S - ASKED_S)
    (message,) = served.told("volume.work-waits")
    assert message.startswith("volume new: create of the engine file (plugin 'engines'")
    assert "has not returned for 5 s" in message
    served.reactor.advance(ANSWER_TIMEOUT_S)
    (answer,) = client.replies()
    assert answer["error"] == (
        "volume new: not done within 30 s: create of the engine file has not returned; it goes on, "
        "look with `tierce volume show new`"
    )
    assert answer["exit_code"] == 6
    assert len(served.told("volume.work-waits")) == 1


@while_serving()
def test_a_creation_that_hangs_is_given_up_and_undone_by_its_deletion(served: Served) -> None:
    hang(served)
    creating = create(served, kept("new"))
    go_on(served)
    deleting = delete(served, "new")
    assert deleting.replies() == [{"ok": {}}]
    (answer,) = creating.replies()
    assert answer == {"error": "volume new is to be deleted", "exit_code": 6}
    assert served.ask("list") == [{"ok": {}}]
    assert "work.1" in served.machine.ended


@while_serving()
def test_a_deletion_that_hangs_is_begun_anew_by_another_one(served: Served) -> None:
    create(served, kept("new"))
    hang(served)
    first = delete(served, "new")
    assert first.replies() == []
    go_on(served)
    second = delete(served, "new")
    assert (first.replies(), second.replies()) == ([{"ok": {}}], [{"ok": {}}])
    assert served.ask("list") == [{"ok": {}}]
    assert served.told("volume.delete-waits") == []
    assert served.told("volume.deleted") == ["volume new was deleted"]


@while_serving()
def test_a_deletion_that_hangs_is_taken_back(served: Served) -> None:
    create(served, kept("new"))
    hang(served)
    deleting = delete(served, "new")
    go_on(served)
    assert served.ask("cancel-delete", name="new") == [{"ok": {}}]
    (answer,) = deleting.replies()
    assert "volume new is to be kept. Nothing of it is gone" in answer["error"]
    served.reactor.turn()
    assert served.child("target.new").phase == "up"
    assert (served.folder / "new.img").exists()


@while_serving()
def test_a_process_that_ends_in_its_work_costs_that_volume(served: Served) -> None:
    hang(served)
    client = create(served, kept("new"))
    go_on(served)
    working(served).end()
    served.reactor.turn()
    (answer,) = client.replies()
    assert answer["error"].startswith(
        "plugin 'engines' (package tierce): engine file: create of its lifecycle ended the process "
        "in which it was called, or it was killed (its log: "
    )
    assert answer["exit_code"] == 4
    assert served.ask("list") == [{"ok": {}}]


@while_serving()
def test_a_process_that_hangs_up_is_ended_before_anything_is_done_anew(served: Served) -> None:
    hang(served)
    client = create(served, kept("new"))
    go_on(served)
    program = working(served)
    program.hang_up()
    served.reactor.turn()
    assert program.signals == [signal.SIGKILL]
    (answer,) = client.replies()
    assert "ended the process" in answer["error"]


@while_serving(memory())
def test_a_volume_whose_engine_has_no_lifecycle_needs_no_process(served: Served) -> None:
    assert served.ask("delete", name="nobody", without=[])[0]["exit_code"] == 2
    create(served, memory("new"))
    assert delete(served, "new").replies() == [{"ok": {}}]
    assert not any(one.plan.role is Role.WORK for one in served.machine.made)


def test_what_there_is_already_needs_no_process(served: Served) -> None:
    served.write(kept("one"), kept("two"))
    served.serve(lambda: None)
    works = [one for one in served.machine.made if one.plan.role is Role.WORK]
    assert len(works) == 1
    served.serve(lambda: None)
    assert [one for one in served.machine.made if one.plan.role is Role.WORK] == works


def test_what_a_former_server_left_ends_before_the_next_one_begins(served: Served) -> None:
    def leave() -> None:
        hang(served)
        create(served, kept("new"))
        served.vanish()

    def take_over() -> None:
        go_on(served)
        assert served.machine.programs.get(left[0].pid) is None
        assert left[0].signals == [signal.SIGKILL]
        served.reactor.turn()
        assert served.child("target.new").phase == "up"
        assert served.told("volume.created")[-1] == "volume new was created, empty"

    served.write(memory())
    served.serve(leave)
    left = [working(served)]
    go_on(served)
    served.serve(take_over)


def test_what_a_former_server_left_and_the_kernel_keeps_is_told_since_every_work_waits_for_it(
    served: Served,
) -> None:
    def leave() -> None:
        hang(served)
        create(served, kept("new"))
        working(served).habits.is_stuck = True
        served.vanish()

    def take_over() -> None:
        served.reactor.advance(TOLD_S)
        (message,) = served.told("node.process.killed")
        assert message.startswith(f"work.1 (process {left[0].pid}) of a former server is still ")
        assert "no volume is made, changed or deleted before it has gone" in message
        assert rows(served)["demo"]["state"] == "up"
        left[0].habits.is_stuck = False
        left[0].end()
        go_on(served)
        served.reactor.turn()
        assert served.told("volume.created")[-1] == "volume new was created, empty"

    served.write(memory())
    served.serve(leave)
    left = [working(served)]
    served.serve(take_over)


@while_serving()
def test_what_can_not_be_forked_now_is_tried_again(served: Served) -> None:
    served.machine.refuses_forks = "no memory is left"
    client = create(served, kept("new"))
    served.machine.refuses_forks = ""
    assert client.replies() == []
    assert "no memory is left" in served.told("node.process.failed")[0]
    served.reactor.advance(AGAIN_S)
    (answer,) = client.replies()
    assert answer["ok"]["name"] == "new"


@while_serving()
def test_an_adoption_that_hangs_is_given_up_when_who_asked_has_heard_that_it_is_late(
    served: Served,
) -> None:
    hang(served)
    client = served.client()
    client.send(do="adopt", id=1, folders=[str(served.folder)], **ADOPT)
    program = working(served)
    served.reactor.advance(ANSWER_TIMEOUT_S)
    (answer,) = client.replies()
    assert answer["error"] == "adopt: an engine has not answered within 30 s"
    assert program.signals == [signal.SIGKILL]
    go_on(served)
    (answer,) = served.ask("adopt", folders=[str(served.folder)], **ADOPT)
    assert "these folders hold no volume that can be adopted: file: " in answer["error"]


@while_serving(memory())
def test_a_reload_that_an_engine_holds_up_is_told_with_what_is_under_way(served: Served) -> None:
    hang(served)
    served.write(memory(), kept("new"))
    served.supervisor.reload()
    served.reactor.turn()
    assert served.told("config.reloaded") == []
    served.reactor.advance(TOLD_S)
    (message,) = served.told("config.reloaded")
    assert message.endswith(": nothing has changed; under way: new")
    assert served.child("target.demo").phase == "up"


@while_serving(memory())
def test_a_reload_is_told_when_all_of_it_is_done(served: Served) -> None:
    served.write(memory(), kept("new"))
    served.supervisor.reload()
    served.reactor.turn()
    (message,) = served.told("config.reloaded")
    assert message.endswith(": added new")
    served.reactor.advance(TOLD_S)
    assert len(served.told("config.reloaded")) == 1


@while_serving(memory())
def test_a_process_of_other_plugins_is_given_nothing(served: Served) -> None:
    hang(served)
    client = create(served, kept("new"))
    go_on(served)
    # Forked late, for a server that has gone.
    program = served.machine.run(Plan("work.2", Role.WORK, settings={"plugins": ["others"]}))
    other = create(served, kept("other"))
    served.reactor.advance(PATIENCE_S)
    assert program.signals == [signal.SIGTERM]
    assert not any(one["do"] == "work" for one in program.heard)
    (answer,) = other.replies()
    assert answer["ok"]["name"] == "other"
    assert client.replies() == []


def test_a_start_waits_for_what_has_to_be_made_and_ends_where_that_is_all_and_fails(
    served: Served,
) -> None:
    served.write(kept("demo"))
    (served.folder / "demo.img").write_bytes(b"letters")
    with pytest.raises(ConflictError, match=r"demo\.img"):
        served.serve(lambda: None)
    assert served.machine.names() == []
    assert FORK_SERVER in served.machine.ended
    assert "Tierce" not in served.out.getvalue()
