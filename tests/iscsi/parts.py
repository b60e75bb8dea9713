"""The parts of a connection without a socket: what one is made of, and what it has to send."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import attrs

from iscsi.initiator import Answer, answers
from iscsi.standalone import Counters, MemoryDevice
from tierce import Completed, Request, Stage, Status, Tracer
from tierce_iscsi.commands import Commands
from tierce_iscsi.fast_path import FastPath
from tierce_iscsi.memory import Memory
from tierce_iscsi.responses import ResponseWriter
from tierce_iscsi.scsi.unit import LogicalUnit
from tierce_iscsi.session import Session
from tierce_iscsi.stream import Stream
from tierce_iscsi.task_set import TaskSet
from tierce_iscsi.tasks import Task
from tierce_iscsi.text import Negotiation


class PendingDevice(MemoryDevice):
    """A device that leaves whatever it is asked pending."""

    def __init__(self, size: int = 1 << 20) -> None:
        super().__init__(size)
        self.pending: list[tuple[Request, Completed]] = []

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.pending += [(request, completed) for request in batch]

    def complete(self, count: int | None = None, status: Status | None = None) -> None:
        """Answer the oldest, those of one submitter together."""
        count = len(self.pending) if count is None else count
        done, self.pending = self.pending[:count], self.pending[count:]
        found: dict[Completed, list[Request]] = {}
        for request, completed in done:
            request.status = status or self._do(request)
            found.setdefault(completed, []).append(request)
        for completed, requests in found.items():
            completed(requests)


@attrs.define
class Parts:
    """What a connection is made of.

    Attributes:
        woken: How often there was something to send, or room for more.
    """

    device: MemoryDevice
    unit: LogicalUnit
    memory: Memory
    session: Session
    stream: Stream
    responses: ResponseWriter
    tasks: TaskSet
    fast: FastPath
    commands: Commands
    woken: list[bool]

    def buffers(self) -> list[bytes]:
        """What waits to be sent, a buffer each."""
        return [bytes(buffer) for buffer in self.stream.output.buffers()]

    def sent(self) -> list[Answer]:
        """Send what waits; return it as PDUs."""
        found = b""
        while self.stream.output.length:
            data = b"".join(self.buffers())
            self.stream.output.sent(len(data))
            found += data
        return answers(
            found,
            header_digest=self.stream.has_header_digest,
            data_digest=self.stream.has_data_digest,
        )


def make_parts(
    device: MemoryDevice | None = None,
    *,
    memory_bytes: int = 64 << 20,
    soon: Callable[[Callable[[], None]], None] = lambda _call: None,
    stage: Stage | None = None,
    tracer: Tracer | None = None,
    clock_ns: Callable[[], int] | None = None,
    **terms: Any,
) -> Parts:
    """Make them over a device that answers at once, or over another."""
    device = device or MemoryDevice(1 << 20)
    unit = LogicalUnit(device, iqn="iqn.x:target", serial="0" * 32)
    memory = Memory(soon, memory_bytes)
    agreed = {"initiator_name": "iqn.x:parts", "has_initial_r2t": False, **terms}
    session = Session(Negotiation(**agreed), b"\0" * 6, 1, 0, 1, 1, 64)
    woken: list[bool] = []
    by_tag: dict[int, Task] = {}
    stream = Stream(session.terms, memory.open(), lambda: woken.append(True))
    responses = ResponseWriter(session, stream, by_tag)
    tracer = tracer or Tracer()
    tasks = TaskSet(session, stream, responses, by_tag, tracer)
    clock = itertools.count()
    known = (clock_ns or (lambda: next(clock)), stage or Counters(), tracer)
    return Parts(
        *(device, unit, memory, session, stream, responses, tasks),
        *(FastPath(unit, tasks, *known), Commands(unit, tasks, *known), woken),
    )
