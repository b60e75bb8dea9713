"""`tierce volume top` shows what volumes do: once where nobody looks, else over and over."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.cli.volumes import Folder
from core.seeing.volumes import interval
from tierce.cli.top import SORT_KEYS, Frame, View, _view, lines_of
from tierce.seeing.top import STAGE_COLUMNS, VOLUME_COLUMNS

Tierce = Callable[..., Any]


class Terminal:
    """A `tierce` in a terminal of its own."""

    def __init__(self, *words: str) -> None:
        self._near, far = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tierce.cli.main", *words],
            stdin=far,
            stdout=far,
            stderr=far,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "90", "LINES": "20", "NO_COLOR": "1"},
        )
        os.close(far)
        self.shown = b""

    def wait_for(self, text: bytes) -> None:
        """Wait until something more is shown that has this."""
        begin = len(self.shown)
        while text not in self.shown[begin:]:
            assert self._read(), self.shown

    def press(self, keys: bytes) -> None:
        os.write(self._near, keys)

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for its end; return how it ended."""
        while self._read():
            pass
        os.close(self._near)
        return self._process.wait(30)

    def _read(self) -> bool:
        assert select.select([self._near], [], [], 30)[0], self.shown
        try:
            more = os.read(self._near, 1 << 16)
        except OSError:
            # As Linux tells of a terminal that nobody has open.
            return False
        self.shown += more
        return bool(more)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Two volumes that are used whenever somebody waits."""
    made = Folder(tmp_path / "data", monkeypatch)
    made.count("busy", {"volume": (1000, 0.1)})
    made.count("idle", {"volume": (1, 0.1)})

    def use(_seconds: float) -> None:
        made.count("busy", {"volume": (100, 4.0), "device": (100, 3.9)})

    monkeypatch.setattr(time, "sleep", use)
    return made


def test_without_a_terminal_one_table_is_printed(tierce: Tierce, folder: Folder) -> None:
    done = tierce("volume", "top")
    assert done.code == 0
    head, columns, busy, idle = done.out.splitlines()
    assert head.endswith("  2 volumes, no server runs")
    assert columns.split()[:2] == ["VOLUME", "HEALTH"]
    assert busy.startswith("busy")
    assert busy.endswith("the engine")
    assert "4 ms" in busy
    assert idle.startswith("idle")
    assert "\x1b" not in done.out


def test_top_as_json_has_what_the_help_says(tierce: Tierce, folder: Folder) -> None:
    said = json.loads(tierce("volume", "top", "--output", "json").out)
    assert list(said) == ["time", "seconds", "is_served", "volumes"]
    assert list(said["volumes"][0]) == [column.key for column in VOLUME_COLUMNS]
    of_one = json.loads(tierce("volume", "top", "busy", "--output", "json").out)
    assert list(of_one) == ["time", "seconds", "is_served", "volumes", "stages", "operations"]
    assert [one["volume"] for one in of_one["volumes"]] == ["busy"]
    assert list(of_one["stages"][0]) == [column.key for column in STAGE_COLUMNS]
    assert of_one["operations"][0]["causes"][0]["cause"] == "engine"


def test_with_a_count_each_look_is_a_line_of_json_or_a_document_of_yaml(
    tierce: Tierce, folder: Folder
) -> None:
    lines = tierce("volume", "top", "--count", "3", "--output", "json").out.splitlines()
    assert [len(json.loads(line)["volumes"]) for line in lines] == [2, 2, 2]
    documents = yaml.safe_load_all(tierce("volume", "top", "--count", "2", "--output", "yaml").out)
    assert len(list(documents)) == 2


def test_of_one_volume_its_stages_are_shown_and_whose_the_time_was(
    tierce: Tierce, folder: Folder
) -> None:
    out = tierce("volume", "top", "busy").out
    assert "  volume busy, no server runs\n" in out
    assert "\ndevice " in out
    assert "\n100 writes, 4 ms each" in out
    assert "  the engine\n" in out


def test_an_interval_of_nothing_is_refused(tierce: Tierce, folder: Folder) -> None:
    done = tierce("volume", "top", "--interval", "0")
    assert (done.code, "expected more than 0 s" in done.err) == (2, True)


def test_stages_are_sorted_by_a_column_that_they_have_or_it_is_refused(
    tierce: Tierce, folder: Folder
) -> None:
    for word in ("mean", "p50", "p99"):
        assert tierce("volume", "top", "busy", "--sort", word).code == 0
        assert STAGE_COLUMNS[_view("busy", word).sort].key == SORT_KEYS[word]
    assert _view("busy", None).sort == 0
    assert VOLUME_COLUMNS[_view("", None).sort].key == "p99_ns"
    done = tierce("volume", "top", "busy", "--sort", "oldest")
    assert done.code == 2
    assert "'oldest' is of volumes; those of one volume are sorted by mean, p50 or p99" in done.err


def test_every_column_can_be_sorted_by_its_word(tierce: Tierce, folder: Folder) -> None:
    assert set(SORT_KEYS.values()) == {column.key for column in VOLUME_COLUMNS}
    for word in SORT_KEYS:
        assert tierce("volume", "top", "--sort", word).code == 0


def test_keys_choose_the_column_and_turn_the_order() -> None:
    view = View("", VOLUME_COLUMNS, 0)
    assert view.after(">").sort == view.after("right").sort == 1
    assert view.after("<").sort == view.after("left").sort == len(VOLUME_COLUMNS) - 1
    assert view.after("r").is_reversed
    assert not view.after("r").after("r").is_reversed
    assert view.after("x") == view


def frame(*names: str, health: str = "healthy") -> Frame:
    found = [interval({"volume": {"read": (9, 1.0)}}, name=name, health=health) for name in names]
    return Frame(tuple(found), 1.0, is_served=True, at=0.0)


@pytest.mark.parametrize(("width", "height"), [(200, 50), (80, 24), (30, 8), (10, 3), (1, 1)])
def test_whatever_the_terminals_size_nothing_is_wrapped_or_scrolls(width: int, height: int) -> None:
    many = frame(*(f"volume-{number}" for number in range(40)))
    for view in (View("", VOLUME_COLUMNS, 0), View("volume-1", STAGE_COLUMNS, 0)):
        shown = lines_of(many, view, width, height, is_coloured=False)
        assert len(shown) <= height
        assert max(map(len, shown)) <= width


def test_volumes_that_do_not_fit_are_counted() -> None:
    many = frame(*(f"volume-{number:02}" for number in range(40)))
    shown = lines_of(many, View("", VOLUME_COLUMNS, 0), 120, 10, is_coloured=False)
    assert "... and 33 more" in shown
    assert sum(line.startswith("volume-") for line in shown) == 7


def test_colour_marks_what_calls_for_somebody() -> None:
    view = View("", VOLUME_COLUMNS, 0)
    ill = lines_of(frame("demo", health="degraded"), view, 120, 10, is_coloured=True)
    assert any(line.startswith("\x1b[33mdemo") for line in ill)
    plain = lines_of(frame("demo", health="degraded"), view, 120, 10, is_coloured=False)
    assert not any("\x1b" in line for line in plain)


def test_on_a_terminal_it_goes_on_until_q_and_leaves_it_as_it_was(folder: Folder) -> None:
    terminal = Terminal("volume", "top", "--interval", "0.1s")
    terminal.wait_for(b"sorted by P99")
    terminal.wait_for(b"busy")
    terminal.press(b">r")
    terminal.wait_for(b"sorted by FLIGHT")
    terminal.press(b"\x1b[D\x1b[D")
    terminal.wait_for(b"sorted by P50")
    terminal.press(b"q")
    assert terminal.end() == 0
    assert terminal.shown.startswith(b"\x1b[?1049h")
    assert terminal.shown.endswith(b"\x1b[?1049l")
    assert b"\x1b[33m" not in terminal.shown


def test_on_a_terminal_it_ends_after_so_many_looks(folder: Folder) -> None:
    terminal = Terminal("volume", "top", "busy", "--interval", "0.05s", "--count", "2")
    assert terminal.end() == 0
    assert b"volume busy" in terminal.shown


def test_ctrl_c_leaves_the_terminal_as_it_was(folder: Folder) -> None:
    terminal = Terminal("volume", "top", "--interval", "10s")
    terminal.wait_for(b"sorted by P99")
    terminal.interrupt()
    assert terminal.end() == 130
    assert b"\x1b[?1049l" in terminal.shown
