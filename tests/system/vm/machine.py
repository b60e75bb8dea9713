"""A virtual machine: boots the image, runs scripts in it, can lose its power.

Its network is QEMU's user mode: no root, and the guest reaches the host's loopback addresses
127.0.1.x under the same numbers (guest/init.sh says how). What is written to its disk is gone when
it ends; what matters lies on volumes. Scripts go through a serial port of their own (guest/agent.py
is the other end); the kernel's messages go to `console`.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import time
from pathlib import Path

import attrs

from system.vm.image import Image

EMULATOR = "qemu-system-x86_64"
MEMORY_MIB = 1024
BOOT_TIMEOUT_S = 150.0
#: KVM that is there but doesn't work (it may hang) costs this once; then TCG is used.
KVM_BOOT_TIMEOUT_S = 15.0
SCRIPT_TIMEOUT_S = 60.0
CONSOLE_LINES_SHOWN = 40


class MachineError(Exception):
    """The machine is off, or doesn't answer."""


class ScriptError(Exception):
    """A script ended with another code than 0."""


@attrs.frozen
class Outcome:
    """What a script did.

    Attributes:
        code: Its exit code.
        output: The end of what it wrote to both outputs.
    """

    code: int
    output: str


class AgentPort:
    """The host's end of the port: scripts in, outcomes out, in any order."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()
        self._last = 0
        self._outcomes: dict[int, Outcome] = {}
        self.is_ready = False

    def begin(self, script: str) -> int:
        """Send a script; returns its number."""
        self._last += 1
        data = script.encode()
        self._connection.sendall(f"run {self._last} {len(data)}\n".encode() + data)
        return self._last

    def stop(self, number: int) -> None:
        self._connection.sendall(f"stop {number} 0\n".encode())

    def outcome(self, number: int) -> Outcome | None:
        """Return what a script did, None while it runs."""
        return self._outcomes.get(number)

    def serve(self, wait_s: float) -> None:
        """Take in what arrives within so long; returns after the first that does."""
        ready, _, _ = select.select([self._connection], [], [], wait_s)
        if ready:
            data = self._connection.recv(1 << 16)
            if not data:
                raise MachineError("the machine has closed the agent's port")
            self._received += data
            while self._take_message():
                pass

    def close(self) -> None:
        self._connection.close()

    def _take_message(self) -> bool:
        head, newline, rest = self._received.partition(b"\n")
        if not newline:
            return False
        verb, number, code, length = head.decode().split()
        if len(rest) < int(length):
            return False
        output = rest[: int(length)].decode(errors="replace")
        del self._received[: len(head) + 1 + int(length)]
        if verb == "ready":
            self.is_ready = True
        else:
            self._outcomes[int(number)] = Outcome(int(code), output)
        return True


class Machine:
    """One virtual machine; off until `start`.

    Args:
        image: What it boots.
        folder: Where its console goes.
    """

    def __init__(self, image: Image, folder: Path) -> None:
        self._image = image
        self._folder = folder
        self._console = folder / "console.txt"
        self._accelerators = accelerators()
        self._process: subprocess.Popen[bytes] | None = None
        self._port: AgentPort | None = None

    @property
    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Boot; on return the agent answers."""
        assert self._process is None
        while True:
            accelerator = self._accelerators[0]
            self._launch(accelerator)
            try:
                self._wait_for_agent(KVM_BOOT_TIMEOUT_S if accelerator == "kvm" else BOOT_TIMEOUT_S)
            except MachineError:
                self.cut_power()
                if len(self._accelerators) == 1:
                    raise
                del self._accelerators[0]
            else:
                return

    def run(self, script: str, timeout_s: float = SCRIPT_TIMEOUT_S) -> str:
        """Run a script of bash that must succeed, each of its commands; returns its output."""
        outcome = self.attempt(f"set -euo pipefail\n{script}", timeout_s)
        if outcome.code:
            said = f"{script}\n{outcome.output}\nconsole:\n{self.console()}"
            raise ScriptError(f"this script ended with {outcome.code}:\n{said}")
        return outcome.output

    def attempt(self, script: str, timeout_s: float = SCRIPT_TIMEOUT_S) -> Outcome:
        """Run a script of bash; returns what it did."""
        return self.wait(self.begin(script), timeout_s)

    def begin(self, script: str) -> int:
        """Start a script; `wait` or `outcome` tell what it did."""
        return self._agent.begin(script)

    def outcome(self, number: int) -> Outcome | None:
        """Return what a script did, None while it runs; takes in what arrived meanwhile."""
        self._agent.serve(0)
        return self._agent.outcome(number)

    def wait(self, number: int, timeout_s: float = SCRIPT_TIMEOUT_S) -> Outcome:
        """Wait for the end of a script."""
        deadline = time.monotonic() + timeout_s
        while (outcome := self._agent.outcome(number)) is None:
            if time.monotonic() > deadline:
                self._agent.stop(number)
                raise MachineError(
                    f"a script takes longer than {timeout_s} s; console:\n{self.console()}"
                )
            self._agent.serve(0.5)
        return outcome

    def console(self) -> str:
        """Return the last lines that the kernel wrote."""
        with contextlib.suppress(FileNotFoundError):
            lines = self._console.read_text(errors="replace").splitlines()
            return "\n".join(lines[-CONSOLE_LINES_SHOWN:])
        return ""

    def cut_power(self) -> None:
        """End the machine at once, whatever it is doing; it may be off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._port is not None:
            self._port.close()
            self._port = None

    @property
    def _agent(self) -> AgentPort:
        if self._port is None:
            raise MachineError("the machine is off")
        return self._port

    def _launch(self, accelerator: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs, (self._folder / "qemu.txt").open("ab") as errors:
            self._process = subprocess.Popen(
                self._words(accelerator, theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        self._port = AgentPort(ours)

    def _words(self, accelerator: str, agent: int) -> list[str]:
        kernel_line = "console=ttyS0 panic=-1 mitigations=off quiet loglevel=5 net.ifnames=0"
        return [
            *("nice", "-n", "5", EMULATOR),
            *("-accel", accelerator, "-cpu", "max", "-M", "q35"),
            *("-m", str(MEMORY_MIB), "-smp", "1"),
            *("-display", "none", "-nodefaults", "-no-reboot"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)),
            *("-append", kernel_line),
            *("-drive", f"file={self._image.disk},if=virtio,format=raw,snapshot=on"),
            *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="),
            *("-chardev", f"file,id=console,path={self._console}", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=agent,fd={agent}"),
            *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent"),
        ]

    def _wait_for_agent(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._agent.is_ready:
            if time.monotonic() > deadline or not self.is_on:
                said = (self._folder / "qemu.txt").read_text(errors="replace")
                raise MachineError(f"the machine does not boot: {said}\n{self.console()}")
            self._agent.serve(0.2)


def accelerators() -> list[str]:
    """Return what to try, best first."""
    return ["kvm", "tcg"] if os.access("/dev/kvm", os.R_OK | os.W_OK) else ["tcg"]
