"""A real server with real processes and a real initiator."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from serving.processes import is_alive, wait_until
from serving.qemu_io import reads
from serving.server import Server
from serving.volumes import file, jiva, memory

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io (qemu-utils)"),
]


@pytest.mark.parametrize("victim", ["portal", "template"])
def test_killing_portal_or_fork_server_stops_no_io_and_it_comes_back(
    server: Server, victim: str
) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    session = server.initiator()
    session.write(1)
    target, old = server.pid("target.demo"), server.pid(victim)
    os.kill(old, signal.SIGKILL)
    session.read(1)
    server.new_pid(victim, old)
    session.write(2)
    server.initiator().read(2)
    assert server.pid("target.demo") == target


def test_killing_the_supervisor_stops_nothing_and_the_next_one_adopts_the_living(
    server: Server,
) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    session = server.initiator()
    session.write(1)
    before = server.children()
    for pid in before.values():
        # What the supervisor has open is none of theirs.
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        assert not [link for link in links if "/state/" in link or "serve.lock" in link]
    server.kill()
    session.write(2)
    server.initiator().read(2)
    assert "no server runs" in server.command("volume", "list").stderr
    server.run("demo")
    session.read(2)
    assert server.children() == before
    assert "3 running processes were taken over" in server.said()
    # The adopted are watched as the own ones are.
    os.kill(before["target.demo"], signal.SIGKILL)
    server.new_pid("target.demo", before["target.demo"])


def test_a_killed_target_comes_back_for_its_initiator(server: Server) -> None:
    server.configure(file("demo", "./demo.img"))
    server.run("demo")
    session = server.initiator()
    session.write(1)
    old = server.pid("target.demo")
    os.kill(old, signal.SIGKILL)
    server.new_pid("target.demo", old)
    wait_until(lambda: reads(server.url(), 1), "the portal knows it, and it has the bytes")
    assert "target.demo: process" in server.said()


def test_everything_killed_comes_back_with_its_data(server: Server) -> None:
    server.configure(file("demo", "./demo.img"))
    server.run("demo")
    server.initiator().write(5)
    server.kill_all()
    server.run("demo")
    server.initiator().read(5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_orderly_end_leaves_no_process_behind(server: Server, number: signal.Signals) -> None:
    server.configure(memory("demo"), file("other", "./other.img"))
    server.run("demo", "other")
    server.initiator().write(1)
    pids = server.children()
    assert len(pids) == 4
    server.stop(number)
    wait_until(lambda: not any(map(is_alive, pids.values())), "all have ended")
    assert not list((server.data / "run").glob("*.sock"))
    assert "and was killed" not in server.said()


def test_a_process_that_will_not_stop_is_killed_and_said_so(server: Server) -> None:
    server.configure(memory("demo"), limits={"stop_timeout_s": 1})
    server.run("demo")
    os.kill(server.pid("target.demo"), signal.SIGSTOP)
    server.stop(signal.SIGTERM)
    assert "did not stop within 1 s and was killed" in server.said()


def test_a_second_server_is_refused_naming_the_first(server: Server) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    second = server.command("serve", str(server.file))
    assert second.returncode == 7
    pid = json.loads((server.data / "serve.lock").read_text())["pid"]
    assert f"is held by process {pid} " in second.stderr
    server.initiator().write(1)


def test_a_taken_port_names_its_holder_and_starts_nothing(server: Server) -> None:
    server.configure(memory("demo"))
    with socket.create_server(("127.0.0.1", server.port)):
        refused = server.command("serve", str(server.file))
    assert refused.returncode == 7
    assert f"127.0.0.1:{server.port} is taken by process {os.getpid()} (" in refused.stderr
    assert server.children() == {}


def test_a_data_folder_may_have_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / ("longer-" * 20)
    folder.mkdir(parents=True)
    name = "v" + "0123456789" * 6 + "xy"
    with Server(folder) as server:
        server.configure(memory(name))
        server.run(name)
        server.initiator(name).write(1)
        assert name in server.command("volume", "list").stdout


def test_members_are_restarted_and_stopped_after_their_target(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    session = server.initiator()
    session.write(1)
    member = "member.demo.replica-1"
    old = server.pid(member)
    os.kill(old, signal.SIGKILL)
    session.write(2)
    server.new_pid(member, old)
    pids = server.children()
    server.stop()
    wait_until(lambda: not any(map(is_alive, pids.values())), "all have ended")
    assert "and was killed" not in server.said()


def test_a_terminal_that_closes_ends_nothing(server: Server) -> None:
    server.configure(memory("demo"))
    ours, theirs = os.openpty()
    server.start(theirs)
    os.close(theirs)
    shown = b""
    while b"url" not in shown:
        shown += os.read(ours, 4096)
    session = server.initiator()
    session.write(1)
    os.close(ours)
    # What the kernel sends to who had the terminal; it means a reload here.
    server.send(signal.SIGHUP)
    log = server.data / "logs" / "serve.log"
    wait_until(lambda: "config.reloaded" in log.read_text(), "the file is read again")
    session.read(1)
    server.stop()


def test_a_service_and_a_policy_handler_run_beside_the_data_path(server: Server) -> None:
    server.lay_out("taken")
    policy = {"kind": "watch", "name": "p", "selector": {"volumes": ["demo"]}}
    seen = server.folder / "seen.json"
    services = {"tofile": {"path": str(seen)}}
    server.configure(memory("demo"), memory("other"), services=services, policies=[policy])
    server.run("demo", "other")
    wait_until(lambda: "policy sees ['demo']" in server.said(), "the policy is applied")
    server.initiator().write(1)

    def is_exported() -> bool:
        with contextlib.suppress(OSError, ValueError, KeyError):
            demo = json.loads(seen.read_text())["demo"]
            is_up = demo["target"]["state"] == "up"
            return is_up and bool(demo["target"]["stages"]["volume"]["write"]["count"])
        return False

    wait_until(is_exported, "the service sees the write")
    old = server.pid("service.tofile")
    os.kill(old, signal.SIGKILL)
    new = server.new_pid("service.tofile", old)
    server.stop(signal.SIGTERM)
    wait_until(lambda: not is_alive(new), "the service has ended")
    assert "and was killed" not in server.said()


def test_a_fenced_target_stays_down_until_it_is_claimed(server: Server) -> None:
    def state() -> str:
        return str(server.rows()["demo"]["state"])

    server.lay_out("taken")
    taken = server.folder / "taken"
    server.configure({**memory("demo"), "engine": "stranger", "options": {"path": str(taken)}})
    server.run("demo")
    old = server.pid("target.demo")
    taken.touch()
    wait_until(lambda: not is_alive(old), "the target has ended")
    wait_until(lambda: state() == "fenced: ballot 9 is elsewhere", "it is known to be fenced")
    # A new server knows it too.
    server.kill()
    server.start()
    wait_until(lambda: server.command("volume", "list").returncode == 0, "it answers")
    assert state() == "fenced: ballot 9 is elsewhere"
    assert server.pid("target.demo") == old
    taken.unlink()
    claimed = server.command("volume", "claim", "demo")
    assert claimed.returncode == 0, claimed.stderr
    server.new_pid("target.demo", old)
    server.initiator().write(1)
