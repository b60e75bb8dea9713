"""An ext4 on a replicated volume, through the kernel's loop device, survives kill -9 of Tierce.

The bridge: iSCSI in qemu-storage-daemon (libiscsi), its NBD export, nbdfuse, a loop device with
direct I/O. (QEMU's own FUSE export corrupts large direct writes; it is not used.)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from serving.processes import is_alive, wait_until
from serving.server import IQN, Server
from serving.volumes import jiva

pytestmark = [
    pytest.mark.system,
    pytest.mark.needs(
        *("root", "/dev/fuse", "/dev/loop-control", "libiscsi", "qemu-storage-daemon"),
        *("nbdfuse", "losetup", "mkfs.ext4"),
    ),
]


def run(*words: str | Path, is_checked: bool = True) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=60, check=False
    )
    assert not is_checked or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@attrs.define
class Bridge:
    """A volume as a loop device.

    Attributes:
        loop: The device's path; empty while there is none.
    """

    folder: Path
    server: Server
    loop: str = ""
    _daemon: int = 0
    _nbdfuse: subprocess.Popen[bytes] | None = None

    def attach(self) -> None:
        """Log in and make the block device."""
        self.folder.mkdir(exist_ok=True)
        pid_file, socket_file = self.folder / "daemon.pid", self.folder / "nbd.sock"
        mount = self.folder / "fuse"
        mount.mkdir(exist_ok=True)
        blockdev = (
            f"driver=iscsi,node-name=lun0,transport=tcp,portal=127.0.0.1:{self.server.port},"
            f"target={IQN}:demo,lun=0,initiator-name={IQN}:bridge,cache.direct=on,discard=unmap"
        )
        run(
            *("qemu-storage-daemon", "--daemonize", "--pidfile", pid_file),
            *("--blockdev", blockdev),
            *("--nbd-server", f"addr.type=unix,addr.path={socket_file}"),
            *("--export", "type=nbd,id=x,node-name=lun0,name=vol,writable=on"),
        )
        self._daemon = int(pid_file.read_text())
        self._nbdfuse = subprocess.Popen(
            ["nbdfuse", str(mount), f"nbd+unix:///vol?socket={socket_file}"]
        )
        wait_until((mount / "nbd").exists, "nbdfuse shows the volume")
        options = ("--find", "--show", "--direct-io=on")
        self.loop = run("losetup", *options, mount / "nbd").strip()

    def cut_off(self) -> None:
        """Kill the initiator with the file system mounted, as when a machine dies."""
        os.kill(self._daemon, signal.SIGKILL)

    def detach(self) -> None:
        """Take the device and the session away, however broken they are."""
        mount = self.folder / "fuse"
        if self.loop:
            run("losetup", "-d", self.loop, is_checked=False)
            self.loop = ""
        run("umount", mount, is_checked=False)
        if self._nbdfuse is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nbdfuse.wait(5)
            self._nbdfuse.kill()
            self._nbdfuse.wait()
            self._nbdfuse = None
        if self._daemon:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._daemon, signal.SIGKILL)
            wait_until(lambda: not is_alive(self._daemon), "the storage daemon has ended")
            self._daemon = 0


@pytest.fixture
def bridge(server: Server, tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path / "bridge", server)
    yield made
    made.detach()


@contextlib.contextmanager
def mounted(device: str, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    run("mount", "-t", "ext4", device, at)
    try:
        yield at
    finally:
        run("umount", at)


def write_files(folder: Path, seed: int, count: int) -> dict[str, str]:
    """Write files, each durable on return, and return their digests."""
    chooser = random.Random(seed)
    digests = {}
    for number in range(count):
        data = chooser.randbytes(chooser.choice((100, 5000, 70_000, 1_500_000)))
        path = folder / f"file-{seed}-{number}"
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        digests[path.name] = hashlib.sha256(data).hexdigest()
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return digests


def read_files(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("file-*")
    }


@pytest.mark.timeout(300)
def test_ext4_survives_kill_9_of_every_process(
    server: Server, bridge: Bridge, tmp_path: Path
) -> None:
    server.configure(jiva("demo", "256 MiB"))
    server.run("demo")
    bridge.attach()
    run("mkfs.ext4", "-q", "-F", bridge.loop)
    expected: dict[str, str] = {}
    for seed in range(3):
        with mounted(bridge.loop, tmp_path / "mnt") as folder:
            expected |= write_files(folder, seed, 20)
            # Left in the event_log and the page cache: it may be lost, the rest may not.
            (folder / f"unsynced-{seed}").write_bytes(b"?" * 100_000)
            server.kill_all()
            server.start()
            # The initiator logs in again by itself and repeats what was not answered.
            expected |= write_files(folder, 100 + seed, 5)
            assert read_files(folder) == expected
        run("e2fsck", "-fn", bridge.loop)
    bridge.detach()
    server.stop()
    server.run("demo")
    bridge.attach()
    run("e2fsck", "-fn", bridge.loop)
    with mounted(bridge.loop, tmp_path / "mnt") as folder:
        assert read_files(folder) == expected
        run("fstrim", folder)
    run("e2fsck", "-fn", bridge.loop)


@pytest.mark.timeout(300)
def test_ext4_survives_the_death_of_tierce_and_of_the_initiator_at_once(
    server: Server, bridge: Bridge, tmp_path: Path
) -> None:
    server.configure(jiva("demo", "256 MiB"))
    server.run("demo")
    bridge.attach()
    run("mkfs.ext4", "-q", "-F", bridge.loop)
    at = tmp_path / "mnt"
    at.mkdir()
    run("mount", "-t", "ext4", bridge.loop, at)
    try:
        expected = write_files(at, 1, 20)
        server.kill_all()
    finally:
        bridge.cut_off()
        run("umount", at, is_checked=False)
    bridge.detach()
    server.run("demo")
    bridge.attach()
    # Replaying the event_log is what ext4 does after every crash; then all must be well.
    with mounted(bridge.loop, at) as folder:
        assert read_files(folder) == expected
    run("e2fsck", "-fn", bridge.loop)
