"""The shim fails what it is told to fail, and nothing else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from system.shim import SHORT, Operation, Rule, Shim

pytestmark = [pytest.mark.system, pytest.mark.needs("gcc")]

#: Writes, reads and syncs a file as a replica does, and says what came of each.
PROGRAM = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
def told(call):
    try:
        return call() or 0
    except OSError as error:
        return -error.errno
print(told(lambda: os.pwrite(file, bytes(4096), 0)))
os.ftruncate(file, 4096)
print(told(lambda: os.preadv(file, [bytearray(4096)], 0, os.RWF_NOWAIT)))
print(told(lambda: os.fdatasync(file)))
print(told(lambda: os.fsync(file)))
"""


def outcome(shim: Shim, path: Path) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        env={**os.environ, **shim.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("operation", "error", "expected"),
    [
        (Operation.WRITE, errno.EIO, [-errno.EIO, 4096, 0, 0]),
        (Operation.WRITE, SHORT, [2048, 4096, 0, 0]),
        (Operation.READ, errno.EIO, [4096, -errno.EIO, 0, 0]),
        (Operation.READ, SHORT, [4096, 2048, 0, 0]),
        (Operation.SYNC, errno.EIO, [4096, 4096, -errno.EIO, -errno.EIO]),
    ],
)
def test_a_call_on_a_chosen_file_fails_as_it_was_told_and_others_do_not(
    tmp_path: Path, operation: Operation, error: int, expected: list[int]
) -> None:
    shim = Shim(tmp_path)
    with shim.failing([Rule(operation, error, 100, "picked")]):
        assert outcome(shim, tmp_path / "picked") == expected
        assert outcome(shim, tmp_path / "other") == [4096, 4096, 0, 0]
    assert outcome(shim, tmp_path / "picked") == [4096, 4096, 0, 0]


def test_a_call_fails_as_often_as_it_was_told(tmp_path: Path) -> None:
    shim = Shim(tmp_path)
    with shim.failing([Rule(Operation.SYNC, errno.EIO, 0, "picked")]):
        assert outcome(shim, tmp_path / "picked") == [4096, 4096, 0, 0]
