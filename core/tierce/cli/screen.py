"""A terminal that is drawn over and over, and gives keys as they are pressed."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_END_OF_LINE, _TO_END = "\x1b[H", "\x1b[K", "\x1b[J"
_KEY_BYTES_MAX = 32
#: What terminals send for keys that are no character.
_NAMED = {"\x1b[D": "left", "\x1b[C": "right", "\x1bOD": "left", "\x1bOC": "right"}


class Screen:
    """Use it in a `with`: whatever happens, the terminal is as it was afterwards."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno() if sys.stdin.isatty() else -1
        self._before: Any = None
        #: What was pressed, and not taken yet.
        self._pressed = ""

    def __enter__(self) -> Self:
        if self._input >= 0:
            self._before = termios.tcgetattr(self._input)
            # Ctrl-C still interrupts.
            tty.setcbreak(self._input)
        self._write(_ENTER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._write(_LEAVE)
        if self._input >= 0:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        found = shutil.get_terminal_size()
        return found.columns, found.lines

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines in place of all that is shown; each fits the width."""
        text = "\r\n".join(line + _TO_END_OF_LINE for line in lines)
        self._write(_HOME + text + _TO_END)

    def key(self, timeout_s: float) -> str:
        """Wait for a key at most so long; return it, or its name; empty if there was none."""
        if self._input < 0:
            time.sleep(timeout_s)
            return ""
        if not self._pressed:
            ready, _, _ = select.select([self._input], [], [], timeout_s)
            if not ready:
                return ""
            # Where nobody is any more to press one, it is as if somebody had seen enough.
            self._pressed = os.read(self._input, _KEY_BYTES_MAX).decode(errors="replace") or "q"
        key, self._pressed = first_key(self._pressed)
        return key

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def first_key(pressed: str) -> tuple[str, str]:
    """Return the first key of what a terminal has sent, or its name, and what follows it."""
    for sequence, name in _NAMED.items():
        if pressed.startswith(sequence):
            return name, pressed[len(sequence) :]
    if pressed.startswith("\x1b"):
        # A key that has no meaning here.
        return "escape", ""
    return pressed[:1], pressed[1:]
