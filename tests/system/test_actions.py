"""A stranger's engine is managed, and a volume held, while an initiator writes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import COMMAND, Server
from serving.volumes import jiva, volume
from system.load import Load

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

MIB = 1 << 20


def act(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return server.command(
        "volume", "act", "demo", *words, "--data-dir", str(server.data), "--output", "json"
    )


def done(server: Server, *words: str) -> Any:
    answer = act(server, *words)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_a_strangers_engine_is_resized_and_copied_while_it_is_written(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "shelf").mkdir()
    plugins = {"enable": ["iscsi", "shelf"]}
    server.lay_out("engine-actions")
    server.configure(volume("demo", "shelf", "32 MiB", shelf="./shelf"), plugins=plugins)
    server.run("demo")
    session = server.session()
    session.write_now(0, b"kept" * 1024)
    assert done(server, "engine", "resize", "size=48 MiB") == {"kept_bytes": 48 * MIB}
    answer = done(server, "engine", "snapshot", "name=7")
    assert answer == {"name": "7", "size": 48 * MIB}
    kept = (tmp_path / "shelf" / "7.snapshot").read_bytes()
    assert kept == b"kept" * 1024 + bytes(48 * MIB - 4096)
    again = act(server, "engine", "snapshot", "name=7")
    assert again.returncode == 7
    assert "is there already" in again.stderr
    assert "the nearest is 'engine'" in act(server, "engin", "resize").stderr
    session.close()
    server.stop()


def test_no_write_is_acknowledged_while_a_volume_is_held_under_load(server: Server) -> None:
    server.configure(jiva("demo", "16 MiB"))
    server.run("demo")
    load = Load.on(server, 1, 16 * MIB)
    load.run(200)
    for round_number in range(5):
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "tierce.cli.main", "volume", "act", "demo", "target"),
                *("hold", f"id=h{round_number}", "--data-dir", str(server.data)),
            ],
            stdout=subprocess.DEVNULL,
        ) as holding:
            while holding.poll() is None:
                load.fill_up()
                load.session.serve(0.02)
            assert holding.returncode == 0
        # What was answered before the hold may still lie in the socket.
        load.run_for(0.2)
        acknowledged = load.acknowledged
        load.run_for(0.5)
        assert load.acknowledged == acknowledged
        released = done(server, "target", "release", f"id=h{round_number}")
        assert released["waited_count"] > 0
        load.run(100)
    done(server, "target", "hold", "id=short", "timeout_s=0.3")
    load.run(50)
    refused = act(server, "target", "release", "id=short")
    assert refused.returncode == 7
    assert "had run out" in refused.stderr
    wait_until(lambda: "ran out after" in server.said(), "the expiry is told")
    load.session.complete()
    assert not load.wrong
    assert not load.refused
    load.session.close()
    server.stop()


def test_an_interrupted_command_cancels_its_long_action(server: Server, tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    plugins = {"enable": ["iscsi", "shelf"]}
    server.lay_out("engine-actions")
    server.configure(volume("demo", "shelf", "512 MiB", shelf="./shelf"), plugins=plugins)
    server.run("demo")
    words = (sys.executable, "-m", "tierce.cli.main", "volume", "act", "demo", "engine")
    more = ("snapshot", "name=big", "--data-dir", str(server.data))
    with subprocess.Popen([*words, *more], stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stderr is not None
        assert "%" in asking.stderr.readline()
        asking.send_signal(signal.SIGINT)
        assert "asked to stop" in asking.stderr.read()
        assert asking.wait() == 130
    shelf = tmp_path / "shelf"
    wait_until(lambda: not list(shelf.iterdir()), "the half snapshot is gone")
    server.stop()


def test_what_a_serial_engine_waits_for_holds_neither_its_target_nor_other_commands(
    server: Server, tmp_path: Path
) -> None:
    server.lay_out("sluggish")
    gate = tmp_path / "gate"
    server.configure(volume("demo", "sluggish", "16 MiB", gate="./gate"))
    server.run("demo")
    session = server.session()
    session.write_now(0, b"kept" * 128)
    thinking = subprocess.Popen(
        [*COMMAND, "volume", "act", "demo", "engine", "think", "--data-dir", str(server.data)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=server.env,
    )
    assert thinking.stderr is not None
    assert thinking.stderr.readline() == b"tierce: 50% thinking\n"
    # Its target serves commands and new sessions all the while, and other parts are managed.
    done(server, "target", "hold", "id=copy", "timeout_s=30")
    done(server, "target", "release", "id=copy")
    server.session().close()
    gate.touch()
    thinking.wait(60)
    thinking.stderr.close()
    assert session.read_now(0, 512) == b"kept" * 128
    gate.unlink()
    mood = volume("demo", "sluggish", "16 MiB", gate="./gate", mood="eager")
    server.configure(mood)
    server.send(signal.SIGHUP)
    wait_until(lambda: "config.reloaded" in log(server), "the file is read again")
    assert "has taken mood" not in log(server)
    server.session().close()
    gate.touch()
    wait_until(lambda: "options (sluggish) has taken mood" in log(server), "it has its mood")
    assert done(server, "engine", "think") == {"mood": "eager"}
    session.close()
    server.stop()


def log(server: Server) -> str:
    """What the server has told."""
    return (server.data / "logs" / "serve.log").read_text()
