"""The servers that are measured, each behind the same few methods. Only processes that were
started here are ended here."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import attrs

IQN = "iqn.2026-11.io.tierce"
_START_S_MAX = 30.0
#: The command that was installed beside this Python.
TIERCE = str(Path(sys.executable).with_name("tierce"))


class MissingServerError(Exception):
    """A peer is not installed here."""


def free_port() -> int:
    """Return a TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Wait until something listens."""
    until = time.monotonic() + _START_S_MAX
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port} after {_START_S_MAX:.0f} s")


def children_of(pid: int) -> list[int]:
    """Return the process and all below it."""
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                ahead += [int(child) for child in task.read_text().split()]
    return found


@attrs.define
class Server:
    """One server with one volume.

    Attributes:
        name: In the tables.
        url: Where the volume is.
        pids: All processes that serve it.
    """

    name: str
    url: str
    pids: list[int]

    def pin(self, cpus: set[int]) -> None:
        """Let its processes, with all their threads, run on these CPUs only."""
        for pid in self.pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(task.name), cpus)


class Tgt:
    """tgtd with one target over a file (rdwr back end)."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        if shutil.which("tgtd") is None:
            raise MissingServerError("tgtd is not installed (package tgt)")
        self._folder, self._size = folder, size_bytes
        self._control = str(os.getpid() % 20000 + 10000)

    def start(self) -> Server:
        """Start it."""
        port = free_port()
        file = self._folder / "tgt.img"
        with file.open("wb") as made:
            made.truncate(self._size)
        self._process = subprocess.Popen(
            ["tgtd", "-f", "-C", self._control, "--iscsi", f"portal=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_port(port)
        target = ["--lld", "iscsi", "--mode", "target", "--tid", "1"]
        unit = ["--lld", "iscsi", "--mode", "logicalunit", "--tid", "1", "--lun", "1"]
        self._admin(*target, "--op", "new", "--targetname", f"{IQN}:tgt")
        self._admin(*unit, "--op", "new", "--backing-store", str(file))
        self._admin(*target, "--op", "bind", "--initiator-address", "ALL")
        return Server("tgt", f"iscsi://127.0.0.1:{port}/{IQN}:tgt/1", [self._process.pid])

    def stop(self) -> None:
        """End it: tgtd ignores SIGTERM while it has targets."""
        self._admin("--op", "delete", "--force", "--mode", "target", "--tid", "1")
        self._admin("--op", "delete", "--mode", "system")
        self._process.wait(10)

    def _admin(self, *arguments: str) -> None:
        subprocess.run(["tgtadm", "-C", self._control, *arguments], check=True, timeout=30)


class Istgt:
    """istgt with one logical unit over a file."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        if shutil.which("istgt") is None:
            raise MissingServerError("istgt is not installed (package istgt)")
        self._folder, self._size = folder, size_bytes

    def start(self) -> Server:
        """Start it."""
        port, control = free_port(), free_port()
        file = self._folder / "istgt.img"
        with file.open("wb") as made:
            made.truncate(self._size)
        config = self._folder / "istgt.conf"
        config.write_text(
            f"""[Global]
  NodeBase "{IQN}"
  PidFile {self._folder}/istgt.pid
  AuthFile {self._folder}/auth.conf
  MediaDirectory {self._folder}
  LogFacility "local7"
  Timeout 30
  NopInInterval 20
  DiscoveryAuthMethod None
  MaxSessions 16
  MaxConnections 4
  MaxR2T 32
  MaxOutstandingR2T 16
  FirstBurstLength 262144
  MaxBurstLength 1048576
  MaxRecvDataSegmentLength 262144
  InitialR2T Yes
  ImmediateData Yes
[UnitControl]
  AuthMethod None
  AuthGroup None
  Portal UC1 127.0.0.1:{control}
  Netmask 127.0.0.1
[PortalGroup1]
  Portal DA1 127.0.0.1:{port}
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask 127.0.0.0/8
[LogicalUnit1]
  TargetName istgt
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod None
  AuthGroup None
  UnitType Disk
  QueueDepth 128
  LUN0 Storage {file} {self._size}
"""
        )
        (self._folder / "auth.conf").write_text("")
        self._process = subprocess.Popen(
            ["istgt", "-D", "-q", "-c", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_port(port)
        return Server("istgt", f"iscsi://127.0.0.1:{port}/{IQN}:istgt/0", [self._process.pid])

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


class Tierce:
    """`tierce serve` with one volume, or with many.

    Args:
        name: In the tables.
        folder: Where everything lies.
        volumes: YAML of the `volumes:` list, without that key.
        environment: Its environment; None for ours.
    """

    def __init__(
        self, name: str, folder: Path, volumes: str, environment: dict[str, str] | None = None
    ) -> None:
        self._name, self._folder, self._volumes = name, folder, volumes
        self._environment = environment

    def start(self) -> Server:
        """Start it, and wait until its volumes answer."""
        port = free_port()
        config = self._folder / f"{self._name}.yaml"
        config.write_text(
            f"data_dir: {self._folder}/{self._name}-data\n"
            f'frontends: {{iscsi: {{listen: ["127.0.0.1:{port}"]}}}}\n'
            f"volumes:\n{self._volumes}"
        )
        self._log = (self._folder / f"{self._name}.log").open("w")
        self._process = subprocess.Popen(
            [TIERCE, "serve", str(config)],
            env=self._environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        wait_for_port(port)
        self._wait_for_volumes(config)
        return Server(self._name, f"iscsi://127.0.0.1:{port}/{IQN}:bench/0", self._pids())

    def stop(self) -> None:
        """End it orderly."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)
        self._log.close()

    def _wait_for_volumes(self, config: Path) -> None:
        """Wait until every volume serves and every replica is in sync."""
        until = time.monotonic() + _START_S_MAX
        command = [TIERCE, "volume", "list", "--output", "json"]
        while time.monotonic() < until:
            listed = subprocess.run(
                [*command, "--config", str(config)], capture_output=True, text=True, check=False
            )
            if listed.returncode == 0:
                volumes = json.loads(listed.stdout)
                if volumes and all(one["state"] in {"up", "up, serving"} for one in volumes):
                    return
            time.sleep(0.2)
        raise TimeoutError(f"the volumes of {config} do not serve after {_START_S_MAX:.0f} s")

    def _pids(self) -> list[int]:
        return children_of(self._process.pid)


def file_volume(folder: Path, size_bytes: int) -> str:
    """Return the YAML of one volume of engine `file`."""
    return (
        f"  - {{name: bench, size: {size_bytes}, engine: file, frontend: iscsi, "
        f"options: {{path: {folder}/file.img}}}}\n"
    )


def jiva_volume(folder: Path, size_bytes: int, replicas: int, name: str = "bench") -> str:
    """Return the YAML of one volume of engine `jiva`."""
    folders = ", ".join(
        f"{{folder: {folder}/{name}-{replicas}-{number}}}" for number in range(replicas)
    )
    return (
        f"  - {{name: {name}, size: {size_bytes}, engine: jiva, frontend: iscsi, "
        f"options: {{replicas: [{folders}]}}}}\n"
    )
