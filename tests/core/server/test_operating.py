"""What an operator meets: a real server, and everything that goes wrong around it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.processes import is_alive, wait_until
from serving.server import Server
from serving.volumes import file, jiva, memory
from tierce.process.logs import LOG_BYTES_MAX

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io (qemu-utils)"),
]

QUICK_WATCH = {"silence_told_s": 1, "silence_killed_s": 3}


class TestAHungProcess:
    @pytest.mark.parametrize("victim", ["target.demo", "portal", "template"])
    def test_is_told_of_then_killed_and_started_anew(self, server: Server, victim: str) -> None:
        server.configure(file("demo", "./demo.img"), limits=QUICK_WATCH)
        server.run("demo")
        server.initiator().write(5)
        old = server.pid(victim)
        os.kill(old, signal.SIGSTOP)
        # By name: on a busy machine others are slow to start.
        silence = f"{victim} (process {old}) has not answered for"
        wait_until(lambda: silence in server.said(), "its silence is told")
        if victim == "target.demo":
            assert server.health() == "stalled"
        new = server.new_pid(victim, old)
        assert is_alive(new)
        assert f"{victim}: it had not answered for " in server.said()
        wait_until(lambda: server.health() == "healthy", "it serves again")
        server.initiator().read(5)

    def test_that_comes_back_in_time_is_left_alone(self, server: Server) -> None:
        server.configure(memory("demo"), limits={"silence_told_s": 1, "silence_killed_s": 60})
        server.run("demo")
        session = server.initiator()
        session.write(5)
        old = server.pid("target.demo")
        os.kill(old, signal.SIGSTOP)
        silence = f"target.demo (process {old}) has not answered for"
        wait_until(lambda: silence in server.said(), "its silence is told")
        os.kill(old, signal.SIGCONT)
        wait_until(lambda: f"(process {old}) answers again" in server.said(), "that it is over")
        session.read(5)
        assert server.health() == "healthy"


def test_a_data_folder_can_be_moved_with_the_replicas_that_lie_in_it(server: Server) -> None:
    def volume(data: str) -> dict[str, Any]:
        replicas = [{"folder": f"./{data}/replica-{number}"} for number in (1, 2, 3)]
        return {**jiva("demo"), "options": {"replicas": replicas}}

    server.configure(volume("data"))
    server.run("demo")
    server.initiator().write(5)
    server.stop(signal.SIGTERM)
    server.data = server.data.rename(server.folder / "moved")
    server.configure(volume("moved"), data_dir="./moved")
    server.run("demo")
    server.initiator().read(5)
    assert "volume demo: opened; " in server.said()


class TestHealth:
    def test_list_and_show_begin_with_it_and_check_ends_with_a_code(self, server: Server) -> None:
        limits = {"silence_told_s": 1, "silence_killed_s": 600}
        server.configure(jiva("demo"), memory("other"), limits=limits)
        server.run("demo", "other")
        wait_until(lambda: server.health() == "healthy", "all replicas are in sync")
        checked = server.command("volume", "list", "--check")
        assert (checked.returncode, checked.stderr) == (0, "")
        head, *lines = checked.stdout.splitlines()
        assert head.split()[:2] == ["HEALTH", "NAME"]
        assert [line.split()[:2] for line in lines] == [["healthy", "demo"], ["healthy", "other"]]
        # Nothing is written: only the supervisor notices.
        os.kill(server.pid("member.demo.replica-1"), signal.SIGSTOP)
        wait_until(lambda: server.health() == "degraded", "the replica's silence is noticed")
        checked = server.command("volume", "list", "--check")
        assert checked.returncode == 8
        assert checked.stderr == "tierce: 1 of 2 volumes not healthy: demo (degraded)\n"
        shown = server.command("volume", "show", "demo").stdout.splitlines()
        assert [line.split()[0] for line in shown[:4]] == ["health", "since", "why", "todo"]
        assert shown[0].split() == ["health", "degraded"]
        assert "replica-1's process does not answer" in shown[2]

        wait_until(lambda: "\n2 volumes, 1 degraded: demo | " in server.said(), "it is shown live")

    def test_what_was_taken_out_of_the_file_is_not_wanted(self, server: Server) -> None:
        server.configure(memory("demo"), memory("gone"))
        server.run("demo", "gone")
        server.configure(memory("demo"))
        server.reload()
        wait_until(lambda: server.health("gone") == "down", "it is not served")
        assert "does not name it any more" in server.rows()["gone"]["why"]
        assert server.command("volume", "list", "--check").returncode == 0

    def test_a_volume_without_a_target_says_why(self, server: Server) -> None:
        server.configure(file("demo", "./demo.img"), memory("other"))
        server.run("demo", "other")
        server.stop(signal.SIGTERM)
        (server.folder / "demo.img").unlink()
        server.run("other")
        wait_until(lambda: server.health() == "down", "it is down")
        row = server.rows()["demo"]
        assert "demo.img" in row["why"]
        assert row["todo"].endswith("logs/target.demo.log")


class TestWhatIsTold:
    def test_each_volume_says_how_it_came_up(self, server: Server) -> None:
        server.configure(file("demo", "./demo.img"), memory("other"))
        server.run("demo", "other")
        assert "volume demo: created, empty; 67,108,864 bytes, engine file" in server.said()
        server.kill()
        server.run("demo", "other")
        assert "volume demo: taken over; " in server.said()
        server.stop(signal.SIGTERM)
        server.run("demo", "other")
        assert "volume demo: opened; " in server.said()
        assert "volume other: opened, empty (engine memory keeps nothing when " in server.said()

    def test_a_volume_of_memory_whose_process_died_is_said_to_be_empty(
        self, server: Server
    ) -> None:
        server.configure(memory("demo"))
        server.run("demo")
        old = server.pid("target.demo")
        os.kill(old, signal.SIGKILL)
        server.new_pid("target.demo", old)
        wait_until(lambda: "volume demo is empty again" in server.said(), "it is told")

    def test_a_reload_says_what_has_changed(self, server: Server) -> None:
        server.configure(memory("demo"), memory("gone"))
        server.run("demo", "gone")
        assert server.reload().endswith("was read again: nothing has changed")
        server.configure(memory("demo"), memory("new"), limits={"stop_timeout_s": 5})
        assert server.reload(2).endswith(
            "was read again: added new; removed gone; limits.stop_timeout_s has changed"
        )

    def test_a_file_that_can_not_be_read_any_more_is_told_and_changes_nothing(
        self, server: Server
    ) -> None:
        server.configure(memory("demo"))
        server.run("demo")
        server.file.unlink()
        server.send(signal.SIGHUP)
        wait_until(lambda: "can't be read: No such file" in server.said(), "it is told")
        # A pipe that nobody writes must not keep the supervisor waiting.
        os.mkfifo(server.file)
        server.send(signal.SIGHUP)
        wait_until(lambda: "is no regular file any more" in server.said(), "it is told")
        assert server.health() == "healthy"

    def test_a_missing_folder_is_told_once_and_then_by_count(self, server: Server) -> None:
        server.configure(jiva("demo"))
        server.run("demo")
        server.stop(signal.SIGTERM)
        shutil.rmtree(server.folder / "demo-0")
        server.run("demo")

        def failures() -> int:
            shown = server.shown()
            (member,) = (one for one in shown["processes"] if one["name"].endswith("replica-1"))
            assert member["trouble"].count("this replica's folder is missing") == 1
            return int(member["failures"])

        wait_until(lambda: "folder is missing" in server.said(), "it is told")
        wait_until(lambda: failures() > 4, "it was tried again and again")
        assert server.said().count("folder is missing") == 1
        assert "unasked" not in server.said()

    def test_the_log_is_put_aside_while_the_server_runs(self, server: Server) -> None:
        server.configure(memory("demo"))
        server.run("demo")
        log = server.data / "logs" / "serve.log"
        with log.open("ab") as out:
            out.truncate(LOG_BYTES_MAX)
        server.reload()
        server.reload(2)
        wait_until(lambda: log.stat().st_size < LOG_BYTES_MAX, "a new one was begun")
        assert (log.parent / "serve.log.1").stat().st_size >= LOG_BYTES_MAX
        assert json.loads(log.read_text().splitlines()[-1])["code"] == "config.reloaded"


class TestCtrlC:
    @pytest.mark.parametrize("words", [["volume", "list"], ["config", "check", "t.yaml"]])
    def test_a_command_ends_with_one_line(self, tmp_path: Path, words: list[str]) -> None:
        # The command reads a pipe that nobody writes, so that it is met while it works.
        os.mkfifo(tmp_path / "t.yaml")
        words = words if "check" in words else [*words, "--config", "t.yaml"]
        # It opens the pipe, and waits there: then it is in the midst of its work.
        with self.started(tmp_path, words) as process, (tmp_path / "t.yaml").open("w"):
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in error
        assert error.strip() == "tierce: error: interrupted"
        assert out == ""

    def test_a_command_that_changes_something_says_that_the_server_goes_on(
        self, server: Server
    ) -> None:
        server.configure(memory("demo"))
        server.run("demo")
        # A server that is stopped answers nobody.
        server.send(signal.SIGSTOP)
        words = ["volume", "create", "new", "--size", "1MiB", "--engine", "memory"]
        with self.started(server.folder, [*words, "--data-dir", str(server.data)]) as process:
            wait_until(lambda: waits_for_answer(process.pid), "it waits")
            process.send_signal(signal.SIGINT)
            _out, error = process.communicate(timeout=60)
        server.send(signal.SIGCONT)
        assert process.returncode == 130
        assert error.strip() == (
            "tierce: error: interrupted; the server goes on with it, look with `tierce volume list`"
        )
        wait_until(lambda: "new" in server.rows(), "it was made all the same")

    def test_a_server_that_is_starting_ends_orderly(self, server: Server) -> None:
        server.configure(*(jiva(f"v{number}", "1 MiB") for number in range(6)))
        server.start()
        wait_until((server.data / "run" / "template.lock").exists, "it begins")
        server.stop()
        assert "Traceback" not in server.said()
        wait_until(lambda: server.left() == [], "all have ended")

    @contextlib.contextmanager
    def started(self, folder: Path, words: list[str]) -> Any:
        process = subprocess.Popen(
            [sys.executable, "-m", "tierce.cli.main", *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def waits_for_answer(pid: int) -> bool:
    """True once a command has a socket, the one to the server, and sleeps."""
    with contextlib.suppress(OSError):
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "S" and any(link.startswith("socket:") for link in links)
    return False
