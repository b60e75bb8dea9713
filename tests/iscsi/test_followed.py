"""What is followed one by one, and then given up, is followed no more: by whichever way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iscsi.bench import Bench, Initiator
from iscsi.initiator import LOGIN_KEYS, command, login, request, task_management, write_10
from iscsi.test_task_management import (
    ABORT_TASK,
    ABORT_TASK_SET,
    CLEAR_TASK_SET,
    COLD_RESET,
    LUN_RESET,
    OTHER,
    WARM_RESET,
)
from tierce import Tracer
from tierce.tracing import TracedIo

Ends = Callable[[Bench, Initiator], object]
WAYS: dict[str, Ends] = {
    "abort": lambda _bench, session: session.ask(task_management(ABORT_TASK, 3, task=1)),
    "abort all": lambda _bench, session: session.ask(task_management(ABORT_TASK_SET, 3)),
    "clear": lambda bench, _: bench.session(isid=OTHER).ask(task_management(CLEAR_TASK_SET, 1)),
    "unit reset": lambda _bench, session: session.ask(task_management(LUN_RESET, 3)),
    "warm reset": lambda _bench, session: session.ask(task_management(WARM_RESET, 3)),
    "cold reset": lambda _bench, session: session.ask(task_management(COLD_RESET, 3)),
    "logout": lambda _bench, session: session.ask(request(6, 3)),
    "session lost": lambda _bench, session: session.close(),
    "logged in again": lambda bench, _session: bench.initiator().start(login(LOGIN_KEYS)),
    "target closes": lambda bench, _session: bench.frontend.close(lambda: None),
    "volume fenced": lambda bench, _session: bench.frontend.abandon("another writer"),
}
FLUSH = b"\x35" + bytes(9)


@pytest.mark.parametrize("end", WAYS.values(), ids=WAYS)
def test_an_io_that_nobody_waits_for_any_more_is_not_followed(
    make_bench: Callable[..., Bench], end: Ends
) -> None:
    written: list[TracedIo] = []
    tracer = Tracer(written.append, every=1)
    bench = make_bench(leaves_pending=True, tracer=tracer)
    session = bench.session()
    session.ask(command(write_10(0, 1), 1, tag=1, write=512, data=bytes(512)))
    session.ask(command(FLUSH, 2, tag=2))
    assert (tracer.live, len(bench.pending)) == (2, 2)
    end(bench, session)
    bench.loop.turn()
    bench.complete()
    bench.loop.turn()
    assert tracer.live == 0
    assert tracer.note_ns > 0, "no stage stamps any more"
