"""Services: processes of a plugin beside the data processes; and what they can see.

A service is an exporter, a watcher of disks, an API, a pool. It has a process of its own, beside
the data processes and never in them: it may wait, compute and fail, and costs nobody but itself.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from tierce.actions import Action, ActionCall, Job
from tierce.spec import Event
from tierce.statuses import Published
from tierce.tls import TlsMaterial


@attrs.frozen
class OperationStatistics:
    """What one stage has done of one kind of operation.

    Attributes:
        count: Operations, failed ones too.
        bytes: Their bytes.
        failed: Operations that failed.
        total_ns: The sum of their latencies.
        buckets: How many took how long: bucket b counts those of 2^(b-1) up to 2^b ticks of
            2^-30 s, the last one all that took longer. Their sum is `count`.
        last: Of a stage that runs beside others of its kind, as one replica's answer does: how
            many of them were the last, and so were waited for.
    """

    count: int
    bytes: int
    failed: int
    total_ns: int
    buckets: tuple[int, ...]
    last: int = 0


@attrs.frozen
class Parked:
    """What is pending in one stage now.

    Attributes:
        count: How many operations.
        oldest_s: How long the oldest has waited, in seconds.
    """

    count: int
    oldest_s: float


@attrs.frozen
class ProcessStatistics:
    """One data process: a volume's target, or one of its members.

    Attributes:
        name: The process: "target.demo", "member.demo.replica-1".
        role: "target" or "member".
        start_ns: Since when its counters count, in nanoseconds since the epoch. A process that was
            started anew goes on from those of the one before it, so that they don't fall. Where
            they begin at zero (a new volume, a boot of the
            machine, an upgrade that counts otherwise), this is another time: whoever exports
            differences compares this first.
        state: "starting", "up", "closing" or "down", as the server sees it; "unknown" while no
            server runs, which keeps no volume from being served.
        facts: What it shows to the server; empty while no server runs.
        stages: Stage -> operation ("read", "write"...) -> what it has done. Of a target: "volume"
            is what initiators see, "filter.NAME" and "device" what lies below, "engine.wait" and
            "engine.call" the turn and the call of an engine that has threads ("filter.NAME.wait"
            and "filter.NAME.call" of a simple filter), "jiva.replica/NAME"
            the round trips to one replica, "jiva.local_miss" reads that wait for a disk. Of a
            replica: "replica.apply", "replica.read" and "replica.sync".
        published: What its parts say of themselves: the volume's state, its members, sessions.
        started_ns: When the process started that runs now, or ran last.
        starts: How many processes have added to these counters: 1 if it was never started anew.
        sizes: Of a target: operation -> how many of which size "volume" has seen; bucket b counts
            those above 2^(b-1) up to 2^b bytes.
        failures: Of a target: operation -> code -> how many of what "volume" has seen failed with
            it ("write error", "no space"...). What failed in a way that has no code is missing here
            and is in `failed`.
        slow: Of a target: operation -> how many took longer than the limit for slow ones.
        parked: Stage -> what is pending there now; stages without anything are left out.
        pid: Its number on this machine, by which /proc knows it; 0 while it is down, or no server
            runs.
    """

    name: str
    role: str
    start_ns: int
    state: str
    facts: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, OperationStatistics]]
    published: Published
    started_ns: int = 0
    starts: int = 1
    sizes: Mapping[str, tuple[int, ...]] = attrs.field(factory=dict)
    failures: Mapping[str, Mapping[str, int]] = attrs.field(factory=dict)
    slow: Mapping[str, int] = attrs.field(factory=dict)
    parked: Mapping[str, Parked] = attrs.field(factory=dict)
    pid: int = 0


@attrs.frozen
class VolumeStatistics:
    """One volume that runs.

    Attributes:
        name: Its name.
        health: The word of docs/reference/states.md, as the server found it some seconds ago; empty
            while no server runs.
        target: Its target; None while there is none.
        members: Its members by name.
        labels: Its labels; none while no server runs.
        uuid: Which volume it is, whatever it is called; empty while nothing of it has run.
        engine: The engine that keeps it; empty while no server runs.
        frontends: The front ends that export it, in the order of its config; none likewise.
        size_bytes: Its size; 0 likewise.
        block_size: The size of its blocks; 0 likewise.
    """

    name: str
    health: str
    target: ProcessStatistics | None
    members: Mapping[str, ProcessStatistics]
    labels: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    uuid: str = ""
    engine: str = ""
    frontends: tuple[str, ...] = ()
    size_bytes: int = 0
    block_size: int = 0


@attrs.frozen
class TracedStage:
    """What one stage did with an I/O that was written down.

    Attributes:
        stage: Its name: "device", "jiva.replica".
        member: Whose it is of several that ran beside each other: "replica-2"; else empty.
        start_ns: When it began, in nanoseconds from the I/O's arrival on.
        elapsed_ns: How long it took.
        number: Which it is of those of the same stage and member. What a replica tells of a frame
            has the number of that frame's "jiva.replica".
        span_id: 16 hexadecimal digits: `span_id_of` the whole I/O's span id, stage, member and
            number. A replica that was told it names it in its log.
    """

    stage: str
    member: str
    start_ns: int
    elapsed_ns: int
    number: int = 0
    span_id: str = ""


@attrs.frozen
class TraceRecord:
    """One I/O that was written down: one in a thousand, and those that took longer than 50 ms.

    Attributes:
        volume: The volume.
        operation: "read", "write"...
        offset: Its first byte.
        length: Its bytes.
        batch: How many were answered together with it.
        code: How it ended: "good", "write error"...
        start_ns: When it arrived, in nanoseconds since the epoch.
        elapsed_ns: From its arrival to its answer.
        is_sampled: It was chosen before it began.
        is_slow: It took too long.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        stages: Of a sampled one all stages, of a slow one those that were slow themselves, in the
            order in which they ended.
    """

    volume: str
    operation: str
    offset: int
    length: int
    batch: int
    code: str
    start_ns: int
    elapsed_ns: int
    is_sampled: bool
    is_slow: bool
    trace_id: str
    span_id: str
    stages: tuple[TracedStage, ...]


@attrs.frozen
class Traces:
    """What was written down since the last time.

    Attributes:
        items: The I/Os, by volume and in order.
        lost: How many can't be had any more: a volume keeps 256, and the oldest goes.
        left_out: How many were not written: of one volume 20 sampled and 100 slow ones a second
            are.
    """

    items: tuple[TraceRecord, ...]
    lost: int = 0
    left_out: int = 0


@attrs.frozen
class RecordedEvent:
    """An event, as it was recorded.

    Attributes:
        sequence: Its number among all events of this server.
        time: When it happened, in seconds since the epoch.
        event: The event.
    """

    sequence: int
    time: float
    event: Event


@attrs.frozen
class Events:
    """What has happened since the last time.

    Attributes:
        items: The events in order, some hundreds at most; what is left comes with the next call.
        lost: How many before and among them can't be had any more: the server keeps
            `limits.event_count_max`, and on a full disk it keeps none.
    """

    items: tuple[RecordedEvent, ...]
    lost: int = 0


@attrs.frozen(kw_only=True)
class ServiceContext:
    """What a service is started with. Its calls may wait, and may come from any thread.

    Attributes:
        name: The service's name.
        options: Its option instance.
        volume: The volume that this process is for, where the service is one of a volume; else
            empty. Another process of the service is for another volume.
        statistics: Returns what all volumes and members have done and how they are, by volume; in a
            volume's process of that volume alone.
        events: Returns the events since the last call. The first call of a new service begins
            with what happens from then on; one that was started anew goes on where it was, and
            gets again what it was given last: that it had dealt with it, nobody knows.
        traces: Returns the I/Os that were written down one by one since the last call. The first
            call of a new service returns none; one that was started anew goes on where it was.
        wait: Waits so many seconds, or until the service is to stop. Returns True if it is to
            go on.
        act: Has an action carried out and returns its result as JSON values; takes as long as that
            takes. Raises a TierceError
            that says why it was not done; TemporaryError where it may have been, or no server
            runs.
        emit: Reports an event; never waits.
        call_soon: Has something called on the loop's thread, where `manage` is called and a `Job`
            is answered.
        logger: Writes to the service's own log, DATA/logs/service.NAME.log, as JSON lines.
        publish_socket: Returns a Unix stream socket that listens under a name, for other
            processes of this node. It is the service's while it runs.
        find_service: Returns a connection to what was published under a name, non-blocking.
            Raises TemporaryError while nobody listens there.
        tls: What to speak TLS with; None where there is nothing, as it is now: core keeps no
            certificates.

    Thread: any thread.
    Blocking: yes, `wait`, `act`, `statistics`, `events` and `traces`; the others return at once.
    Failure: `act` and `call_soon` raise a TierceError that says why, `publish_socket` and
        `find_service` too; the others raise nothing.
    Since: contract 2.
    """

    name: str
    options: Any
    volume: str = ""
    statistics: Callable[[], Mapping[str, VolumeStatistics]]
    events: Callable[[], Events]
    traces: Callable[[], Traces]
    wait: Callable[[float], bool]
    emit: Callable[[Event], None]
    call_soon: Callable[[Callable[[], None]], None]
    logger: logging.LoggerAdapter[logging.Logger]
    act: Callable[[ActionCall], Mapping[str, Any]]
    publish_socket: Callable[[str], socket.socket]
    find_service: Callable[[str], socket.socket]
    tls: TlsMaterial | None = None


class Service:
    """What the factory of a `ServiceDescription` makes.

    Args:
        context: What it is started with.

    Making:
        Blocking: briefly; what takes time is for `run`.
        Failure: the service's process ends, told by name, and is started again after growing
            pauses.
    Thread: data thread, of the service's own process.
    Blocking: no.
    Failure: it is told by name, and the service goes on.
    Since: contract 2.
    """

    def __init__(self, context: ServiceContext) -> None:
        self.context = context

    def run(self) -> None:
        """Work until `context.wait` returns False.

        Thread: own thread.
        Blocking: yes.
        Failure: one that raises, or returns before it is to stop, is told by name and started again
            after growing pauses; one that goes on after it is to stop is killed after
            `limits.stop_timeout_s`.
        """
        raise NotImplementedError

    def actions(self) -> tuple[Action, ...]:
        """Say what can be asked of the service while it runs; nothing by default.

        Failure: it has no actions, which is told by name.
        """
        return ()

    def manage(self, action: str, arguments: Any, job: Job) -> None:  # noqa: ARG002 - a default
        """Carry out an action that `actions` names: what takes time is for `run`, which answers by
        `context.call_soon`.

        Failure: who asked is told, and an event names the service.
        """
        job.fail(f"there is no action {action!r}")
