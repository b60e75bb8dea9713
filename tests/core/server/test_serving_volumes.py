"""A real server that is asked to make, delete and take back volumes."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

from serving.processes import is_alive, wait_until
from serving.qemu_io import write_through
from serving.server import Server
from serving.volumes import file, jiva, memory
from tierce_engines.doubt import Doubt, DoubtNote

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io (qemu-utils)"),
]


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
    assert f"replica-3: nothing is found in {third}: mount its disk" in waits.stderr
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
    assert shown["statistics"]["volume"]["write"]["count"] >= 1
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
    assert "write failed: Input/output error" in write_through(server.url(), 5)
    shown = server.shown()
    assert shown["state"] == "up, degraded"
    assert "1048576 bytes at 0" in shown["medium"]
    target = server.pid("target.demo")
    accepted = server.command("volume", "accept-loss", "demo", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    assert "1048576 bytes at 0" in accepted.stdout
    server.new_pid("target.demo", target)
    # It is up, and takes sessions a moment later; an initiator logs in again, as qemu-io does not.
    wait_until(lambda: "wrote 4096/4096" in write_through(server.url(), 6), "a flush succeeds")
    assert not note.read()
    assert server.shown()["state"] == "up"
