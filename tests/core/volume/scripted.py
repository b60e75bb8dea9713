"""A device that does as it is told, and what counts it."""

from __future__ import annotations

from collections.abc import Callable

from core.fake_reactor import FakeReactor
from core.volume.model import Tally, blame
from tierce import GOOD, Capabilities, Completed, Device, Event, Geometry, Op, Request, Status
from tierce.volume.boundary import Boundary


class Scripted:
    """Answers writes at once with `status`, parks everything else."""

    def __init__(self, status: Status = GOOD) -> None:
        self.geometry, self.capabilities = Geometry(1 << 20), Capabilities()
        self.status = status
        self.pending: list[Request] = []
        self.completed: list[Completed] = []

    def submit(self, batch: list[Request], completed: Completed) -> None:
        self.completed.append(completed)
        for request in batch:
            if request.op is Op.WRITE:
                request.status = self.status
            else:
                self.pending.append(request)

    def close(self, closed: Callable[[Status], None]) -> None:
        closed(self.status)


def bounded(device: Device, tally: Tally, events: list[Event] | None = None) -> Boundary:
    reactor = FakeReactor(by_hand=True)
    return Boundary(device, tally, blame(reactor, events), reactor)


def requests(op: Op, count: int) -> list[Request]:
    return [Request(op, number * 512, 512) for number in range(count)]
