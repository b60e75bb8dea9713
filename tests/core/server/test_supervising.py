"""The supervisor at work on a machine without processes: what it starts, tells, adopts, stops."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from core.served import Served, while_serving
from serving.volumes import file, jiva, memory
from tierce import ConflictError, TierceError
from tierce.inventory.planning import plan_all
from tierce.process.plan import FORK_SERVER, Plan, Role
from tierce.server.event_log import Console
from tierce.server.fencing import note_fenced
from tierce.server.supervisor import serve
from tierce.state import acquire
from tierce.volume.statistics import StatisticsPage

SIGTERM, SIGKILL = signal.SIGTERM, signal.SIGKILL


@while_serving(memory())
def test_it_starts_the_fork_server_then_what_is_forked_from_it(served: Served) -> None:
    assert set(served.machine.names()) == {FORK_SERVER, "portal", "target.demo"}
    assert served.child("target.demo").phase == "up"
    assert served.machine.adopts_orphans


@while_serving(jiva())
def test_a_replicated_volume_has_a_process_for_each_replica(served: Served) -> None:
    members = [f"member.demo.replica-{number}" for number in (1, 2, 3)]
    assert set(served.machine.names()) == {FORK_SERVER, *members, "portal", "target.demo"}


@while_serving(memory())
def test_the_portal_is_told_where_to_lead_and_then_to_open(served: Served) -> None:
    told = [one for one in served.machine.program("portal").heard if one["do"] != "ping"]
    assert [one["do"] for one in told].count("open") == 1
    assert told[0]["do"] == "route"
    last = [one for one in told if one["do"] == "route"][-1]
    assert (last["volume"], last["frontend"], last["is_up"]) == ("demo", "iscsi", True)
    assert "volume demo: " in served.out.getvalue()


@while_serving(memory())
def test_a_target_that_dies_is_routed_as_down_and_started_again_after_its_delay(
    served: Served,
) -> None:
    served.machine.program("target.demo").end()
    served.reactor.turn()
    assert set(served.machine.names()) == {FORK_SERVER, "portal"}
    routes = [one for one in served.machine.program("portal").heard if one["do"] == "route"]
    assert routes[-1]["is_up"] is False
    served.reactor.advance(0.125)
    assert set(served.machine.names()) == {FORK_SERVER, "portal", "target.demo"}
    assert served.told("volume.emptied") == [
        "volume demo is empty again: engine memory keeps nothing when its process ends"
    ]


@while_serving(file())
def test_a_volume_in_a_file_is_not_told_to_be_empty_when_its_target_comes_back(
    served: Served,
) -> None:
    served.machine.program("target.demo").end()
    served.reactor.turn()
    served.reactor.advance(0.125)
    assert served.child("target.demo").phase == "up"
    assert served.told("volume.emptied") == []


@while_serving(memory())
def test_with_the_fork_server_gone_what_runs_runs_on_and_a_new_one_comes(served: Served) -> None:
    served.machine.program(FORK_SERVER).end()
    served.reactor.turn()
    assert set(served.machine.names()) == {"portal", "target.demo"}
    served.reactor.advance(0.125)
    assert set(served.machine.names()) == {FORK_SERVER, "portal", "target.demo"}
    assert served.machine.ended == [FORK_SERVER]


@while_serving(memory())
def test_at_the_end_the_portal_goes_before_the_target_and_the_fork_server_last(
    served: Served,
) -> None:
    served.machine.program("portal").habits.is_stubborn = True
    served.supervisor.stop()
    served.reactor.turn()
    # The target waits for what leads to it.
    assert served.machine.program("target.demo").signals == []
    served.machine.program("portal").end()
    served.reactor.turn()
    assert served.machine.ended[:2] == ["portal", "target.demo"]
    assert served.machine.names() == []
    assert served.reactor.is_stopped


@while_serving(memory())
def test_what_does_not_end_in_its_time_is_killed_and_that_is_told(served: Served) -> None:
    target = served.machine.program("target.demo")
    target.habits.is_stubborn = True
    served.supervisor.stop()
    served.reactor.turn()
    assert target.signals == [SIGTERM]
    served.reactor.advance(10.0)
    assert target.signals == [SIGTERM, SIGKILL]
    (message,) = served.told("node.process.killed")
    assert message == f"target.demo (process {target.pid}) did not stop within 10 s and was killed"
    assert served.reactor.is_stopped


@while_serving(memory())
def test_a_second_wish_to_end_hurries(served: Served) -> None:
    target = served.machine.program("target.demo")
    target.habits.is_stubborn = True
    served.supervisor.stop()
    served.reactor.turn()
    served.supervisor.stop()
    served.reactor.advance(1.0)
    assert target.signals == [SIGTERM, SIGKILL]


@while_serving(memory())
def test_what_the_kernel_keeps_is_left_behind_at_the_end(served: Served) -> None:
    target = served.machine.program("target.demo")
    target.habits.is_stuck = True
    served.supervisor.stop()
    served.reactor.turn()
    served.reactor.advance(10.0)
    assert target.signals == [SIGTERM, SIGKILL]
    assert not served.reactor.is_stopped
    served.reactor.advance(10.0)
    assert served.reactor.is_stopped
    assert "is left behind" in served.told("node.process.killed")[-1]
    assert set(served.machine.names()) == {"target.demo"}


def test_what_a_killed_supervisor_left_is_adopted_not_started_again(served: Served) -> None:
    served.write(memory())
    served.serve(served.vanish)
    before = {one.plan.name: one.pid for one in served.machine.programs.values()}

    def next_one() -> None:
        after = {one.plan.name: one.pid for one in served.machine.programs.values()}
        assert after == before
        assert all(served.child(name).is_adopted for name in before)
        assert served.told("volume.emptied") == []

    served.serve(next_one)
    assert served.machine.names() == []


def test_what_is_left_by_other_settings_is_started_anew(served: Served) -> None:
    served.write(file(size="1 MiB"), file("other"))
    served.serve(served.vanish)
    before = served.machine.program("target.demo").pid
    served.write({**file(size="1 MiB"), "block_size": 512, "filters": []}, file("new"))

    def next_one() -> None:
        assert served.machine.program("target.demo").pid == before
        assert "target.other" in served.machine.ended
        assert "target.new" in served.machine.names()

    served.serve(next_one)


def test_one_that_lives_and_is_deaf_is_stopped_and_started_anew(served: Served) -> None:
    served.write(file())
    served.serve(served.vanish)
    old = served.machine.program("target.demo")
    served.paths.socket("target.demo").unlink()

    def next_one() -> None:
        assert old.signals == [SIGTERM]
        assert served.child("target.demo").pid != old.pid

    served.serve(next_one)


def test_a_process_of_no_known_kind_is_let_be(served: Served) -> None:
    served.write(memory())
    plan = Plan(FORK_SERVER, Role.FORK_SERVER)
    lock = acquire(served.paths.lock("odd"), {"name": "odd", "role": "conductor"}, what="odd")
    served.serve(lambda: None)
    lock.release()
    assert plan.name in served.machine.ended


@while_serving(memory())
def test_a_page_of_what_no_longer_runs_is_dropped(served: Served) -> None:
    page = served.paths.page("demo")
    page.write_bytes(b"numbers")
    served.write()
    served.supervisor.reload()
    served.reactor.turn()
    assert set(served.machine.names()) == {FORK_SERVER, "portal"}
    assert not page.exists()


@while_serving(memory())
def test_a_fenced_target_stays_down_in_the_state_and_its_note_goes(served: Served) -> None:
    note = served.paths.ended("target.demo")
    note.write_text("ballot 9 is elsewhere")
    served.machine.program("target.demo").end()
    served.reactor.turn()
    served.reactor.advance(60.0)
    assert "target.demo" not in served.machine.names()
    assert served.supervisor.inventory.find("demo").fenced == "ballot 9 is elsewhere"
    assert not note.exists()


@while_serving(memory())
def test_a_fence_whose_note_can_not_go_is_told(served: Served) -> None:
    served.paths.ended("target.strange").mkdir()
    note_fenced(served.supervisor.node)
    (message,) = served.told("volume.fence-failed")
    assert message.startswith("target.strange is fenced, which can't be noted: ")
    assert served.paths.ended("target.strange").exists()


@while_serving(memory())
def test_a_reload_that_is_refused_as_a_whole_changes_nothing(served: Served) -> None:
    served.file.write_text("data_dir: ./elsewhere\n")
    served.supervisor.reload()
    served.reactor.turn()
    assert set(served.machine.names()) == {FORK_SERVER, "portal", "target.demo"}
    (message,) = served.told("config.refused") or served.told("config.reload-failed")
    assert "data_dir" in message


@while_serving(memory())
def test_a_reload_serves_what_is_new_and_says_so(served: Served) -> None:
    served.write(memory(), memory("more"))
    served.supervisor.reload()
    served.reactor.turn()
    assert "target.more" in served.machine.names()
    assert any("added more" in message for message in served.told("config.reloaded"))


@while_serving(memory())
def test_sighup_reloads_and_sigterm_ends(served: Served) -> None:
    served.write(memory(), memory("more"))
    signal.raise_signal(signal.SIGHUP)
    served.reactor.turn()
    assert "target.more" in served.machine.names()
    signal.raise_signal(signal.SIGTERM)
    served.reactor.turn()
    assert served.reactor.is_stopped


@while_serving(memory())
def test_a_bug_in_a_callback_is_told_and_ends_nobody(served: Served) -> None:
    assert served.reactor.failed is not None
    served.reactor.failed(ZeroDivisionError("by zero"))
    (message,) = served.told("serve.bug")
    assert "ZeroDivisionError: by zero" in message


def write_page(served: Served, volume: str, member: str = "") -> Path:
    """A page, as a process of it writes one."""
    StatisticsPage.create(served.paths.page(volume, member)).close()
    return served.paths.page(volume, member)


def test_counters_outlive_a_stop_in_order_and_a_deletion_removes_them(served: Served) -> None:
    served.write(memory())
    pages: list[Path] = []
    served.serve(lambda: pages.append(write_page(served, "demo")))
    (page,) = pages
    assert page.exists()
    served.serve(lambda: None)
    assert page.exists()

    def delete() -> None:
        served.write()
        served.supervisor.reload()
        served.reactor.turn()
        served.client().send(do="delete", id=1, name="demo", without=[])
        served.reactor.advance(1)

    served.serve(delete)
    assert not page.exists()


def test_counters_of_what_is_no_volume_any_more_go_at_the_next_start(served: Served) -> None:
    gone = [write_page(served, "old"), write_page(served, "old", "replica-1")]
    gone += [write_page(served, "demo", "replica-9")]
    served.paths.traces("old").touch()
    kept = [write_page(served, "demo"), write_page(served, "demo", "replica-1")]
    served.write(jiva())
    served.serve(lambda: None)
    assert not any(path.exists() for path in (*gone, served.paths.traces("old")))
    assert all(path.exists() for path in kept)


@while_serving(memory())
def test_a_round_of_the_servers_own_loop_that_is_slow_is_told(served: Served) -> None:
    served.reactor.slow_round(300_000_000, "Router.update of tierce.server.routing")
    (message,) = served.told("node.process.held-up")
    assert message.startswith("serve: its loop was held up for 300 ms, in Router.update of")


def test_two_servers_of_one_data_folder_are_refused(served: Served) -> None:
    served.write(memory())
    lock = acquire(served.paths.serve_lock, {"name": "serve"}, what="x")
    with pytest.raises(ConflictError, match=r"is held by process \d+"):
        serve(served.file, Console(served.out))
    lock.release()


def test_where_nothing_can_be_served_the_end_says_so(served: Served) -> None:
    served.write({**memory(), "engine": "none"})
    with pytest.raises(TierceError, match="demo"):
        serve(served.file, Console(served.out))


def test_a_data_folder_that_is_a_file_is_refused(served: Served) -> None:
    served.write(memory(), data_dir="./tierce.yaml")
    with pytest.raises(TierceError, match="is no folder"):
        serve(served.file, Console(served.out))


def test_the_fork_server_is_started_by_its_plan(served: Served) -> None:
    served.write(memory())

    def script() -> None:
        (plan,) = [one for one in plan_all(served.supervisor.inventory) if one.name == FORK_SERVER]
        assert plan.settings["plugins"] == ["engines", "exporters", "iscsi", "jiva"]
        assert served.child(FORK_SERVER).digest == plan.digest

    served.serve(script)
