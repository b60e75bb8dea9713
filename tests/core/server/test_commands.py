"""What the supervisor's socket answers, and when: with processes that are not there."""

from __future__ import annotations

import shutil
from typing import Any

from core.served import Served, while_serving
from serving.volumes import file, jiva, memory
from tierce.process.client import ANSWER_TIMEOUT_S
from tierce.server.supervisor import DELETION_RETRY_S


def create(served: Served, volume: dict[str, Any]) -> Any:
    client = served.client()
    client.send(do="create", id=1, volume=volume, base=str(served.folder))
    return client


@while_serving(memory())
def test_what_is_asked_of_no_volume_or_in_no_words_is_refused(served: Served) -> None:
    (answer,) = served.ask("show", name="nobody")
    assert "nobody" in answer["error"]
    (answer,) = served.ask("dance")
    assert answer == {"error": "the server does not know 'dance'", "exit_code": 2}
    # A bug in answering is told to who asked, and ends nobody.
    (answer,) = served.ask("show")
    assert answer["error"].startswith("it failed: ")
    client = served.client()
    client.send(do="list")
    assert client.replies() == []


@while_serving()
def test_create_is_answered_when_the_volume_can_be_used(served: Served) -> None:
    served.machine.habit("target.new", lambda habits: setattr(habits, "is_starting", True))
    client = create(served, file("new"))
    assert client.replies() == []
    served.machine.program("target.new").say(phase="up")
    served.reactor.turn()
    (answer,) = client.replies()
    assert answer["ok"]["name"] == "new"
    assert (served.folder / "new.img").exists()


@while_serving()
def test_create_whose_target_does_not_start_says_why(served: Served) -> None:
    served.machine.habit("target.new", lambda habits: setattr(habits, "last_words", "no such disk"))
    (answer,) = create(served, file("new")).replies()
    assert answer["error"] == ("volume new is there, but its target does not start: no such disk")
    assert answer["exit_code"] == 6


@while_serving()
def test_create_that_takes_long_is_answered_by_where_to_look(served: Served) -> None:
    served.machine.habit("target.new", lambda habits: setattr(habits, "is_starting", True))
    client = create(served, file("new"))
    served.reactor.advance(ANSWER_TIMEOUT_S)
    (answer,) = client.replies()
    assert answer["error"] == (
        "volume new: not done within 30 s; it goes on, look with `tierce volume show new`"
    )
    served.machine.program("target.new").say(phase="up")
    served.reactor.turn()
    assert client.replies() == []


@while_serving(memory())
def test_a_volume_of_a_name_that_is_taken_or_that_is_wrong_is_refused_as_typed(
    served: Served,
) -> None:
    (answer,) = create(served, memory()).replies()
    assert "demo" in answer["error"]
    assert answer["exit_code"] == 2
    (answer,) = create(served, memory("new", size="much")).replies()
    assert "size" in answer["error"]
    assert answer["exit_code"] == 2


@while_serving()
def test_delete_is_answered_when_all_of_it_has_gone(served: Served) -> None:
    create(served, file("new"))
    target = served.machine.program("target.new")
    target.habits.is_stubborn = True
    client = served.client()
    client.send(do="delete", id=1, name="new", without=[])
    assert client.replies() == []
    assert (served.folder / "new.img").exists()
    (row, _end) = served.ask("list")
    assert row["row"]["state"] == "deleting"
    assert served.ask("show", name="new")[0]["ok"]["deletion"] == "under way"
    target.end()
    served.reactor.turn()
    assert client.replies() == [{"ok": {}}]
    assert not (served.folder / "new.img").exists()
    assert served.ask("list") == [{"ok": {}}]


@while_serving()
def test_a_deletion_waits_for_a_disk_that_is_not_there_and_looks_for_it(served: Served) -> None:
    create(served, jiva("new"))
    (served.folder / "new-2").rename(served.folder / "away")
    (answer,) = served.ask("delete", name="new", without=[])
    assert answer["error"].startswith("volume new is not deleted yet: ")
    assert answer["exit_code"] == 6
    (served.folder / "away").rename(served.folder / "new-2")
    served.reactor.advance(DELETION_RETRY_S)
    assert not (served.folder / "new-2").exists()
    assert served.told("volume.deleted") == ["volume new was deleted"]


@while_serving()
def test_a_deletion_that_waits_can_be_taken_back(served: Served) -> None:
    create(served, jiva("new"))
    (served.folder / "new-2").rename(served.folder / "away")
    served.ask("delete", name="new", without=[])
    (served.folder / "away").rename(served.folder / "new-2")
    assert served.ask("cancel-delete", name="new") == [{"ok": {}}]
    served.reactor.turn()
    assert served.child("target.new").phase == "up"


@while_serving(file())
def test_a_volume_of_the_file_is_deleted_by_nobody(served: Served) -> None:
    (answer,) = served.ask("delete", name="demo", without=[])
    assert "belongs to" in answer["error"]


@while_serving(file())
def test_a_fenced_volume_is_claimed_and_served_again(served: Served) -> None:
    served.machine.program("target.demo").show(fenced="ballot 9")
    served.reactor.turn()
    served.machine.program("target.demo").end()
    served.reactor.turn()
    served.reactor.advance(60.0)
    (row, _end) = served.ask("list")
    assert row["row"]["state"] == "fenced: ballot 9"
    client = served.client()
    client.send(do="claim", id=1, name="demo")
    (answer,) = client.replies()
    assert answer["ok"]["name"] == "demo"
    assert served.child("target.demo").phase == "up"


@while_serving(memory())
def test_nothing_is_claimed_that_is_not_fenced(served: Served) -> None:
    (answer,) = served.ask("claim", name="demo")
    assert answer["error"] == "volume demo is not fenced: there is nothing to claim"


@while_serving(memory())
def test_a_file_is_compared_with_what_is_served(served: Served) -> None:
    served.write(memory(), memory("more"))
    *rows, end = served.ask("diff", file=str(served.file))
    assert end == {"ok": {}}
    found = {row["row"]["what"]: row["row"]["text"] for row in rows}
    assert found["volume demo"] == "nothing"
    assert "volume more" in found
    served.file.write_text("data_dir: ]\n")
    (answer,) = served.ask("diff", file=str(served.file))
    assert answer["error"].endswith("; a reload would change nothing")


@while_serving(jiva())
def test_what_a_loss_would_be_is_said_before_it_is_accepted(served: Served) -> None:
    (answer,) = served.ask("loss", name="demo", keep="replica-1")
    assert answer["ok"]["loss"].startswith("replica-1 is one of those that held every")
    client = served.client()
    client.send(do="accept-loss", id=1, name="demo", keep="replica-1")
    served.reactor.turn()
    (answer,) = client.replies()
    # All processes of the volume were stopped for it, and are there again.
    assert "target.demo" in served.machine.ended
    assert served.child("target.demo").phase == "up"


def test_folders_that_hold_a_volume_are_adopted_and_served(served: Served) -> None:
    folders: list[str] = []

    def script() -> None:
        (answer,) = create(served, jiva("new")).replies()
        folders.extend(answer["ok"]["data"])

    served.serve(script)
    shutil.rmtree(served.paths.state)

    def next_one() -> None:
        assert served.ask("list") == [{"ok": {}}]
        (answer,) = served.ask("adopt", folders=folders, without=[], engine="", frontend="")
        assert answer["ok"]["name"] == "new"
        assert served.child("target.new").phase == "up"

    served.serve(next_one)
