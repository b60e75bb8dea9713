"""A real server with real processes and a real initiator."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tierce_engines.doubt import Doubt, DoubtNote

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io (qemu-utils)"),
]

WAIT_S = 30.0
DATA_PROCESSES = ("portal", "template", "target.demo")


def wait_until(is_true: Callable[[], Any], what: str) -> None:
    """Look until it is so; how long that took is no matter."""
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Initiator:
    """One iSCSI session of qemu-io, kept open."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            ["stdbuf", "-oL", "qemu-io", "-f", "raw", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )

    def do(self, command: str, expected: str) -> None:
        """Give a command; its first line of output must hold what is expected."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], WAIT_S)
        assert ready, f"no answer to {command}"
        line = self._process.stdout.readline().decode()
        assert expected in line, line
        self._process.stdout.readline()

    def write(self, pattern: int, offset: int = 0) -> None:
        self.do(f"write -P {pattern} {offset} 4096", "wrote 4096/4096")

    def read(self, pattern: int, offset: int = 0) -> None:
        self.do(f"read -P {pattern} {offset} 4096", "read 4096/4096")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Server:
    """`tierce serve` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.file = folder / "tierce.yaml"
        self.port = free_port()
        self.out = folder / "out.txt"
        self.env = dict(os.environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._initiators: list[Initiator] = []

    def configure(self, *volumes: dict[str, Any], **more: Any) -> None:
        # JSON is YAML, one line a volume so that origins have lines of their own.
        lines = ["volumes:"] if volumes else ["volumes: []"]
        lines += [f"  - {json.dumps(volume)}" for volume in volumes]
        config = {
            "data_dir": "./data",
            "frontends": {"iscsi": {"listen": [f"127.0.0.1:{self.port}"]}},
            **more,
        }
        head = [f"{key}: {json.dumps(value)}" for key, value in config.items()]
        self.file.write_text("\n".join(head + lines) + "\n")

    def start(self) -> None:
        with self.out.open("ab") as out:
            self.start_on(out.fileno())

    def start_on(self, output: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tierce.cli.main", "serve", str(self.file)],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env=self.env,
        )

    def run(self, *volumes: str) -> None:
        """Start, and wait until the volumes can be used."""
        self.start()
        for volume in volumes:
            wait_until(lambda volume=volume: self.shows(volume), f"{volume} is shown")  # type: ignore[misc]

    def shows(self, volume: str) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.out.read_text()
        return self.out.read_text().count(f"volume {volume}: ") > 0

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(WAIT_S)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def pid(self, process: str) -> int:
        return int(json.loads((self.data / "run" / f"{process}.lock").read_text())["pid"])

    def pids(self) -> dict[str, int]:
        found = {}
        for path in (self.data / "run").glob("*.lock"):
            with contextlib.suppress(ValueError, KeyError):
                found[path.stem] = int(json.loads(path.read_text())["pid"])
        return found

    def new_pid(self, process: str, old: int) -> int:
        """Wait for the successor of a process."""
        found = old

        def is_new() -> bool:
            nonlocal found
            with contextlib.suppress(ValueError):
                found = self.pid(process)
            return found != old and (self.data / "run" / f"{process}.sock").exists()

        wait_until(is_new, f"{process} is started again")
        return found

    def url(self, volume: str = "demo") -> str:
        return f"iscsi://127.0.0.1:{self.port}/iqn.2026-11.io.tierce:{volume}/0"

    def initiator(self, volume: str = "demo") -> Initiator:
        made = Initiator(self.url(volume))
        self._initiators.append(made)
        return made

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tierce.cli.main", *words],
            cwd=self.folder,
            env={**self.env, "TIERCE_DATA_DIR": str(self.data)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def close(self) -> None:
        for one in self._initiators:
            one.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        # Again, because a template may just have been forking.
        while left := self.left():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        """Find the living processes of this data folder, whether they have a lock or not."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if str(self.data).encode() in words and is_alive(int(folder.name)):
                    found.append(int(folder.name))
        return found

    def install(self, name: str, source: str) -> None:
        """Install a stranger's plugin of one module, as pip would."""
        site = self.folder / "site"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[tierce.plugins]\n{name} = {name}\n")
        self.env["PYTHONPATH"] = str(site)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


def memory(name: str, size: str = "64 MiB") -> dict[str, Any]:
    return {"name": name, "size": size, "engine": "memory", "frontend": "iscsi"}


def file(name: str, path: str, size: str = "64 MiB") -> dict[str, Any]:
    return {**memory(name, size), "engine": "file", "options": {"path": path}}


def jiva(name: str, size: str = "64 MiB") -> dict[str, Any]:
    replicas = [{"folder": f"./{name}-{index}"} for index in range(3)]
    return {**memory(name, size), "engine": "jiva", "options": {"replicas": replicas}}


STRANGER = """
import json, time
from pathlib import Path

import attrs
import tierce
from tierce import option


@attrs.frozen
class Options:
    path: str = option(doc="A file.", unit="path", default="nowhere")


class Engine:
    # Another writer has the volume as soon as the file is there.
    def __init__(self, context):
        self.data = bytearray(context.volume.size_bytes)
        self.context = context
        self.look()

    def look(self):
        if Path(self.context.options.path).exists():
            self.context.fenced("ballot 9 is elsewhere")
        else:
            self.context.reactor.call_later(0.05, self.look)

    def read(self, offset, buffer):
        buffer[:] = self.data[offset : offset + len(buffer)]

    def write(self, offset, data):
        self.data[offset : offset + len(data)] = data


class Exporter:
    def __init__(self, context):
        self.context = context

    def run(self, stop):
        while not stop():
            Path(self.context.options.path).write_text(json.dumps(self.context.volumes()))
            time.sleep(0.05)


def apply(options, volumes):
    yield tierce.Event("policy.seen", f"policy sees {sorted(volumes)}", "policy/p", "warning")


@tierce.hookimpl
def tierce_engines():
    return [tierce.EngineDescription(
        "stranger", "Memory that can be taken away.", "stranger:Engine",
        concurrency=tierce.Concurrency.INLINE, durable=False, options=Options)]


@tierce.hookimpl
def tierce_exporters():
    return [tierce.ExporterDescription("tofile", "A file.", "stranger:Exporter", options=Options)]


@tierce.hookimpl
def tierce_policy_handlers():
    return [tierce.PolicyHandlerDescription("watch", "Watches.", "stranger:apply")]
"""


@pytest.mark.parametrize("victim", ["portal", "template"])
def test_killing_portal_or_template_stops_no_io_and_it_comes_back(
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
    before = server.pids()
    for pid in before.values():
        # What the supervisor has open is none of theirs.
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        assert not [link for link in links if "/state/" in link or "serve.lock" in link]
    server.kill()
    session.write(2)
    server.initiator().read(2)
    assert "no server runs" in server.command("volume", "list").stderr
    server.out.unlink()
    server.run("demo")
    session.read(2)
    assert server.pids() == before
    assert "3 running processes were taken over" in server.out.read_text()
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
    assert "target.demo: process" in server.out.read_text()


def test_everything_killed_comes_back_with_its_data(server: Server) -> None:
    server.configure(file("demo", "./demo.img"))
    server.run("demo")
    server.initiator().write(5)
    server.kill()
    for pid in server.pids().values():
        os.kill(pid, signal.SIGKILL)
    server.out.unlink()
    server.run("demo")
    server.initiator().read(5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_orderly_end_leaves_no_process_behind(server: Server, number: signal.Signals) -> None:
    server.configure(memory("demo"), file("other", "./other.img"))
    server.run("demo", "other")
    server.initiator().write(1)
    pids = server.pids()
    assert len(pids) == 4
    server.signal(number)
    assert server.wait() == 0
    wait_until(lambda: not any(map(is_alive, pids.values())), "all have ended")
    assert not list((server.data / "run").glob("*.sock"))
    assert "and was killed" not in server.out.read_text()


def test_a_process_that_will_not_stop_is_killed_and_said_so(server: Server) -> None:
    server.configure(memory("demo"), limits={"stop_timeout_s": 1})
    server.run("demo")
    os.kill(server.pid("target.demo"), signal.SIGSTOP)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "did not stop within 1 s and was killed" in server.out.read_text()


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
    assert server.pids() == {}


def test_a_data_folder_may_have_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long-" * 20) / ("longer-" * 20)
    folder.mkdir(parents=True)
    name = "v" + "0123456789" * 6 + "xy"
    server = Server(folder)
    try:
        server.configure(memory(name))
        server.run(name)
        server.initiator(name).write(1)
        assert name in server.command("volume", "list").stdout
    finally:
        server.close()


def test_a_reload_adds_changes_and_removes(server: Server) -> None:
    server.configure(memory("demo"), memory("gone"))
    server.run("demo", "gone")
    session = server.initiator()
    session.write(1)
    gone, demo = server.pid("target.gone"), server.pid("target.demo")
    server.configure(memory("demo"), memory("new"))
    server.signal(signal.SIGHUP)
    wait_until(lambda: server.shows("new"), "the new volume is served")
    wait_until(lambda: not is_alive(gone), "the removed one is not")
    server.initiator("new").write(1)
    session.read(1)
    assert server.pid("target.demo") == demo
    assert "volume gone is no longer in" in server.out.read_text()
    assert "not served" in server.command("volume", "list").stdout


def test_an_edited_front_end_restarts_no_target_and_empties_no_volume(server: Server) -> None:
    server.configure(memory("demo"), file("other", "./other.img"))
    server.run("demo", "other")
    session = server.initiator()
    session.write(1)
    before = server.pids()
    one, other = server.port, free_port()
    server.port = other
    listen = [f"127.0.0.1:{one}", f"127.0.0.1:{other}"]
    section = {"listen": listen, "session_count_max": 1}
    server.configure(memory("demo"), file("other", "./other.img"), frontends={"iscsi": section})
    server.signal(signal.SIGHUP)
    server.new_pid("portal", before["portal"])
    session.read(1)
    assert not reads(server, 1), "one session at once, from now on"
    session.close()
    wait_until(lambda: reads(server, 1), "the next one is let in")
    assert {name: pid for name, pid in server.pids().items() if name.startswith("target")} == {
        name: pid for name, pid in before.items() if name.startswith("target")
    }


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
        rows = json.loads(server.command("volume", "list", "--output", "json").stdout)
        return next((str(row["state"]) for row in rows if row["name"] == "work"), "gone")

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
    shown = json.loads(server.command("volume", "show", "work", "--output", "json").stdout)
    assert "Nothing of it is gone" in shown["deletion"]
    assert (server.folder / "r0" / "head-000.img").exists()
    # Taken back it is served, with the replica that comes back.
    assert server.command("volume", "delete", "work", "--cancel").returncode == 0
    away.rename(third)
    wait_until(lambda: state() == "up, serving", "it is whole again")
    third.rename(away)
    assert server.command("volume", "delete", "work", "--yes").returncode == 6
    # Over kill -9 of everything.
    server.kill()
    for pid in server.pids().values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.out.unlink()
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
    server.signal(signal.SIGHUP)
    wait_until(lambda: "nothing was changed" in server.out.read_text(), "the file is refused")
    session.write(1)


def test_a_volume_can_not_change_its_size_by_the_file(server: Server) -> None:
    server.configure(memory("demo"))
    server.run("demo")
    server.configure(memory("demo", "128 MiB"))
    server.signal(signal.SIGHUP)
    wait_until(lambda: "this can't be changed" in server.out.read_text(), "it is refused")
    server.initiator().write(1)
    server.signal(signal.SIGTERM)
    server.wait()
    refused = server.command("serve", str(server.file))
    assert refused.returncode == 2
    assert "was created with size_bytes 67108864, the file says 134217728" in refused.stderr


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
    listed = json.loads(server.command("volume", "list", "--output", "json").stdout)
    assert {row["name"]: row["owner"] for row in listed} == {"demo": "file", "work": "state"}
    shown = json.loads(server.command("volume", "show", "work", "--output", "json").stdout)
    assert shown["state"] == "up"
    assert shown["data"] == [str(server.folder / "work.img")]
    assert shown["statistics"]["frontend"]["write"]["count"] >= 1
    assert shown["processes"][0]["pid"] == server.pid("target.work")
    # What the state owns outlives the server.
    server.signal(signal.SIGTERM)
    server.wait()
    server.out.unlink()
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
    line = server.file.read_text().splitlines().index("volumes:") + 2
    assert f"tierce.yaml:{line}" in refused.stderr
    assert server.command("volume", "create", "demo", "--size", "1MiB", "--engine", "memory").stderr


def test_a_lost_state_is_made_again_from_the_folders(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    server.initiator().write(9)
    server.signal(signal.SIGTERM)
    server.wait()
    shutil.rmtree(server.data / "state")
    refused = server.command("serve", str(server.file))
    assert refused.returncode == 7
    words = refused.stderr.partition("run: ")[2].split()
    assert words[:3] == ["tierce", "volume", "adopt"]
    adopted = server.command(*words[1:])
    assert adopted.returncode == 0, adopted.stderr
    server.out.unlink()
    server.run("demo")
    server.initiator().read(9)


def test_a_lost_state_and_a_lost_replica_leave_a_volume_that_is_taken_back(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    server.initiator().write(9)
    server.signal(signal.SIGTERM)
    server.wait()
    shutil.rmtree(server.data / "state")
    shutil.rmtree(server.folder / "demo-1")
    refused = server.command("serve", str(server.file))
    words = refused.stderr.partition("run: ")[2].split()
    assert words[:5] == ["tierce", "volume", "adopt", "--without", "replica-2"]
    adopted = server.command(*words[1:])
    assert adopted.returncode == 0, adopted.stderr
    assert "Nothing that was acknowledged is lost" in adopted.stdout
    server.out.unlink()
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
    server.signal(signal.SIGTERM)
    server.wait()
    note = DoubtNote(server.data / "volumes" / "demo", 64 << 20)
    note.save(Doubt(frozenset({0}), "demo.img could not be flushed: Input/output error", 1.0))
    server.out.unlink()
    server.run("demo")
    server.initiator().read(4)
    assert "write failed: Input/output error" in write_through(server, 5)
    shown = json.loads(server.command("volume", "show", "demo", "--output", "json").stdout)
    assert shown["state"] == "up, degraded"
    assert "1048576 bytes at 0" in shown["medium"]
    target = server.pid("target.demo")
    accepted = server.command("volume", "accept-loss", "demo", "--yes")
    assert accepted.returncode == 0, accepted.stderr
    assert "1048576 bytes at 0" in accepted.stdout
    server.new_pid("target.demo", target)
    assert "wrote 4096/4096" in write_through(server, 6)
    assert not note.read()
    assert (
        json.loads(server.command("volume", "show", "demo", "--output", "json").stdout)["state"]
        == "up"
    )


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
    pids = server.pids()
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    wait_until(lambda: not any(map(is_alive, pids.values())), "all have ended")
    assert "and was killed" not in server.out.read_text()


def test_a_terminal_that_closes_ends_nothing(server: Server) -> None:
    server.configure(memory("demo"))
    ours, theirs = os.openpty()
    server.start_on(theirs)
    os.close(theirs)
    shown = b""
    while b"url" not in shown:
        shown += os.read(ours, 4096)
    session = server.initiator()
    session.write(1)
    os.close(ours)
    # What the kernel sends to who had the terminal; it means a reload here.
    server.signal(signal.SIGHUP)
    log = server.data / "logs" / "serve.log"
    wait_until(lambda: "config.reloaded" in log.read_text(), "the file is read again")
    session.read(1)
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_a_reload_that_enables_a_plugin_keeps_what_runs(server: Server) -> None:
    server.configure(memory("demo"), plugins={"enable": ["engines", "iscsi"]})
    server.run("demo")
    session = server.initiator()
    session.write(1)
    before = server.pids()
    server.configure(memory("demo"), jiva("more"), plugins={"enable": ["engines", "iscsi", "jiva"]})
    server.signal(signal.SIGHUP)
    server.new_pid("template", before["template"])
    wait_until(lambda: server.shows("more"), "the new engine's volume is served")
    session.read(1)
    assert server.pid("target.demo") == before["target.demo"]


def test_an_exporter_and_a_policy_handler_run_beside_the_data_path(server: Server) -> None:
    server.install("stranger", STRANGER)
    policy = {"kind": "watch", "name": "p", "selector": {"volumes": ["demo"]}}
    seen = server.folder / "seen.json"
    exporters = {"tofile": {"path": str(seen)}}
    server.configure(memory("demo"), memory("other"), exporters=exporters, policies=[policy])
    server.run("demo", "other")
    wait_until(lambda: "policy sees ['demo']" in server.out.read_text(), "the policy is applied")
    server.initiator().write(1)

    def is_exported() -> bool:
        with contextlib.suppress(OSError, ValueError, KeyError):
            stages = json.loads(seen.read_text())["demo"]["stages"]
            return bool(stages["frontend"]["write"]["count"])
        return False

    wait_until(is_exported, "the exporter sees the write")
    old = server.pid("exporter.tofile")
    os.kill(old, signal.SIGKILL)
    new = server.new_pid("exporter.tofile", old)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    wait_until(lambda: not is_alive(new), "the exporter has ended")
    assert "and was killed" not in server.out.read_text()


def test_a_fenced_target_stays_down_until_it_is_claimed(server: Server) -> None:
    def state() -> str:
        rows = json.loads(server.command("volume", "list", "--output", "json").stdout)
        return str(rows[0]["state"])

    server.install("stranger", STRANGER)
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
