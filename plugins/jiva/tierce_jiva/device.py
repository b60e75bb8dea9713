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
    OpenContext,
    Request,
    TemporaryError,
    Timer,
    UsageError,
    explain,
)
from tierce_jiva.host import Host, Volume
from tierce_jiva.local_reader import LocalFiles
from tierce_jiva.options import JivaOptions
from tierce_jiva.replicator import Replicator
from tierce_jiva.socket_link import SocketLink, connect
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame

#: How often the state machine is woken while it is busy.
TICK_S = 0.1
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
        self._local = LocalFiles(
            context.reactor, volume.size_bytes, before=self._enter, after=self._move
        )
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
            Host(
                emit=context.emit,
                publish=context.publish,
                fenced=context.fenced,
                restart=_restart,
                local=self._local,
                wall_ms=lambda: time.time_ns() // 1_000_000,
            ),
        )
        self._replicator.tick(self._reactor.now())
        for name in names:
            self._connect(name, _CONNECT_S_MIN)
        self._wake()

    def submit(self, batch: list[Request], settled: Completed) -> None:
        """Take a batch; never wait."""
        if self._timer is None:
            # The state machine has slept: it must not judge by a time long past.
            self._replicator.links.now = self._reactor.now()
        self._replicator.submit(batch, settled)
        self._send()
        # Where all is answered, nothing has begun that time matters to.
        if self._timer is None and any(request.status is None for request in batch):
            self._wake()

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """Call `quiet` once nothing that was answered NOT READY can change what a read finds."""
        self._replicator.when_quiet(quiet)

    def close(self, closed: Closed) -> None:
        """Flush, mark the replicas clean, disconnect."""
        self._replicator.links.now = self._reactor.now()
        self._replicator.close(partial(self._closed, closed))
        self._move()

    def _closed(self, closed: Closed) -> None:
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
        self._enter()
        self._replicator.connected(name)
        self._move()

    def _received(self, name: str, frames: list[Frame]) -> None:
        self._replicator.received(name, frames)
        self._move()

    def _lost(self, name: str, delay_s: float, reason: str) -> None:
        self._links.pop(name, None)
        if self._is_closed:
            return
        was_up = self._replicator.links[name].is_ready
        self._enter()
        self._replicator.disconnected(name, reason)
        self._connect_later(name, _CONNECT_S_MIN if was_up else delay_s)
        self._move()

    def _connect_later(self, name: str, delay_s: float) -> None:
        again = partial(self._connect, name, min(delay_s * 2, _CONNECT_S_MAX))
        self._retries[name] = self._reactor.call_later(delay_s, again)

    # -- moving ------------------------------------------------------------------------------------

    def _enter(self) -> None:
        self._replicator.links.now = self._reactor.now()

    def _move(self) -> None:
        """Send what is to be sent, and see to it that time passes while that matters."""
        self._send()
        if self._timer is None:
            self._wake()

    def _send(self) -> None:
        """Send what the state machine wants sent, close what it wants closed."""
        replicator = self._replicator
        if replicator.hangups:
            self._hang_up()
        for link in replicator.links:
            if link.outgoing:
                buffers, link.outgoing = link.outgoing, []
                connection = self._links.get(link.name)
                if connection is not None:
                    connection.send(buffers)

    def _hang_up(self) -> None:
        hangups, self._replicator.hangups = self._replicator.hangups, []
        for name, _reason in hangups:
            connection = self._links.pop(name, None)
            if connection is not None:
                connection.close()
            if name not in self._retries:
                self._connect_later(name, _CONNECT_S_MIN)

    def _wake(self) -> None:
        """Tick while the state machine is busy; an idle volume has no timer."""
        if self._timer is None and not self._is_closed and self._replicator.is_busy:
            self._timer = self._reactor.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._replicator.tick(self._reactor.now())
        self._move()


def _restart(reason: str) -> None:
    """End the target's process; the supervisor starts it again, and it opens afresh."""
    raise TemporaryError(f"the volume must be opened anew: {reason}")


def open_device(context: OpenContext) -> JivaDevice:
    """Open a volume. It answers once a majority of its replicas is there."""
    return JivaDevice(context)
