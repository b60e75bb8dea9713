"""A real server with real processes and a real initiator."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from serving.processes import WAIT_S, free_port, is_alive, wait_until
from serving.server import Server
from serving.volumes import file, jiva, memory
from tierce_engines.doubt import Doubt, DoubtNote

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
    wait_until(lambda: reads(server, 1), "the portal knows that it is up, and it has the bytes")
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


def test_a_reload_adds_changes_and_removes(server: Server) -> None:
    server.configure(memory("demo"), memory("gone"))
    server.run("demo", "gone")
    session = server.initiator()
    session.write(1)
    gone, demo = server.pid("target.gone"), server.pid("target.demo")
    server.configure(memory("demo"), memory("new"))
    server.send(signal.SIGHUP)
    wait_until(lambda: server.shows("new"), "the new volume is served")
    wait_until(lambda: not is_alive(gone), "the removed one is not")
    server.initiator("new").write(1)
    session.read(1)
    assert server.pid("target.demo") == demo
    assert "volume gone is no longer in" in server.said()
    assert "not served" in server.command("volume", "list").stdout


def test_an_edited_front_end_restarts_nobody_and_empties_no_volume(server: Server) -> None:
    server.configure(memory("demo"), file("other", "./other.img"))
    server.run("demo", "other")
    session = server.initiator()
    session.write(1)
    before = server.children()
    one, other = server.port, free_port()
    server.port = other
    listen = [f"127.0.0.1:{one}", f"127.0.0.1:{other}"]
    section = {"listen": listen, "session_count_max": 1}
    server.configure(memory("demo"), file("other", "./other.img"), frontends={"iscsi": section})
    server.send(signal.SIGHUP)
    wait_until(lambda: is_listened_at(other), "the portal listens at the new address too")
    session.read(1)
    wait_until(lambda: not reads(server, 1), "there is one session at once")
    session.close()
    wait_until(lambda: reads(server, 1), "the next one is let in")
    assert server.children() == before


def is_listened_at(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False


def reads(server: Server, pattern: int) -> bool:
    """True if a new session reads what was written."""
    done = subprocess.run(
        ["qemu-io", "-f", "raw", "-c", f"read -P {pattern} 0 4096", server.url()],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0 and "failed" not in done.stdout + done.stderr


def test_a_deletion_waits_for_a_disk_that_is_missing_and_goes_on_when_it_is_back(
    server: Server,
) -> None:
    def state() -> str:
        rows = server.rows()
        return str(rows["work"]["state"]) if "work" in rows else "gone"

    def make() -> None:
        folders = [{"folder": str(server.folder / f"r{index}")} for index in range(3)]
        made = server.command(
            *("volume", "create", "work", "--size", "8MiB", "--engine", "jiva"),
            *("--option", json.dumps({"replicas": folders})),
        )
        assert made.returncode == 0, made.stderr

    server.configure(memory("demo"))
    server.run("demo")
    make()
    third, away = server.folder / "r2", server.folder / "away"
    third.rename(away)
    waits = server.command("volume", "delete", "work", "--yes")
    assert waits.returncode == 6
    assert f"replica-3 in {third}: mount its disk" in waits.stderr
    assert state() == "deleting"
    shown = server.shown("work")
    assert "Nothing of it is gone" in shown["deletion"]
    assert (server.folder / "r0" / "head-000.img").exists()
    # Taken back it is served, with the replica that comes back.
    assert server.command("volume", "delete", "work", "--cancel").returncode == 0
    away.rename(third)
    wait_until(lambda: state() == "up, serving", "it is whole again")
    third.rename(away)
    assert server.command("volume", "delete", "work", "--yes").returncode == 6
    # Over kill -9 of everything.
    server.kill_all()
    server.run("demo")
    assert state() == "deleting"
    away.rename(third)
    wait_until(lambda: state() == "gone", "the disk is back, and the rest goes")
    assert not list(server.folder.glob("r?"))
    make()
    third.rename(away)
    done = server.command("volume", "delete", "work", "--yes", "--without", "replica-3")
    assert done.returncode == 0, done.stderr
    assert not list(server.folder.glob("r?"))
    assert (away / "head-000.img").exists()


def test_a_wrong_file_changes_nothing_when_it_is_reloaded(server: Server) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    session = server.initiator()
    server.file.write_text("volumes: {")
    server.send(signal.SIGHUP)
    wait_until(lambda: "nothing was changed" in server.said(), "the file is refused")
    session.write(1)


def test_a_volume_can_not_change_its_size_by_the_file(server: Server) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    server.configure(memory("demo", "128 MiB"))
    server.send(signal.SIGHUP)
    wait_until(lambda: "that can't be changed" in server.said(), "it is refused")
    server.initiator().write(1)
    server.stop(signal.SIGTERM)
    # At the next start it is the same: the volume is served as it was made, and that is said.
    server.run("demo")
    line = server.line_of(1)
    assert (
        f"error: {server.file}:{line}: volumes.demo.size: it was created with 64 MiB, the file "
        "says 128 MiB; that can't be changed. Say 64 MiB, or use another name; it is served with "
        "the settings that it had"
    ) in server.said()
    assert "opened, empty" in server.said()
    server.initiator().write(1)
    shown = server.shown()
    assert (shown["health"], shown["size"]) == ("healthy", 64 << 20)
    assert "it was created with 64 MiB" in shown["refused"]
    server.stop(signal.SIGTERM)
    strict = server.command("serve", "--strict", str(server.file))
    assert strict.returncode == 3
    assert strict.stderr.startswith(f"tierce: error: {server.file}:{line}: volumes.demo.size: ")


def test_commands_make_show_and_delete_what_the_state_owns(server: Server) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    made = server.command(
        *("volume", "create", "work", "--size", "64MiB", "--engine", "file"),
        *("--option", "path=work.img"),
    )
    assert made.returncode == 0, made.stderr
    server.initiator("work").write(3)
    again = server.command("volume", "create", "work", "--size", "1MiB", "--engine", "memory")
    assert again.returncode == 2
    assert "there is a volume work already" in again.stderr
    owners = {name: row["owner"] for name, row in server.rows().items()}
    assert owners == {"demo": "file", "work": "state"}
    shown = server.shown("work")
    assert shown["state"] == "up"
    assert shown["data"] == [str(server.folder / "work.img")]
    assert shown["statistics"]["frontend"]["write"]["count"] >= 1
    assert shown["processes"][0]["pid"] == server.pid("target.work")
    # What the state owns outlives the server.
    server.stop(signal.SIGTERM)
    server.run("demo", "work")
    server.initiator("work").read(3)
    target = server.pid("target.work")
    assert server.command("volume", "delete", "work", "--yes").returncode == 0
    assert not is_alive(target)
    assert not (server.folder / "work.img").exists()
    unknown = server.command("volume", "show", "work")
    assert unknown.returncode == 2
    assert "there is no volume work; there are: demo" in unknown.stderr


def test_what_the_file_owns_is_not_deleted_by_command(server: Server) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    refused = server.command("volume", "delete", "demo", "--yes")
    assert refused.returncode == 2
    line = server.line_of(1)
    assert f"tierce.yaml:{line}" in refused.stderr
    assert server.command("volume", "create", "demo", "--size", "1MiB", "--engine", "memory").stderr


def test_a_lost_state_is_made_again_from_the_folders(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    server.initiator().write(9)
    server.stop(signal.SIGTERM)
    shutil.rmtree(server.data / "state")
    refused = server.command("serve", str(server.file))
    assert refused.returncode == 7
    words = refused.stderr.partition("run: ")[2].split()
    assert words[:3] == ["tierce", "volume", "adopt"]
    adopted = server.command(*words[1:])
    assert adopted.returncode == 0, adopted.stderr
    server.run("demo")
    server.initiator().read(9)


def test_a_lost_state_and_a_lost_replica_leave_a_volume_that_is_taken_back(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    server.initiator().write(9)
    server.stop(signal.SIGTERM)
    shutil.rmtree(server.data / "state")
    shutil.rmtree(server.folder / "demo-1")
    refused = server.command("serve", str(server.file))
    words = refused.stderr.partition("run: ")[2].split()
    assert words[:5] == ["tierce", "volume", "adopt", "--without", "replica-2"]
    adopted = server.command(*words[1:])
    assert adopted.returncode == 0, adopted.stderr
    assert "Nothing that was acknowledged is lost" in adopted.stdout
    server.run("demo")
    server.initiator().read(9)
    assert not (server.folder / "demo-1").exists()
    known = server.command(*words[1:])
    assert "which the state has not lost" in known.stderr


def write_through(server: Server, pattern: int) -> str:
    """Write what is durable when it is answered; return what qemu-io says."""
    return subprocess.run(
        ["qemu-io", "-f", "raw", "-c", f"write -f -P {pattern} 0 4096", server.url()],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    ).stdout


def test_a_volume_in_doubt_flushes_again_once_its_loss_is_accepted(server: Server) -> None:
    server.configure(file("demo", "./demo.img"))
    server.run("demo")
    server.initiator().write(4)
    refused = server.command("volume", "accept-loss", "demo", "--yes")
    assert refused.returncode == 2
    assert "nothing is in doubt" in refused.stderr
    server.stop(signal.SIGTERM)
    note = DoubtNote(server.data / "volumes" / "demo", 64 << 20)
    note.save(Doubt(frozenset({0}), "demo.img could not be flushed: Input/output error", 1.0))
    server.run("demo")
    server.initiator().read(4)
    assert "write failed: Input/output error" in write_through(server, 5)
    shown = server.shown()
    assert shown["state"] == "up, degraded"
    assert "1048576 bytes at 0" in shown["medium"]
    target = server.pid("target.demo")
    accepted = server.command("volume", "accept-loss", "demo", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    assert "1048576 bytes at 0" in accepted.stdout
    server.new_pid("target.demo", target)
    assert "wrote 4096/4096" in write_through(server, 6)
    assert not note.read()
    assert server.shown()["state"] == "up"


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


def test_a_reload_that_enables_a_plugin_keeps_what_runs(server: Server) -> None:
    server.configure(memory("demo"), plugins={"enable": ["engines", "iscsi"]})
    server.run("demo")
    session = server.initiator()
    session.write(1)
    before = server.children()
    server.configure(memory("demo"), jiva("more"), plugins={"enable": ["engines", "iscsi", "jiva"]})
    server.send(signal.SIGHUP)
    server.new_pid("template", before["template"])
    wait_until(lambda: server.shows("more"), "the new engine's volume is served")
    session.read(1)
    assert server.pid("target.demo") == before["target.demo"]


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
