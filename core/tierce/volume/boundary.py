"""Where core's side of a volume ends and a plugin's begins: one boundary above each engine and each
filter.

**What it counts.** Two clock reads a batch, not an operation. A batch of one kind without flags
that is answered at once is counted in one go.

**What it refuses.** An operation or a flag that a device has not named, whoever sends it.

**What it catches.** A plugin's mistake costs requests of its own volume, and nothing else:

===========================  =======================================================================
mistake                      what becomes of it
===========================  =======================================================================
``submit`` raises            what it has not answered is answered with an error; what it had passed
                             on is answered so when that comes back, since its buffer is in use
``submit`` returns a thing   as if it raised: an ``async def`` has done nothing yet
completed twice, or never      the report is dropped: it was answered, or is when `submit` returns
taken, or from within
completed without a status,    answered with an error
or with none of `Status`
completed after `close`        dropped
``completed`` raises           (a filter's own) what it was to answer is answered with an error
not answered for `STALL_S`   told, and told again when it is over (`stalls`)
`close` raises               closed with an error
===========================  =======================================================================

A request that is not pending is not in `_began`, so that whatever is completed and is not there is
a mistake. What a good batch pays is a `try` and two comparisons.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection

from tierce.block.device import Capabilities, Device, Geometry
from tierce.block.operation import Completed, Flag, Op, Request
from tierce.block.quiet import when_quiet
from tierce.block.status import GOOD, Code, Status
from tierce.reactor import HELD_NS, Reactor
from tierce.stage import Stage
from tierce.tracing import Tracer
from tierce.volume.blame import Blame
from tierce.volume.completion import Completion
from tierce.volume.counting import count
from tierce.volume.stalls import CLOSE_TOLD_S, Stalls


class Boundary:
    """A device that is counted and mistrusted; otherwise the one below.

    Args:
        device: The plugin's device.
        stage: Its counters.
        blame: Where its mistakes go.
        reactor: The target's loop.
        operations: The operations that it knows; None for all that its capabilities name.
        flags: The flags that it knows; None for all that its capabilities name.
        below: What a filter lies on: closed after it.
        trouble: Why its I/O waits, if the device says so itself: then that is no mistake.
        tracer: Where it leaves stamps on what it was slow with.
        name: The name of its stage.
        clock: Returns nanoseconds.
    """

    def __init__(
        self,
        device: Device,
        stage: Stage,
        blame: Blame,
        reactor: Reactor,
        *,
        operations: Collection[Op] | None = None,
        flags: Flag | None = None,
        below: Boundary | None = None,
        trouble: Callable[[], str | None] = lambda: None,
        tracer: Tracer | None = None,
        name: str = "device",
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.clock = clock
        self._tracer, self._name = tracer or Tracer(), name
        self._device, self._blame = device, blame
        self._reactor = reactor
        self._below = below
        self._stage = stage
        self._add = stage.add
        self._submit: Callable[[list[Request], Completed], object] = device.submit
        self._operations = frozenset(Op) if operations is None else frozenset(operations)
        self._flags = flags
        self.geometry: Geometry
        self.capabilities: Capabilities
        self._look_at()
        #: What lies above, if that is a filter: whose `completed` it is that we call.
        self._above: Boundary | None = None
        if below is not None:
            below._above = self
        #: When a pending request was submitted, in ns; the one that waits longest first.
        self._began: dict[Request, int] = {}
        stage.show(self._began)
        self.stalls: Stalls = Stalls(
            *(self._began, blame, reactor, clock, name, device),
            trouble=trouble,
            below=None if below is None else below.stalls,
        )
        #: Whom a hold waits with.
        self.completion = Completion(self._take, self._began)
        #: Whom to answer requests for, whose filter failed while they were here.
        self._orphans: dict[Request, Callable[[Request], None]] = {}
        #: The last submitter and what it is answered through. One object for one submitter lets
        #: the device below answer several batches in one call.
        self._submitter: Completed | None = None
        self._complete: Completed = lambda _requests: None
        self._closed: Callable[[Status], None] | None = None
        self._is_closed = False

    def _look_at(self) -> None:
        """Take the device's shape and capabilities, as far as it was built for them."""
        has = self._device.capabilities
        known = self._operations
        flags = has.flags if self._flags is None else Flag(has.flags & self._flags)
        self.geometry = self._device.geometry
        self.capabilities = Capabilities(
            flags=flags,
            discard=has.discard and Op.DISCARD in known,
            write_zeroes=has.write_zeroes and Op.WRITE_ZEROES in known,
            compare_and_write=has.compare_and_write and Op.COMPARE_AND_WRITE in known,
            block_status=has.block_status and Op.BLOCK_STATUS in known,
            durable=has.durable,
            read_only=has.read_only,
        )
        #: By the operation's number.
        self._does = [self.capabilities.does(op) and op in known for op in Op]
        self._refused_flags = ~int(flags)

    def resize(self, geometry: object) -> bool:
        """The device says that it has this shape now; False if it can't."""
        if isinstance(geometry, Geometry) and geometry.block_size == self.geometry.block_size:
            self.geometry = geometry
            return True
        self._blame.mistake("resized to another block, or to no Geometry", "its shape stays")
        return False

    def below_resized(self) -> None:
        """What lies below this filter has another shape: let it take that in, and look at its
        own."""
        assert self._below is not None, "an engine lies on nothing"
        hear = getattr(self._device, "resized", None)
        if hear is None:
            return
        try:
            hear(self._below.geometry)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as below
            self._blame.mistake("raised in resized", "its shape stays", error)
        else:
            self.resize(self._device.geometry)

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Pass the batch on, and count what is answered at once; the rest when it completes."""
        if not batch:
            return
        if completed is not self._submitter:
            self._answer_to(completed)
        op, length = batch[0].op, 0
        for request in batch:
            if request.op is not op or request.flags:
                self._submit_mixed(batch)
                return
            length += request.length
        if not self._does[op]:
            self._submit_mixed(batch)
            return
        began = self.clock()
        try:
            if self._submit(batch, self._complete) is not None:
                self._failed(batch, "returned something from submit")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's bug must not end the target
            self._failed(batch, "raised in submit", error)
        elapsed = self.clock() - began
        for request in batch:
            if request.status is not GOOD:
                self._after(batch, began, elapsed)
                return
        self._add(op, len(batch), length, elapsed)
        if elapsed > self._tracer.note_ns:
            self._tracer.note(batch, self._name, began, elapsed)
            if elapsed > HELD_NS:
                self._reactor.held(self._blame.who, elapsed)

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """As the device does, or else what is below it."""
        asked = self._device
        if self._below is not None and not hasattr(asked, "when_quiet"):
            asked = self._below
        try:
            when_quiet(asked, quiet)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            # Not quiet: who asked must not promise what nobody knows.
            self._blame.mistake("raised in when_quiet", "nothing is promised", error)

    def close(self, closed: Callable[[Status], None]) -> None:
        """Close the device, then what lies below it. Closing twice is closing once."""
        if self._closed is not None:
            closed(GOOD)
            return
        self._closed = closed
        self._reactor.call_later(CLOSE_TOLD_S, self._look_whether_closed)
        try:
            self._device.close(self._device_closed)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            why = self._blame.mistake("raised in close", "it counts as closed", error)
            self._device_closed(Status(Code.WRITE_ERROR, why))

    # -- going down --------------------------------------------------------------------------------

    def _answer_to(self, completed: Completed) -> None:
        completion = self.completion

        def complete(requests: list[Request]) -> None:
            answered = completion.take(requests)
            if not answered:
                return
            try:
                completed(answered)
            except (Exception, SystemExit) as error:
                if self._above is None:
                    raise
                self._above.lose(answered, error)

        self._submitter, self._complete = completed, complete

    def _submit_mixed(self, batch: list[Request]) -> None:
        """Pass on what the device knows, refuse the rest."""
        does, mask = self._does, self._refused_flags
        passed, refused = list[Request](), list[Request]()
        for request in batch:
            if does[request.op] and not (request.flags and int(request.flags) & mask):
                passed.append(request)
            else:
                request.status = self._refusal(request)
                refused.append(request)
        count(self._stage, refused, 0)
        if not passed:
            return
        sent = passed if refused else batch
        began = self.clock()
        try:
            if self._submit(sent, self._complete) is not None:
                self._failed(sent, "returned something from submit")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            self._failed(sent, "raised in submit", error)
        self._after(sent, began, self.clock() - began)

    def _refusal(self, request: Request) -> Status:
        what = request.op.name if not self._does[request.op] else f"the flags {request.flags!r}"
        return Status(Code.UNSUPPORTED, f"{self._blame.part} was not built for {what}")

    def _after(self, batch: list[Request], began: int, elapsed_ns: int) -> None:
        """Count what is answered, remember what is not."""
        pending, before_count = self._began, len(self._began)
        for request in batch:
            if request.status is not GOOD:
                if request.status is None:
                    pending[request] = began
                else:
                    self._check(request)
        pending_count = len(pending) - before_count
        if pending_count < len(batch):
            answered = [one for one in batch if one.status is not None]
            count(self._stage, answered, elapsed_ns)
            if elapsed_ns > self._tracer.note_ns:
                self._tracer.note(answered, self._name, began, elapsed_ns)
        if elapsed_ns > HELD_NS:
            self._reactor.held(self._blame.who, elapsed_ns)
        if pending_count:
            if not before_count:
                self._stage.parked()
            if not self.stalls.is_watching:
                self.stalls.watch()

    def _failed(self, batch: list[Request], kind: str, error: BaseException | None = None) -> None:
        """The device failed on a batch: answer what it has not answered."""
        open_ones = [request for request in batch if request.status is None]
        consequence = f"{len(open_ones)} requests are answered with an error"
        why = self._blame.mistake(kind, consequence, error)
        for request in open_ones:
            if self._below is None or not self._below.adopt(request, self._answer_orphan(why)):
                request.status = self._blame.failure(request, why)

    # -- coming back -------------------------------------------------------------------------------

    def _take(self, requests: list[Request]) -> list[Request]:
        """Count requests that were pending; return those that really were."""
        now, pop, note_ns = self.clock(), self._began.pop, self._tracer.note_ns
        op: Op | None = None
        run_began = number = length = 0
        strays: list[Request] = []
        for request in requests:
            began = pop(request, 0)
            if not began:
                strays.append(request)
                continue
            if request.status is not GOOD and not self._check(request):
                self._stage.fail(request.op)
            if began != run_began or request.op is not op:
                if op is not None:
                    self._add(op, number, length, now - run_began)
                op, run_began, number, length = request.op, began, 0, 0
            number += 1
            length += request.length
            if now - began > note_ns:
                self._tracer.note((request,), self._name, began, now - began)
        if op is not None:
            self._add(op, number, length, now - run_began)
        for request in strays:
            self._stray(request)
        return [one for one in requests if one not in strays] if strays else requests

    def _stray(self, request: Request) -> None:
        """Something was completed that was not pending."""
        orphan = self._orphans.pop(request, None)
        if orphan is not None:
            orphan(request)
        elif self._is_closed:
            self._blame.mistake("completed a request after it was closed", "that is dropped")
        elif self._is_inside():
            self._blame.mistake(
                "completed a request from within submit", "it counts when submit returns"
            )
        else:
            self._blame.mistake(
                "completed a request twice, or one that it was not given", "that is dropped"
            )

    def _check(self, request: Request) -> bool:
        """See to it that a request which the device calls answered has a status, and that it is
        told if it failed. False if it has."""
        if not isinstance(request.status, Status):
            kind = "answered a request without a status"
            why = self._blame.mistake(kind, f"{request.op.name} is answered with an error")
            request.status = self._blame.failure(request, why)
        elif not request.status.is_good:
            self._blame.failures.note(self._blame.part, request)
        return request.status.is_good

    def lose(self, requests: list[Request], error: BaseException) -> None:
        """This filter failed on what came back from below: answer what it can't answer any more."""
        lost = [request for request in requests if request in self._began]
        consequence = f"{len(lost)} requests are answered with an error"
        why = self._blame.mistake("raised when it was answered", consequence, error)
        for request in lost:
            request.status = self._blame.failure(request, why)
        if lost:
            self._complete(lost)

    def adopt(self, request: Request, answer: Callable[[Request], None]) -> bool:
        """Call `answer` instead of the filter, once this request, which the filter has passed on
        and then failed on, comes back. False if it is not here."""
        if self._began.pop(request, 0):
            self._orphans[request] = answer
            return True
        return self._below is not None and self._below.adopt(request, answer)

    def _answer_orphan(self, why: str) -> Callable[[Request], None]:
        def answer(request: Request) -> None:
            request.status = self._blame.failure(request, why)
            self._complete([request])

        return answer

    def _is_inside(self) -> bool:
        """True if the caller was called, however deep, from `submit` of this very boundary."""
        frame = sys._getframe(1)
        names = {self.submit.__code__, self._submit_mixed.__code__}
        while frame is not None:
            if frame.f_code in names and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back  # type: ignore[assignment]
        return False

    # -- closing -----------------------------------------------------------------------------------

    def _device_closed(self, status: Status) -> None:
        if self._is_closed:
            self._blame.mistake("said twice that it has closed", "the second time is dropped")
            return
        self._is_closed = True
        self._began.clear()
        self.stalls.close()
        above = self._closed
        assert above is not None, "it closes when it is told to"
        if self._below is None:
            above(status)
            return
        self._below.close(lambda below: above(status if below.is_good else below))

    def _look_whether_closed(self) -> None:
        if not self._is_closed:
            self._blame.mistake("does not close", f"waited for {CLOSE_TOLD_S} s")
