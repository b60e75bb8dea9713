"""Forks asked of a fork server that refuses, waits, or goes meanwhile; and what a fork becomes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.served import Served, while_serving
from serving.volumes import file, memory
from tierce.process.messages import receive
from tierce.process.paths import Paths
from tierce.process.plan import EXIT_TAKEN, FORK_SERVER, Plan, Role
from tierce.process.process_loop import take_process_lock
from tierce.registry import Registry
from tierce.supervision.child import describe
from tierce.supervision.children import FORK_COUNT_MAX
from tierce.supervision.fork_server import Forked, become

PLAN = Plan("target.x", Role.TARGET, "x")


def change(served: Served, *volumes: dict[str, object]) -> None:
    served.write(*volumes)
    served.supervisor.reload()
    served.reactor.turn()


@while_serving()
def test_a_fork_that_is_refused_is_told_and_tried_again(served: Served) -> None:
    served.machine.refuses_forks = "no memory"
    change(served, memory())
    (told,) = served.told("node.process.died")
    assert told.startswith("target.demo: no memory; starting it again in 0.125 s")
    assert describe(served.child("target.demo"))["trouble"] == "no memory"
    served.machine.refuses_forks = ""
    served.reactor.advance(0.125)
    assert served.child("target.demo").phase == "up"


@while_serving()
def test_one_that_is_stopped_while_it_is_forked_is_stopped_once_it_is_there(
    served: Served,
) -> None:
    served.machine.keeps_forks = True
    change(served, memory())
    assert served.child("target.demo").pid == 0
    change(served)
    served.machine.fork_kept()
    served.reactor.turn()
    assert "target.demo" in served.machine.ended
    assert "target.demo" not in served.machine.names()


@while_serving()
def test_a_fork_server_that_goes_in_the_middle_of_a_fork_costs_a_try(served: Served) -> None:
    served.machine.keeps_forks = True
    change(served, memory())
    served.machine.program(FORK_SERVER).end()
    served.machine.keeps_forks = False
    served.reactor.turn()
    served.reactor.advance(0.25)
    served.reactor.advance(0.25)
    assert served.child("target.demo").phase == "up"


@while_serving()
def test_no_more_forks_are_under_way_than_are_allowed(served: Served) -> None:
    served.machine.keeps_forks = True
    change(served, *(memory(f"v{number}") for number in range(FORK_COUNT_MAX + 6)))
    assert len(served.machine.kept_forks) == FORK_COUNT_MAX
    # The portal was there before.
    served.machine.keeps_forks = False
    served.machine.fork_kept()
    served.reactor.turn()
    assert len(served.machine.names()) == FORK_COUNT_MAX + 6 + 2


@while_serving(memory())
def test_a_fork_server_that_is_going_is_asked_for_nothing(served: Served) -> None:
    going = served.child(FORK_SERVER)
    going.stop_asked_at = served.reactor.now()
    assert not served.supervisor.children.start(PLAN)
    going.stop_asked_at = None


@while_serving(memory())
def test_a_process_that_does_not_answer_is_told_then_killed_and_started_anew(
    served: Served,
) -> None:
    target = served.machine.program("target.demo")
    limits = served.supervisor.watchdog.limits
    for _look in range(3):
        served.reactor.advance(limits.silence_told_s / 2)
    target.habits.is_silent = True
    while not served.told("node.process.silent"):
        served.reactor.advance(limits.silence_told_s / 2)
    assert describe(served.child("target.demo"))["phase"] == "silent"
    while signal.SIGKILL not in target.signals:
        served.reactor.advance(limits.silence_told_s / 2)
    target.habits.is_silent = False
    served.reactor.advance(1.0)
    assert served.child("target.demo").pid not in (0, target.pid)


@while_serving(file())
def test_a_lost_connection_is_made_again_and_tried_again_while_nobody_listens(
    served: Served,
) -> None:
    target = served.machine.program("target.demo")
    path = served.paths.socket("target.demo")
    path.rename(path.with_name("away"))
    target.hang_up()
    served.reactor.turn()
    served.reactor.advance(1.0)
    assert served.child("target.demo").peer is None
    path.with_name("away").rename(path)
    served.reactor.advance(1.0)
    assert served.child("target.demo").peer is not None
    assert served.child("target.demo").pid == target.pid


@contextlib.contextmanager
def output_as_it_was() -> Iterator[None]:
    kept_ends = [os.dup(number) for number in (0, 1, 2)]
    try:
        yield
    finally:
        for number, end in enumerate(kept_ends):
            os.dup2(end, number)
            os.close(end)


def test_what_can_not_become_what_it_was_forked_for_says_so_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(tmp_path)
    paths.make()
    # A session of its own would take the tests from their terminal.
    sessions: list[int] = []
    monkeypatch.setattr(os, "setsid", lambda: sessions.append(1))
    comm = Path("/proc/self/comm").read_text().strip()
    lock = take_process_lock(paths, PLAN)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, output_as_it_was():
        assert become(paths, Registry.build([]), Forked(PLAN, theirs)) == EXIT_TAKEN
        packet = receive(ours)
    Path("/proc/self/comm").write_text(comm)
    lock.release()
    assert packet is not None
    assert packet[0]["event"]["message"].startswith("target.x: the place of process target.x is")
    assert sessions == [1]
    # What it writes from then on is in its own log.
    assert paths.log("target.x").exists()
