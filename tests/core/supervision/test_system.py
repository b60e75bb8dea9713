"""What is asked of the kernel about processes, of a real one."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tierce.supervision.system import Linux


def test_a_process_is_watched_signalled_and_reaped_and_gone_once() -> None:
    linux = Linux()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    watched = linux.watch(child.pid)
    assert select.select([watched], [], [], 0)[0] == []
    linux.signal(watched, signal.SIGKILL)
    assert select.select([watched], [], [], 30)[0] == [watched]
    linux.reap(child.pid)
    child.returncode = -signal.SIGKILL
    # Whoever comes late does no harm.
    linux.signal(watched, signal.SIGTERM)
    linux.reap(child.pid)
    os.close(watched)
    with pytest.raises(ProcessLookupError):
        linux.watch(child.pid)


def test_orphans_of_our_descendants_become_ours() -> None:
    program = """
import os, subprocess, sys
from tierce.supervision.system import Linux
Linux().adopt_orphans()
middle = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', '']).pid)"
orphan = int(subprocess.run([sys.executable, "-c", middle], capture_output=True).stdout)
assert os.waitpid(orphan, 0)[0] == orphan
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=Path.cwd())
