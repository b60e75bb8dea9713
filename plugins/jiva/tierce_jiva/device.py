"""A volume of engine `jiva` as a device: the shell around `Replicator`. It connects, moves bytes,
and wakes the state machine while that has something to look after."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial

from tierce import (
    GOOD,
    BaseDevice,
    Capabilities,
    Closed,
    Completed,
    Geometry,
    Op,
    OpenContext,
    Request,
    TemporaryError,
    Timer,
    UsageError,
    explain,
)
from tierce_jiva.host import Host, Volume
from tierce_jiva.links import Link
from tierce_jiva.local_reader import LocalFiles
from tierce_jiva.options import JivaOptions
from tierce_jiva.replicator import Replicator
from tierce_jiva.socket_link import SocketLink, connect
from tierce_jiva.target_actions import (
    End,
    Fence,
    ForgetFile,
    Hangup,
    Publish,
    ReadFile,
    Report,
    Restart,
)
from tierce_jiva.timing import Timing
from tierce_jiva.trips import STAGE
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame

#: How often the state machine is woken while it is busy.
TICK_S = 0.1
#: A replica that has left something unanswered for longer is one that is waited for.
LATE_S = 1.0
#: Between attempts to connect: doubling from the first to the last.
_CONNECT_S_MIN = 0.05
_CONNECT_S_MAX = 1.0


class JivaDevice(BaseDevice):
    """One replicated volume, open.

    Args:
        context: What core opens the engine with.
    """

    def __init__(self, context: OpenContext) -> None:
        options = context.options
        assert isinstance(options, JivaOptions)
        volume = context.volume
        self.geometry = Geometry(volume.size_bytes, volume.block_size, io_bytes_max=BATCH_BYTES_MAX)
        self.capabilities = Capabilities(discard=True, write_zeroes=True, block_status=True)
        self._context = context
        self._reactor = context.reactor
        self._local = LocalFiles(context.reactor, volume.size_bytes)
        self._timer: Timer | None = None
        self._links: dict[str, SocketLink] = {}
        self._retries: dict[str, Timer] = {}
        self._is_closed = False
        names = tuple(member.name for member in context.members)
        self._replicator = Replicator(
            Volume(
                volume.name,
                volume.uuid,
                volume.size_bytes,
                names,
                target=secrets.randbits(64),
                boot_id=context.boot_id,
            ),
            options,
            Host(self._local, lambda: time.time_ns() // 1_000_000, Timing(context.tracer)),
        )
        self._members = self._replicator.links.all
        self._agenda = self._replicator.agenda
        for link in self._members:
            link.answers = context.stage(STAGE + link.name)
        #: Reads of this machine's own files that wait for a disk.
        self._local_miss = context.stage("jiva.local_miss")
        #: To be called once nothing that was given up can be seen any more, and at the end.
        self._quiet: list[Callable[[], None]] = []
        self._closed: Closed | None = None
        self._replicator.tick(self._reactor.now())
        self._carry_out()
        for name in names:
            self._connect(name, _CONNECT_S_MIN)

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Take a batch; never wait."""
        self._replicator.submit(self._reactor.now(), batch, completed)
        if self._agenda.actions:
            self._act()
        for link in self._members:
            if link.outgoing:
                self._send(link)
        # Where all is answered, nothing has begun that time matters to.
        if self._timer is None and any(request.status is None for request in batch):
            self._wake()

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """Call `quiet` once nothing that was answered NOT READY can change what a read finds."""
        if self._replicator.is_quiet:
            quiet()
        else:
            self._quiet.append(quiet)

    def waits_for(self) -> list[str]:
        """Name the replicas that have left something unanswered for a while; else those that are
        away."""
        links, before = self._members, self._reactor.now() - LATE_S
        late = [
            link.name
            for link in links
            if any(
                asked is not None and asked < before
                for asked in (link.oldest(is_flush=False), link.oldest(is_flush=True))
            )
        ]
        return late or [link.name for link in links if not link.is_ready]

    def close(self, closed: Closed) -> None:
        """Flush, mark the replicas clean, disconnect."""
        self._closed = closed
        self._replicator.close(self._reactor.now())
        self._carry_out()

    def _end(self) -> None:
        """The state machine has ended."""
        closed, self._closed = self._closed, None
        assert closed is not None
        self._is_closed = True
        for timer in self._retries.values():
            timer.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for link in self._links.values():
            link.close()
        self._links.clear()
        self._local.close()
        closed(GOOD)

    # -- connections -------------------------------------------------------------------------------

    def _connect(self, name: str, delay_s: float) -> None:
        """Begin to connect; on failure again, later and later."""
        self._retries.pop(name, None)
        address = self._context.member_address(name)
        if address is None:
            self._lost(name, delay_s, "its process is not up")
            return
        try:
            connection = connect(address)
        except (OSError, UsageError) as error:
            self._lost(name, delay_s, f"can't connect to {address}: {explain(error)}")
            return
        self._links[name] = SocketLink(
            connection,
            self._reactor,
            received=partial(self._received, name),
            closed=partial(self._lost, name, delay_s),
            connected=partial(self._connected, name),
        )

    def _connected(self, name: str) -> None:
        self._replicator.connected(self._reactor.now(), name)
        self._carry_out()

    def _received(self, name: str, frames: list[Frame]) -> None:
        self._replicator.received(self._reactor.now(), name, frames)
        self._carry_out()

    def _file_read(self, read: ReadFile, began: float) -> None:
        now = self._reactor.now()
        failed = sum(request.status is not None for request in read.requests)
        length = sum(request.length for request in read.requests)
        elapsed_ns, tracer = int((now - began) * 1e9), self._context.tracer
        self._local_miss.add(Op.READ, len(read.requests), length, elapsed_ns)
        if elapsed_ns > tracer.note_ns:
            tracer.note(read.requests, "jiva.local_miss", int(began * 1e9), elapsed_ns)
        if failed:
            self._local_miss.fail(Op.READ, failed)
        self._replicator.file_read(now, read)
        self._carry_out()

    def _lost(self, name: str, delay_s: float, reason: str) -> None:
        self._links.pop(name, None)
        if self._is_closed:
            return
        was_up = self._replicator.links[name].is_ready
        self._replicator.disconnected(self._reactor.now(), name, reason)
        self._connect_later(name, _CONNECT_S_MIN if was_up else delay_s)
        self._carry_out()

    def _connect_later(self, name: str, delay_s: float) -> None:
        again = partial(self._connect, name, min(delay_s * 2, _CONNECT_S_MAX))
        self._retries[name] = self._reactor.call_later(delay_s, again)

    # -- carrying out ------------------------------------------------------------------------------

    def _carry_out(self) -> None:
        """Do what the state machine asks for, and see to it that time passes while that matters."""
        agenda = self._agenda
        if agenda.actions:
            self._act()
        if agenda.completed:
            for completed, requests in agenda.take_completed().items():
                completed(requests)
        if self._quiet and self._replicator.is_quiet:
            quiet, self._quiet = self._quiet, []
            for call in quiet:
                call()
        for link in self._members:
            if link.outgoing:
                self._send(link)
        if self._timer is None:
            self._wake()

    def _send(self, link: Link) -> None:
        buffers, link.outgoing = link.outgoing, []
        connection = self._links.get(link.name)
        if connection is not None:
            connection.send(buffers)

    def _act(self) -> None:
        context = self._context
        for action in self._agenda.take_actions():
            match action:
                case Report():
                    context.emit(action.event)
                case Publish():
                    context.publish(action.shown)
                case Hangup():
                    self._hang_up(action)
                case ReadFile():
                    done = partial(self._file_read, action, self._reactor.now())
                    self._local.read(action.head, action.requests, done)
                case ForgetFile():
                    self._local.forget(action.head)
                case Fence():
                    context.fenced(action.reason)
                case Restart():
                    # The supervisor starts this process again, and it opens afresh.
                    raise TemporaryError(f"the volume must be opened anew: {action.reason}")
                case End():
                    self._end()

    def _hang_up(self, action: Hangup) -> None:
        connection = self._links.pop(action.name, None)
        if connection is not None:
            connection.close()
        if action.name not in self._retries:
            self._connect_later(action.name, max(action.retry_s, _CONNECT_S_MIN))

    def _wake(self) -> None:
        """Tick while the state machine is busy; an idle volume has no timer."""
        if not self._is_closed and self._replicator.is_busy:
            self._timer = self._reactor.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._replicator.tick(self._reactor.now())
        self._carry_out()


def open_device(context: OpenContext) -> JivaDevice:
    """Open a volume. It answers once a majority of its replicas is there."""
    return JivaDevice(context)
