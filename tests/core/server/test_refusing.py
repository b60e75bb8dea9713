"""What an operator asks for and can't have: a real server refuses it, and serves the rest."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket

import pytest

from serving.processes import free_port, is_alive, wait_until
from serving.server import Server
from serving.volumes import file, jiva, memory

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io (qemu-utils)"),
]


NOT_HERE = "203.0.113.1:3260"


class TestAVolumeThatCanNotBeServed:
    def test_keeps_no_other_from_being_served_at_a_start(self, server: Server) -> None:
        (server.folder / "taken").mkdir()
        (server.folder / "taken" / "letters").write_text("")
        server.configure(memory("good"), file("bad", "./taken"))
        server.run("good")
        server.initiator("good").write(1)
        line = server.line_of(2)
        assert (
            f"error: {server.file}:{line}: volumes.bad.options.path: {server.folder}/taken is a "
            "folder; expected a file or a block device\n"
        ) in server.said()
        found = server.rows()
        assert (found["good"]["health"], "bad" in found) == ("healthy", False)

    def test_ends_the_server_where_nothing_else_is_served(self, server: Server) -> None:
        (server.folder / "taken").mkdir()
        server.configure(file("bad", "./taken"))
        done = server.command("serve", str(server.file))
        assert done.returncode == 3
        assert done.stderr.count("\n") == 1
        assert "volumes.bad.options.path" in done.stderr
        # What ends it is told once.
        assert done.stdout == ""

    def test_ends_a_strict_server(self, server: Server) -> None:
        (server.folder / "taken").mkdir()
        server.configure(memory("good"), file("bad", "./taken"))
        done = server.command("serve", "--strict", str(server.file))
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (3, 1, "")

    def test_is_refused_at_a_reload_and_the_rest_is_taken(self, server: Server) -> None:
        server.configure(jiva("demo"))
        server.run("demo")
        session = server.initiator()
        session.write(1)
        edited = jiva("demo")
        edited["options"]["replicas"][0]["folder"] = "./another"
        server.configure(edited, memory("new"))
        assert server.reload().endswith("was read again: added new; refused demo")
        session.read(1)
        assert not (server.folder / "another").exists()
        server.stop(signal.SIGTERM)
        # And the next start finds it as it was.
        server.run("demo", "new")
        server.initiator().read(1)
        assert "opened, with the settings that it had" in server.said()


class TestAnAddressThatCanNotBeHad:
    def listen(self, server: Server, *addresses: str) -> None:
        server.configure(memory("demo"), frontends={"iscsi": {"listen": list(addresses)}})

    def test_keeps_no_other_from_being_served(self, server: Server) -> None:
        here = f"127.0.0.1:{server.port}"
        self.listen(server, NOT_HERE, here)
        server.run("demo")
        server.initiator().write(1)
        assert (
            f"portal: can't listen at {NOT_HERE}: it is no address of this machine" in server.said()
        )
        assert f"iscsi://{here}/" in server.said()
        assert NOT_HERE not in re.sub("(error|note): .*", "", server.said())

    def test_ends_the_server_where_there_is_no_other(self, server: Server) -> None:
        self.listen(server, "[fe80::1%nowhere]:3260")
        done = server.command("serve", str(server.file))
        assert done.returncode == 2
        assert "the host's name has no address" in done.stderr
        assert done.stderr.count("\n") == 1

    def test_is_refused_at_a_reload_and_the_portal_goes_on(self, server: Server) -> None:
        self.listen(server, f"127.0.0.1:{server.port}")
        server.run("demo")
        portal = server.pid("portal")
        with socket.create_server(("127.0.0.1", 0)) as holder:
            taken = f"127.0.0.1:{holder.getsockname()[1]}"
            self.listen(server, taken)
            assert server.reload().endswith("was read again: nothing has changed")
        assert f"frontends.iscsi.listen: {taken} is taken by process {os.getpid()}" in server.said()
        assert server.pid("portal") == portal
        server.initiator().write(1)

    def test_is_taken_at_a_reload_if_it_may_come_yet(self, server: Server) -> None:
        here, other = f"127.0.0.1:{server.port}", f"127.0.0.1:{free_port()}"
        self.listen(server, here)
        server.run("demo")
        old = server.pid("portal")
        self.listen(server, other, here, NOT_HERE)
        assert "frontends.iscsi.listen has changed" in server.reload()
        wait_until(lambda: NOT_HERE in server.said(), "what is missing is told")
        assert server.pid("portal") == old
        server.initiator().write(1)
        shown = server.shown()
        assert shown["usage"]["url"].startswith(f"iscsi://{other}/")
        assert shown["usage"]["also at"] == here
        # Less is there than was asked for.
        assert shown["health"] == "degraded"
        assert NOT_HERE in shown["why"]

    def test_the_real_port_is_shown(self, server: Server) -> None:
        self.listen(server, "127.0.0.1:0")
        server.run("demo")
        (port,) = set(re.findall(r"iscsi://127\.0\.0\.1:(\d+)", server.said()))
        server.port = int(port)
        server.initiator().write(1)
        assert server.rows()["demo"]["url"] == server.url()


def lower(hard: int) -> list[str]:
    return ["bash", "-c", f'ulimit -n {hard}; exec "$@"', "x"]


class TestDescriptors:
    def test_the_usual_soft_limit_is_no_limit(self, server: Server) -> None:
        server.configure(*(jiva(f"v{number}", "1 MiB") for number in range(12)))
        # The server's alone: the tests before this one may have more open.
        server.prefix = ["bash", "-c", 'ulimit -S -n 64; exec "$@"', "x"]
        server.run(*(f"v{number}" for number in range(12)))
        server.initiator("v11").write(1)
        assert server.command("volume", "list", "--check").returncode == 0

    def test_where_the_hard_limit_is_too_low_some_volumes_are_refused_and_nobody_dies(
        self, server: Server
    ) -> None:
        server.configure(*(jiva(f"v{number}", "1 MiB") for number in range(12)))
        server.prefix = lower(80)
        server.start()

        def told() -> bool:
            return "no descriptors are left for another process: 80 may be open" in server.said()

        wait_until(told, "it is told")
        wait_until(lambda: server.shows("v0"), "the first is served")
        assert "descriptors, 80 may be open: the last volumes will not be served" in server.said()
        server.initiator("v0").write(1)
        found = server.rows()
        assert found["v0"]["health"] == "healthy"
        assert found["v11"]["health"] == "down"
        assert "no descriptors are left" in found["v11"]["why"]
        server.stop(signal.SIGTERM)

    def test_a_target_without_descriptors_refuses_connections_and_goes_on(
        self, server: Server
    ) -> None:
        listen = [f"127.0.0.1:{server.port}"]
        server.configure(
            memory("demo"), frontends={"iscsi": {"listen": listen, "session_count_max": 100}}
        )
        server.prefix = lower(48)
        server.run("demo")
        target = server.pid("target.demo")
        sessions = []
        for _count in range(45):
            session = server.initiator()
            with contextlib.suppress(AssertionError, BrokenPipeError):
                session.write(1)
                sessions.append(session)
        assert server.pid("target.demo") == target
        assert is_alive(target)
        assert 0 < len(sessions) < 45
        sessions[0].read(1)
        log = (server.data / "logs" / "target.demo.log").read_text()
        assert "no room for another connection: 48 descriptors at most" in log


class TestADiskThatIsFullOrReadOnly:
    def test_a_process_without_log_and_lock_is_told_and_keeps_nobody(self, server: Server) -> None:
        """What a full or read-only data folder does to a process that is to start."""
        server.configure(memory("demo"), memory("other"))
        server.run("demo", "other")
        run = server.data / "run"
        # As root nothing is unwritable by its mode; a folder is never a file.
        target = server.pid("target.other")
        (run / "other.stats").unlink()
        (run / "other.stats.new").mkdir()
        os.kill(target, signal.SIGKILL)
        wait_until(lambda: "target.other: " in server.said(), "it is told")
        server.initiator("demo").write(1)
        wait_until(lambda: server.health("other") == "down", "it is down")
        assert "other.stats.new: Is a directory" in server.rows()["other"]["why"]
        (run / "other.stats.new").rmdir()
        wait_until(lambda: server.health("other") == "healthy", "it is back by itself")
