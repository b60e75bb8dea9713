"""An initiator that people use: qemu-io, kept open."""

from __future__ import annotations

import select
import subprocess

from serving.processes import WAIT_S


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


def reads(url: str, pattern: int) -> bool:
    """True if a new session reads what was written."""
    done = _run(url, f"read -P {pattern} 0 4096")
    return done.returncode == 0 and "failed" not in done.stdout + done.stderr


def write_through(url: str, pattern: int) -> str:
    """Write what is durable when it is answered; return what qemu-io says."""
    return _run(url, f"write -f -P {pattern} 0 4096").stdout


def _run(url: str, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["qemu-io", "-f", "raw", "-c", command, url],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
