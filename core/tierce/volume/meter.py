"""Counting for a front end that counts nothing itself: two clock reads per batch, not per
operation."""

from __future__ import annotations

import time
from collections.abc import Callable

from tierce.block.device import Capabilities, Device, Geometry
from tierce.block.operation import Completed, Request
from tierce.block.quiet import when_quiet
from tierce.block.status import Status
from tierce.stage import Stage, count_sizes
from tierce.tracing import Tracer
from tierce.volume.counting import count


class Meter:
    """A device whose operations are counted; otherwise the one below.

    The latency of an operation that was answered within `submit` is that of its batch. Measured:
    0.25 us per operation in batches of 16, against 0.6 us with a clock read for each.

    Args:
        device: The device below.
        stage: Its counters.
        tracer: Who is followed one by one.
    """

    def __init__(self, device: Device, stage: Stage, tracer: Tracer | None = None) -> None:
        self._device = device
        self._stage = stage
        self._tracer = tracer or Tracer()
        self._submit = device.submit
        #: When a pending request was submitted, in ns, by its id.
        self._began: dict[int, int] = {}
        stage.show(self._began)
        #: The last submitter and what it is answered through. One object for one submitter lets
        #: the device below answer several batches in one call.
        self._submitter: Completed | None = None
        self._complete: Completed = self._count_completed

    @property
    def geometry(self) -> Geometry:
        """As below."""
        return self._device.geometry

    @property
    def capabilities(self) -> Capabilities:
        """As below."""
        return self._device.capabilities

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Pass the batch on, and count what is answered at once; the rest when it completes."""
        began = time.perf_counter_ns()
        if not batch:
            return
        self._tracer.left -= len(batch)
        if self._tracer.left < 0:
            self._tracer.sample(batch, began)
        if completed is not self._submitter:
            self._answer_to(completed)
        self._submit(batch, self._complete)
        pending = self._count(batch, began, time.perf_counter_ns() - began)
        if pending:
            was_idle = not self._began
            for request in batch:
                if request.status is None:
                    self._began[id(request)] = began
            if was_idle:
                self._stage.parked()

    def _answer_to(self, completed: Completed) -> None:
        def complete(requests: list[Request]) -> None:
            self._count_completed(requests)
            completed(requests)

        self._submitter, self._complete = completed, complete

    def _count_completed(self, requests: list[Request]) -> None:
        """Count requests that were pending, in runs of one batch."""
        now, pop = time.perf_counter_ns(), self._began.pop
        run: list[Request] = []
        run_began = 0
        for request in requests:
            began = pop(id(request), now)
            if began != run_began and run:
                self._count(run, run_began, now - run_began)
                run = []
            run_began = began
            run.append(request)
        self._count(run, run_began, now - run_began)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """As below."""
        when_quiet(self._device, quiet)

    def close(self, closed: Callable[[Status], None]) -> None:
        """As below."""
        self._device.close(closed)

    def _count(self, requests: list[Request], began_ns: int, elapsed_ns: int) -> bool:
        """Count those that have a status; True if some have none."""
        count(self._stage, requests, elapsed_ns)
        count_sizes(self._stage, requests)
        if elapsed_ns > self._tracer.look_ns:
            answered = [request for request in requests if request.status is not None]
            self._tracer.answered(answered, began_ns, elapsed_ns)
        return any(request.status is None for request in requests)
