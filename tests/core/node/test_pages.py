"""A process's page goes on from the one before it, or says that it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.fake_process import FakeProcess
from core.fake_reactor import FakeReactor
from tierce import Op
from tierce.node.pages import make_page
from tierce.process.plan import Plan, Role


def test_counters_go_on_and_a_page_that_can_t_be_read_is_told(tmp_path: Path) -> None:
    events: list[Any] = []
    process: Any = FakeProcess(FakeReactor(), tmp_path, Plan("member.demo.a", Role.MEMBER))
    process.emit = events.append
    for _ in range(2):
        page = make_page(process, "demo", "00" * 16, "a")
        page.stage("store").add(Op.WRITE, 1, 512, 10)
        assert page.origin.boot_id == process.boot_id
        page.close()
    assert events == []
    path = process.paths.page("demo", "a")
    path.write_bytes(b"TIERSTA3" + bytes(1000))
    page = make_page(process, "demo", "00" * 16, "a")
    (event,) = events
    assert (event.code, event.subject) == ("volume.statistics-anew", "volume/demo/a")
    assert "begin at zero: " in event.message
    assert page.origin.starts == 1
    page.close()
