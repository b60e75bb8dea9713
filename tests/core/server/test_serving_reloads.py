"""A real server whose file is edited and read again."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket

import pytest

from serving.processes import free_port, is_alive, wait_until
from serving.qemu_io import reads
from serving.server import Server
from serving.volumes import file, jiva, memory

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io (qemu-utils)"),
]


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
    wait_until(lambda: not reads(server.url(), 1), "there is one session at once")
    session.close()
    wait_until(lambda: reads(server.url(), 1), "the next one is let in")
    assert server.children() == before


def is_listened_at(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    return False


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
