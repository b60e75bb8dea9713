"""A store from a folder of its own, in SQLite, under the replicator that comes with Tierce."""

from __future__ import annotations

import sqlite3

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.strangers import STRANGERS
from serving.volumes import volume

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]


def test_what_a_strangers_store_acknowledged_outlives_kill_9_of_everything_and_is_rebuilt(
    server: Server,
) -> None:
    server.install(STRANGERS / "store-sqlite")
    folders = [server.folder / f"demo-{number}" for number in range(3)]
    replicas = [{"folder": str(folder)} for folder in folders]
    demo = volume("demo", "jiva-sqlite", "16 MiB", replicas=replicas)
    demo["store_options"] = {"cache_pages": 100}
    server.configure(demo, plugins={"enable": ["iscsi", "jiva", "sqlite"]})
    server.run("demo")
    session = server.session()
    session.write_now(8192, b"AAAA" * 1024)
    assert session.read_now(8192, 4096) == b"AAAA" * 1024
    session.close()

    server.kill_all()
    server.run("demo")
    session = server.session()
    assert session.read_now(8192, 4096) == b"AAAA" * 1024
    assert session.read_now(0, 8192) == bytes(8192)

    wait_until(server.is_whole, "all replicas are in sync")
    server.kill(["member.demo.replica-2"])
    session.write_now(1 << 20, b"BBBB" * 1024)
    wait_until(server.is_whole, "the second replica is rebuilt")
    session.flush_now()
    # From the rebuilt one and one other.
    server.kill(["member.demo.replica-1"])
    assert session.read_now(1 << 20, 4096) == b"BBBB" * 1024
    session.close()
    server.stop()
    assert all((folder / "blocks.db").exists() for folder in folders)
    assert not [path for folder in folders for path in folder.glob("*.img")]
    assert not [path for folder in folders for path in folder.glob("record.json*")]
    rebuilt = sqlite3.connect(folders[1] / "blocks.db")
    rows = rebuilt.execute("SELECT bytes FROM blocks WHERE number BETWEEN 2048 AND 2055")
    assert b"".join(row[0] for row in rows) == b"BBBB" * 1024
    rebuilt.close()


def test_a_volume_serves_without_a_store_that_opens_later_and_is_whole_when_it_has(
    server: Server,
) -> None:
    server.install(STRANGERS / "vault")
    folders = [server.folder / f"demo-{number}" for number in range(3)]
    replicas = [{"folder": str(folder)} for folder in folders]
    demo = volume("demo", "jiva-vault", "16 MiB", replicas=replicas)
    demo["store_options"] = {"is_patient": True}
    server.configure(demo, plugins={"enable": ["iscsi", "jiva", "vault"]})
    server.start()
    members = [f"member.demo.replica-{number}" for number in (1, 2, 3)]
    wait_until(lambda: set(members) <= set(server.children()), "the members run")
    for folder in folders[:2]:
        (folder / "vault.key").write_text("open")
    wait_until(lambda: server.shows("demo"), "it serves with two of three")
    session = server.session()
    session.write_now(8192, b"AAAA" * 1024)
    third = server.shown()["replicas"][2]
    assert third["trouble"] == "its store vault is being opened: its key is not there"
    answer = server.command("volume", "actions", "demo")
    assert answer.returncode == 0, answer.stderr
    wait_until(lambda: "has waited 10 s" in server.said(), "it is told", within_s=30.0)
    pids = [server.pid(name) for name in members]
    (folders[2] / "vault.key").write_text("open")
    wait_until(server.is_whole, "the third replica is in sync")
    assert [server.pid(name) for name in members] == pids
    assert "replica-3 has its store vault open, after" in str(server.shown()["events"])
    session.close()

    # A stop in the midst of an opening that waits on a thread ends at once.
    server.stop()
    for folder in folders:
        (folder / "vault.key").unlink()
    server.start()
    wait_until(lambda: set(members) <= set(server.children()), "the members run")
    server.stop()
    assert "killed" not in server.said()
