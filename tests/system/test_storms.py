"""Storms of hostile and unlucky initiators, in short: nobody dies, nobody honest is cut off or left
unanswered, and memory stays within its bound. `make storms` is the long form, which also times."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from serving.server import Server
from system.hostile import SESSION_COUNT, SHORT, STORMS
from system.storms import run_storm, serving
from tierce_iscsi.buffers import OWN_COMMAND_BYTES, OWN_REGION_COUNT, REGION_BYTES
from tierce_iscsi.memory import SHARED_BYTES
from tierce_iscsi.output import UNSENT_BYTES_MAX

pytestmark = pytest.mark.system

#: A process that does nothing, and what Python keeps.
BASE_MIB = 64
SESSION_BYTES_MAX = 2 * OWN_REGION_COUNT * REGION_BYTES + OWN_COMMAND_BYTES + UNSENT_BYTES_MAX


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("storms"), "file") as made:
        yield made


@pytest.mark.parametrize("name", STORMS)
def test_a_storm_harms_nobody_but_those_who_make_it(server: Server, name: str) -> None:
    report = run_storm(server, name, SHORT)
    print(report)
    assert report.faults == []
    assert report.honest.pings
    assert report.honest.logins
    count = max(SESSION_COUNT, SHORT.sessions if name == "many" else 0) + 2
    bound = (SHARED_BYTES + count * SESSION_BYTES_MAX) >> 20
    assert report.peak_mib["target"] < BASE_MIB + bound
    assert report.peak_mib["portal"] < 2 * BASE_MIB
