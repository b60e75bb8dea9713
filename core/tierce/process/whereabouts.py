"""Where a process hangs that does not answer: asked by a signal, told in its log.

Python is not needed for the answer: the handler is C, and writes the stack of each thread to the
process's log while a plugin's call goes on. So nothing on a data thread pays for it beforehand.
The signal is one that a process which knows nothing of it ignores.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

from tierce.process.paths import Paths

#: Asks a process to write down where it is.
ASKS = signal.SIGURG
#: So much of a log is looked through, from where the question was put on.
_ANSWER_BYTES_MAX = 64 << 10
_STDERR = 2

_FRAME = re.compile(r'^ +File "(?P<path>.+)", line (?P<line>\d+) in (?P<name>\S+)$', re.MULTILINE)
_STDLIB = str(Path(os.__file__).parent) + "/"
_PACKAGES = "/site-packages/"
_CORE = str(Path(__file__).parents[1]) + "/"
#: The loop, which lies at the bottom of a data thread's stack.
_LOOP = "tierce/process/epoll.py"


def answer_where() -> None:
    """Let this process write down where it is when it is asked."""
    faulthandler.register(ASKS, file=_STDERR, all_threads=True)


def answer_no_more() -> None:
    """Be asked no more."""
    faulthandler.unregister(ASKS)


class Whereabouts:
    """Asks processes where they are.

    Args:
        paths: Where their logs lie.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def ask(self, name: str, pidfd: int) -> int:
        """Ask a process; return from where on its log holds the answer."""
        try:
            size = self._paths.log(name).stat().st_size
        except OSError:
            size = 0
        # It may have ended just now.
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(pidfd, ASKS)
        return size

    def read(self, name: str, since: int) -> str:
        """Return where the data thread of that process was, as its log says; empty if it says
        nothing: "read of tierce_example.py, line 24"."""
        try:
            descriptor = os.open(self._paths.log(name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            data = os.pread(descriptor, _ANSWER_BYTES_MAX, since)
        except OSError:
            return ""
        finally:
            os.close(descriptor)
        return where(data.decode(errors="replace"))


def where(text: str) -> str:
    """Return where the data thread was: of what is a plugin's the innermost call, or else the
    innermost of all. Empty where it waits for events, as it should."""
    for stack in re.split(r"^(?:Current thread|Thread) .*\n", text, flags=re.MULTILINE):
        frames = list(_FRAME.finditer(stack))
        if not any(frame["path"].endswith(_LOOP) for frame in frames):
            continue
        if frames[0]["path"].endswith(_LOOP):
            return ""
        frame = next(_of_plugins(frames), frames[0])
        return f"{frame['name']} of {Path(frame['path']).name}, line {frame['line']}"
    return ""


def _of_plugins(frames: list[re.Match[str]]) -> Iterator[re.Match[str]]:
    for frame in frames:
        path = frame["path"]
        is_stdlib = path.startswith(_STDLIB) and _PACKAGES not in path
        if not is_stdlib and not path.startswith(_CORE) and not path.startswith("<"):
            yield frame
