"""What the harness of real servers tells when something fails; it starts none here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.server import Server
from serving.volumes import jiva, memory


def failing() -> None:
    raise AssertionError("not served")


def test_a_failure_tells_what_the_server_has_said(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.out.write_text("tierce: error: no room\n")
    with pytest.raises(AssertionError) as caught, server:
        failing()
    (note,) = caught.value.__notes__
    assert "tierce: error: no room" in note


def test_a_start_is_looked_at_apart_from_those_before_it(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        # A server that is no server: what it says is known.
        server.prefix = ["sh", "-c", "echo volume demo: opened"]
        server.start()
        server.wait()
        assert server.said() == "volume demo: opened\n"
        server.prefix = ["true"]
        server.start()
        server.wait()
        assert server.said() == ""
        assert "volume demo: opened" in server.story()


def test_waiting_for_a_server_that_has_ended_tells_its_story(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.prefix = ["sh", "-c", "echo error: no room"]
        with pytest.raises(AssertionError, match=r"has ended:(.|\n)*error: no room"):
            server.run("demo")


def test_a_pid_that_another_process_has_by_now_is_none_of_the_servers(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        lock = server.data / "run" / "portal.lock"
        lock.parent.mkdir(parents=True)
        lock.write_text(f'{{"pid": {os.getpid()}}}')
        assert server.pid("portal") == os.getpid()
        assert server.pids() == {}
        server.kill_all()


def test_each_volume_has_a_line_of_the_config_file(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.configure(memory("first"), jiva("second"), limits={"stop_timeout_s": 1})
        line = server.file.read_text().splitlines()[server.line_of(2) - 1]
        assert '"name": "second"' in line
