"""Runs scripts that arrive on a serial port, several at once, and returns output and exit code.

Each message is a line and so many bytes. `machine.py` is the other end.

    to the guest     run NUMBER LENGTH   and the script
                     stop NUMBER 0       ends a script and all that it started
    to the host      ready 0 0 0
                     done NUMBER CODE LENGTH   and what was written to both outputs, its end only

The port carries nothing else: the kernel and the daemons write to another one. It runs on the
guest's small Python, so it needs no package.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO

OUTPUT_BYTES_MAX = 1 << 20


class Agent:
    """One agent on one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writing = threading.Lock()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def serve(self) -> None:
        """Do what arrives until the port is closed."""
        self._send("ready", 0, 0, b"")
        with open(self._port, "rb", closefd=False) as lines:
            for line in lines:
                verb, number, length = line.decode().split()
                if verb == "run":
                    self._start(int(number), lines.read(int(length)))
                elif verb == "stop":
                    self._stop(int(number))

    def _start(self, number: int, script: bytes) -> None:
        # A file, not a pipe: a daemon that keeps it open delays no answer. `_finish` closes it.
        output = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            ["bash", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._processes[number] = process
        threading.Thread(target=self._finish, args=(number, process, output), daemon=True).start()

    def _finish(self, number: int, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        code = process.wait()
        with output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - OUTPUT_BYTES_MAX))
            self._send("done", number, code, output.read())

    def _stop(self, number: int) -> None:
        process = self._processes.get(number)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    def _send(self, verb: str, number: int, code: int, data: bytes) -> None:
        message = f"{verb} {number} {code} {len(data)}\n".encode() + data
        with self._writing:
            while message:
                message = message[os.write(self._port, message) :]


if __name__ == "__main__":
    Agent(os.open(sys.argv[1], os.O_RDWR)).serve()
