"""Keys are taken from a terminal one by one, and it is left as it was."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from core.cli.volumes import Folder
from tierce.cli.main import cli
from tierce.cli.screen import Screen, first_key


@pytest.mark.parametrize(
    ("pressed", "key", "rest"),
    [
        ("q", "q", ""),
        (">r", ">", "r"),
        ("\x1b[Dr", "left", "r"),
        ("\x1b[C", "right", ""),
        ("\x1bOC", "right", ""),
        ("\x1b[15~", "escape", ""),
    ],
)
def test_what_a_terminal_sends_is_keys(pressed: str, key: str, rest: str) -> None:
    assert first_key(pressed) == (key, rest)


class Viewer:
    """Who sits at this process's terminal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._near, self._far = pty.openpty()
        self._monkeypatch = monkeypatch
        self.shown = b""
        self._todo: list[tuple[bytes, bytes]] = []
        self._looking = threading.Thread(target=self._look, daemon=True)

    def begin(self, *presses: tuple[bytes, bytes]) -> None:
        """Let this process have the terminal from now on, look on, and press keys, each when that
        text is shown."""
        # Not before the test: pytest changes both when it begins.
        self._monkeypatch.setattr(sys, "stdin", os.fdopen(self._far, "r"))
        self._monkeypatch.setattr(sys, "stdout", os.fdopen(os.dup(self._far), "w"))
        self._todo += presses
        self._looking.start()

    def end(self) -> str:
        """Let nobody have the terminal open any more; return all that was shown."""
        sys.stdin.close()
        sys.stdout.close()
        self._looking.join(60.0)
        os.close(self._near)
        assert not self._todo
        return self.shown.decode()

    def _look(self) -> None:
        # Linux tells the end of a terminal as an error.
        with contextlib.suppress(OSError):
            while more := os.read(self._near, 1 << 16):
                self.shown += more
                while self._todo and self._todo[0][0] in self.shown:
                    os.write(self._near, self._todo.pop(0)[1])


@pytest.fixture
def viewer(monkeypatch: pytest.MonkeyPatch) -> Viewer:
    return Viewer(monkeypatch)


def test_keys_are_given_as_they_are_pressed_and_the_terminal_is_as_it_was(viewer: Viewer) -> None:
    viewer.begin((b"two", b">r"))
    before = termios.tcgetattr(sys.stdin.fileno())
    with Screen() as screen:
        assert screen.key(0.0) == ""
        screen.draw(["one", "two"])
        assert [screen.key(60.0), screen.key(60.0)] == [">", "r"]
    assert termios.tcgetattr(sys.stdin.fileno()) == before
    shown = viewer.end()
    assert "one\x1b[K\r\r\ntwo\x1b[K\x1b[J" in shown
    assert shown.endswith("\x1b[?25h\x1b[?1049l")


def test_where_nobody_can_press_a_key_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    with Screen() as screen:
        assert screen.key(2.0) == ""
        assert screen.size > (0, 0)
    assert slept == [2.0]
    assert shown.getvalue().endswith("\x1b[?1049l")


def test_top_follows_the_keys_until_somebody_has_seen_enough(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Folder(tmp_path / "data", monkeypatch).count("busy", {"volume": (1000, 0.1)})
    viewer.begin((b"sorted by P99", b">"), (b"sorted by FLIGHT", b"q"))
    cli.main(["volume", "top", "--interval", "60s"], standalone_mode=False)
    assert "sorted by FLIGHT" in viewer.end()


def test_top_ends_after_so_many_looks(
    viewer: Viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Folder(tmp_path / "data", monkeypatch).count("busy", {"volume": (1000, 0.1)})
    viewer.begin()
    cli.main(["volume", "top", "--interval", "1ms", "--count", "2"], standalone_mode=False)
    assert "busy" in viewer.end()
