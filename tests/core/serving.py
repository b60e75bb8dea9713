"""`tierce serve` on a folder of its own, a real initiator, and a stranger's plugin."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAIT_S = 30.0


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
        self.prefix: list[str] = []
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
            [*self.prefix, sys.executable, "-m", "tierce.cli.main", "serve", str(self.file)],
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
        # At a line's beginning: what was refused of a volume is told before it is served.
        return re.search(rf"^volume {volume}: ", self.out.read_text(), re.MULTILINE) is not None

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
        # Again, because a fork server may just have been forking.
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


def memory(name: str, size: str = "64 MiB") -> dict[str, Any]:
    return {"name": name, "size": size, "engine": "memory", "frontend": "iscsi"}


def file(name: str, path: str, size: str = "64 MiB") -> dict[str, Any]:
    return {**memory(name, size), "engine": "file", "options": {"path": path}}


def jiva(name: str, size: str = "64 MiB") -> dict[str, Any]:
    replicas = [{"folder": f"./{name}-{index}"} for index in range(3)]
    return {**memory(name, size), "engine": "jiva", "options": {"replicas": replicas}}


STRANGER = """
import json
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


class Exporter(tierce.Service):
    def run(self):
        while self.context.wait(0.05):
            seen = {name: attrs.asdict(one) for name, one in self.context.statistics().items()}
            Path(self.context.options.path).write_text(json.dumps(seen))


def apply(policy, volumes, now):
    seen = tierce.Event("policy.seen", f"policy sees {sorted(volumes)}", "policy/p", "warning")
    return tierce.Evaluation(events=(seen,))


@tierce.hookimpl
def tierce_engines():
    return [tierce.EngineDescription(
        name="stranger", summary="Memory that can be taken away.", factory="stranger:Engine",
        concurrency=tierce.Concurrency.INLINE, durable=False, options=Options, contract=2)]


@tierce.hookimpl
def tierce_services():
    return [tierce.ServiceDescription(
        name="tofile", summary="A file.", factory="stranger:Exporter", options=Options, contract=2)]


@tierce.hookimpl
def tierce_policy_handlers():
    return [tierce.PolicyHandlerDescription(
        kind="watch", summary="Watches.", factory="stranger:apply", contract=2)]
"""
