"""A real `tierce serve` on a folder of its own, and what tests do to its processes."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from serving.libiscsi import BrokenSessionError, Session
from serving.processes import WAIT_S, free_port, is_alive, wait_until
from serving.qemu_io import Initiator
from serving.strangers import install, lay_out

IQN = "iqn.2026-11.io.tierce"
COMMAND = (sys.executable, "-m", "tierce.cli.main")
#: Commands answer sooner than this, and so does a server that refuses to start.
COMMAND_S = 60


class Server:
    """`tierce serve` on one folder; `kill` takes what it is told, `close` all that is left.

    As a context it is closed in the end, and an exception that passes tells what was said.

    Attributes:
        out: What was said, by one server after another.
        env: The environment of the server and of commands.
        prefix: Words before the server's own, such as a shell that sets a limit.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        hosts: Sequence[str] = ("127.0.0.1",),
    ) -> None:
        self.folder = folder
        self.hosts = hosts
        self.data = folder / "data"
        self.file = folder / "tierce.yaml"
        self.out = folder / "out.txt"
        self.port = free_port()
        self.env = {**os.environ, **(environment or {})}
        self.prefix: list[str] = []
        self._said_before = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._initiators: list[Initiator] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _story: object) -> None:
        if error is not None:
            error.add_note(self.story())
        self.close()

    # -- what it is to serve -----------------------------------------------------------------------

    def configure(self, *volumes: dict[str, Any], **more: Any) -> None:
        listen = {"iscsi": {"listen": [f"{host}:{self.port}" for host in self.hosts]}}
        config = {"data_dir": "./data", "frontends": listen, **more}
        # JSON is YAML, one line a volume so that origins have lines of their own.
        lines = [f"{key}: {json.dumps(value)}" for key, value in config.items()]
        lines += ["volumes:"] if volumes else ["volumes: []"]
        lines += [f"  - {json.dumps(volume)}" for volume in volumes]
        self.file.write_text("\n".join(lines) + "\n")

    def line_of(self, number: int) -> int:
        """Return the line of a volume in the config file; the first one is 1."""
        return self.file.read_text().splitlines().index("volumes:") + 1 + number

    def lay_out(self, *names: str) -> None:
        """Have strangers' plugins beside ours, in the processes that are started from now on."""
        lay_out(names, self.folder / "site")
        self._look_in(self.folder / "site")

    def install(self, plugin: Path) -> None:
        """Have the plugin of this folder beside ours, installed as its author would."""
        install(plugin, self.folder / "source", self.folder / "installed")
        self._look_in(self.folder / "installed")

    def _look_in(self, site: Path) -> None:
        path = self.env.get("PYTHONPATH", "")
        self.env["PYTHONPATH"] = os.pathsep.join((str(site), path))

    # -- its life ----------------------------------------------------------------------------------

    def start(self, output: int | None = None) -> None:
        """Start serving, with what is said going to `out` or to a descriptor; whoever served before
        must have ended."""
        with self.out.open("ab") as out:
            self._said_before = out.tell()
            self._process = subprocess.Popen(
                [*self.prefix, *COMMAND, "serve", str(self.file)],
                stdout=out if output is None else output,
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
        assert self.is_serving, f"tierce serve has ended:\n{self.story()}"
        # At a line's beginning: what was refused of a volume is told before it is served.
        return re.search(rf"^volume {volume}: ", self.said(), re.MULTILINE) is not None

    def said(self) -> str:
        """Return what was said since the last start."""
        with self.out.open("rb") as out:
            out.seek(self._said_before)
            return out.read().decode(errors="replace")

    def story(self) -> str:
        """Return what was said by all servers of this folder, for who looks into a failure."""
        said = self.out.read_text(errors="replace") if self.out.exists() else ""
        return f"tierce serve in {self.folder} has said:\n{said}"

    @property
    def is_serving(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(WAIT_S)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End orderly, as Ctrl-C does."""
        self.send(number)
        assert self.wait() == 0, self.story()

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

    # -- its processes -----------------------------------------------------------------------------

    def pid(self, process: str) -> int:
        """Return the process that holds, or held last, this lock."""
        return int(json.loads((self.data / "run" / f"{process}.lock").read_text())["pid"])

    def children(self) -> dict[str, int]:
        """The living processes by name, without the server itself."""
        found = {}
        ours = self.left()
        for path in (self.data / "run").glob("*.lock"):
            with contextlib.suppress(ValueError, KeyError):
                # The pid in an old lock file may be another's.
                if (pid := self.pid(path.stem)) in ours:
                    found[path.stem] = pid
        return found

    def pids(self) -> dict[str, int]:
        """The living processes by name, the server itself as `serve`."""
        found = self.children()
        if self._process is not None and self.is_serving:
            found["serve"] = self._process.pid
        return found

    def left(self) -> list[int]:
        """Find the living processes of this data folder, whether they have a lock or not."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if str(self.data).encode() in words and is_alive(int(folder.name)):
                    found.append(int(folder.name))
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

    def kill(self, names: Iterable[str] = ("serve",)) -> None:
        """Kill -9 these processes, as nearly at once as one process can."""
        pids = self.pids()
        wanted = [(name, pids[name]) for name in names if name in pids]
        for _name, pid in wanted:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None and ("serve", self._process.pid) in wanted:
            self.wait()

    def kill_all(self) -> None:
        def is_done() -> bool:
            # Each time: what was being started while the first were killed comes to light later.
            found = self.pids()
            self.kill(found)
            return not found

        wait_until(is_done, "all are dead")

    @contextlib.contextmanager
    def stopped(self, names: Iterable[str]) -> Iterator[None]:
        """Let these processes hang meanwhile, as on a machine that swaps or a disk that stalls."""
        pids = self.pids()
        hanging = [pids[name] for name in names if name in pids]
        for pid in hanging:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in hanging:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def rss_kib(self, name: str) -> int:
        """The resident memory of a process."""
        status = Path(f"/proc/{self.pids()[name]}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
        assert found
        return int(found[1])

    # -- who uses it, and who asks it --------------------------------------------------------------

    def url(self, volume: str = "demo") -> str:
        return f"iscsi://{self.hosts[0]}:{self.port}/{IQN}:{volume}/0"

    def initiator(self, volume: str = "demo") -> Initiator:
        """Open a session of qemu-io, which is closed with the server."""
        made = Initiator(self.url(volume))
        self._initiators.append(made)
        return made

    def session(self, volume: str = "demo", initiator: str = "tests") -> Session:
        """Log in by libiscsi, as soon as that is possible."""
        deadline = time.monotonic() + WAIT_S
        refusal = ""
        while time.monotonic() < deadline:
            assert self.is_serving, f"tierce serve has ended:\n{self.story()}"
            try:
                return Session(self.url(volume), f"{IQN}:{initiator}")
            except BrokenSessionError as error:
                refusal = str(error)
            time.sleep(0.05)
        raise AssertionError(f"no login: {refusal}\n{self.story()}")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env={**self.env, "TIERCE_DATA_DIR": str(self.data)},
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return what `volume list` says of each volume."""
        listed = self.command("volume", "list", "--output", "json")
        assert listed.returncode == 0, listed.stderr
        return {row["name"]: row for row in json.loads(listed.stdout)}

    def health(self, volume: str = "demo") -> str:
        """Return the word for how a volume is."""
        return str(self.rows()[volume]["health"])

    def reload(self, count: int = 1) -> str:
        """Have the file read again, for the `count`th time; return what was said of it."""
        self.send(signal.SIGHUP)
        wait_until(lambda: self.said().count("was read again") >= count, "the file is read again")
        return [line for line in self.said().splitlines() if "was read again" in line][-1]

    def shown(self, volume: str = "demo") -> dict[str, Any]:
        """Return what `volume show` says, nothing where it fails."""
        shown = self.command("volume", "show", volume, "--output", "json")
        return dict(json.loads(shown.stdout)) if shown.returncode == 0 else {}

    # -- replicas ----------------------------------------------------------------------------------

    def heads(self, volume: str = "demo") -> list[Path]:
        """Return the file that holds each replica's bytes."""
        volumes = {one["name"]: one for one in yaml.safe_load(self.file.read_text())["volumes"]}
        folders = [each["folder"] for each in volumes[volume]["options"]["replicas"]]
        return [next((self.folder / folder).glob("head-*.img")) for folder in folders]

    def is_whole(self, volume: str = "demo") -> bool:
        """Whether every replica is in the in-sync set."""
        states = self.shown(volume).get("replicas", [])
        return bool(states) and all(replica["state"] == "in-sync" for replica in states)

    def are_heads_equal(self, volume: str = "demo") -> bool:
        """Whether every replica holds the same bytes."""
        first, *others = self.heads(volume)
        return all(filecmp.cmp(first, other, shallow=False) for other in others)
