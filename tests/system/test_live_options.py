"""A live option of a stranger's filter is changed by SIGHUP under load: the session goes on."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.strangers import STRANGERS
from serving.volumes import volume

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]


def paced(delay_s: float, **more: Any) -> dict[str, Any]:
    return {
        **volume("demo", "memory", "16 MiB"),
        "filters": [{"name": "pace", "delay_s": delay_s, **more}],
    }


def answer(server: Server, *words: str) -> Any:
    done = server.command(*words, "--output", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_live_option_is_changed_under_load_and_the_session_goes_on(server: Server) -> None:
    server.install(STRANGERS / "pace")
    server.configure(paced(0.001))
    server.run("demo")
    session = server.session()
    session.write_now(0, bytes([1]) * 512)
    pid = server.pids()["target.demo"]
    server.configure(paced(0.002))
    (foretold,) = [
        row
        for row in answer(server, "config", "diff", str(server.file))
        if row["what"] == "volume demo"
    ]
    assert (foretold["effect"], foretold["options"]) == ("live", ["filters[0].delay_s"])
    server.send(signal.SIGHUP)
    count = 0
    while server.shown()["pace"] != {"delay_s": 0.002}:
        # The same session, all the while.
        count += 1
        session.write_now(512 * (count % 64), bytes([count % 256]) * 512)
    session.write_now(0, bytes([9]) * 512)
    assert session.read_now(0, 512) == bytes([9]) * 512
    assert server.pids()["target.demo"] == pid
    said = server.said()
    assert "note: volume demo: live: filters[0].delay_s\n" in said
    # What the filter refuses is told, and shown until it is mended; the session goes on.
    server.configure(paced(1.25))
    server.send(signal.SIGHUP)
    while "kept_options" not in server.shown():
        session.write_now(0, bytes([9]) * 512)
    shown = server.shown()
    assert "1.25 s is out of step" in shown["kept_options"]["filters[0]"]
    assert shown["pace"] == {"delay_s": 0.002}
    assert "of the plugin pace, keeps the old filters[0].delay_s" in server.said()
    server.configure(paced(0.0))
    server.send(signal.SIGHUP)
    while "kept_options" in server.shown():
        session.write_now(0, bytes([9]) * 512)
    assert session.read_now(0, 512) == bytes([9]) * 512
    assert server.pids()["target.demo"] == pid
    session.close()
    server.stop()


def test_a_policy_sets_a_live_option_over_restarts_until_its_document_goes(
    server: Server,
) -> None:
    server.lay_out("pace", "curfew")
    night = {"kind": "curfew", "name": "night", "parameters": {"delay_s": 0.002, "label": "slow"}}
    server.configure(paced(0.0), policies=[night])
    server.run("demo")
    session = server.session()
    session.write_now(0, bytes([1]) * 512)
    pid = server.pids()["target.demo"]
    wait_until(lambda: delay(server) == 0.002, "the running target has the policy's delay")
    assert session.read_now(0, 512) == bytes([1]) * 512
    assert "filters[0].label: it is not live" in server.said()
    # The server goes and comes: nothing changes in between.
    server.kill(["serve"])
    server.start()
    wait_until(lambda: "were taken over" in server.said(), "the next server is there")
    assert delay(server) == 0.002
    assert server.pids()["target.demo"] == pid
    session.close()
    server.kill(["target.demo"])
    server.session().close()
    assert delay(server) == 0.002
    server.configure(paced(0.0))
    (row,) = [
        one
        for one in answer(server, "config", "diff", str(server.file))
        if one["what"] == "volume demo"
    ]
    assert row["text"] == "live: filters[0].delay_s"
    server.send(signal.SIGHUP)
    wait_until(lambda: delay(server) == 0.0, "its own delay is back")
    server.stop()


def delay(server: Server) -> float:
    return float(server.shown()["pace"]["delay_s"])
