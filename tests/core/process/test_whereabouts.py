"""Where a process hangs is asked of it, and answered without its Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from tierce.process.paths import Paths
from tierce.process.whereabouts import ASKS, Whereabouts, where

#: What a plugin's file is to this process: neither core nor the standard library.
CHILD = """
import sys, threading
sys.path.insert(0, {folder!r})
from tierce.process.epoll import EpollReactor
from tierce.process.whereabouts import answer_where
import tierce_example
answer_where()
loop = EpollReactor()
loop.call_soon(lambda: tierce_example.read(lambda: print("ready", flush=True)))
loop.run()
"""
PLUGIN = """
import threading
def read(ready): ready(); threading.Event().wait()
"""


def test_a_call_that_never_returns_is_named_by_its_file_and_line(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.make()
    (tmp_path / "tierce_example.py").write_text(PLUGIN)
    log = paths.log("target.demo")
    log.parent.mkdir(exist_ok=True)
    log.write_text("an older line\n")
    with log.open("ab") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(folder=str(tmp_path))],
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    pidfd = os.pidfd_open(child.pid)
    whereabouts = Whereabouts(paths)
    since = whereabouts.ask("target.demo", pidfd)
    assert since == len("an older line\n")
    found = ""
    while not found and child.poll() is None:
        found = whereabouts.read("target.demo", since)
    assert found == "read of tierce_example.py, line 3"
    os.close(pidfd)
    child.kill()
    child.wait()
    child.stdout.close()


def test_one_that_has_ended_or_has_no_log_is_nowhere(tmp_path: Path) -> None:
    whereabouts = Whereabouts(Paths(tmp_path))
    assert whereabouts.ask("target.demo", -1) == 0
    assert whereabouts.read("target.demo", 0) == ""


def test_who_knows_nothing_of_the_question_ignores_it() -> None:
    before = signal.getsignal(ASKS)
    assert before is signal.SIG_DFL
    os.kill(os.getpid(), ASKS)


STACKS = """
Thread 0x01 (most recent call first):
  File "/x/site-packages/tierce_other.py", line 9 in work

Current thread 0x02 (most recent call first):
  File "{core}/volume/simple.py", line 5 in _call
  File "{core}/process/epoll.py", line 90 in run
"""


def test_what_hangs_in_core_is_named_as_that_and_other_threads_are_not_looked_at() -> None:
    core = Path(sys.modules["tierce"].__file__ or "").parent
    assert where(textwrap.dedent(STACKS).format(core=core)) == "_call of simple.py, line 5"


def test_a_loop_that_waits_for_events_hangs_nowhere() -> None:
    assert where('Thread 0x1 (most\n  File "/a/tierce/process/epoll.py", line 90 in run\n') == ""
