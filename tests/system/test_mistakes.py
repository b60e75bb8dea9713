"""A stranger's mistakes on a real server: each is told by name, and a good volume goes on."""

from __future__ import annotations

from typing import Any

import pytest

from serving.processes import wait_until
from serving.server import Server
from serving.volumes import volume

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

BLOCK = b"strange!" * 64
#: Volumes by name, and the mistake of the engine that each has.
ENGINES = {
    "making-raises": "making: raises",
    "making-exits": "making: exits",
    "create-exits": "create: exits",
    "members-raise": "members: raises",
    "too-small": "geometry: smaller",
    "read-raises": "read: raises",
    "read-exits": "read: exits",
}


def over(name: str, mistake: str) -> dict[str, Any]:
    filters = [{"name": "mistaken", "mistake": mistake}]
    return {**volume(name, "memory", "16 MiB"), "filters": filters}


def front(name: str, mistake: str) -> dict[str, Any]:
    options = {"frontend": "mistaken", "frontend_options": {"mistake": mistake}}
    return {**volume(name, "memory", "16 MiB"), **options}


def test_no_mistake_of_a_plugin_ends_another_volume_or_the_server(server: Server) -> None:
    volumes = [volume(name, "mistaken", "16 MiB", mistake=how) for name, how in ENGINES.items()]
    volumes += [over("filter-exits", "submit: exits"), front("front-exits", "making: exits")]
    server.lay_out("mistaken")
    server.configure(
        volume("good", "memory", "16 MiB"),
        *volumes,
        services={"mistaken": {"mistake": "run: exits"}},
        policies=[
            {
                "kind": "mistaken",
                "name": "nightly",
                "selector": {"volumes": ["good"]},
                "parameters": {"mistake": "evaluate: exits"},
            }
        ],
    )
    server.run("good")
    good = server.session("good")
    pid = server.pids()["target.good"]
    for name in ("read-raises", "read-exits", "filter-exits"):
        session = server.session(name)
        with pytest.raises(AssertionError, match="SENSE KEY"):
            session.read_now(0, 512)
        session.close()
    told = [*ENGINES, "filter-exits", "front-exits", "service.mistaken", "policy nightly"]
    for what in told:
        wait_until(lambda what=what: names_it(server, what), f"{what} is told by name")  # type: ignore[misc]
    good.write_now(0, BLOCK)
    assert good.read_now(0, 512) == BLOCK
    good.close()
    assert server.pids()["target.good"] == pid
    assert server.is_serving
    server.stop()


def names_it(server: Server, what: str) -> bool:
    """Whether a line about this names the plugin."""
    return any(what in line and "plugin 'mistaken'" in line for line in server.said().splitlines())
