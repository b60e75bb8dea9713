"""The service's process: it asks for events and records, and sends them until they are taken.

One thread waits for the peer, looks four times a second whether it is to stop, and never waits for
anything else: connections are made, and the server is asked, on threads aside (`aside`).

The next events are asked for when those before are acknowledged. So the place that core keeps is
that of the peer: a service that is killed is given again what the peer may not have, and while no
peer is there the events wait in the server's state.
"""

from __future__ import annotations

import os
import random
import socket
import time
from functools import partial
from pathlib import Path

import attrs

from tierce import Address, Events, Service, ServiceContext, TemporaryError, Traces, explain
from tierce_exporters.forward.aside import Aside
from tierce_exporters.forward.backlog import Backlog, Kind
from tierce_exporters.forward.connecting import connect, tls_context
from tierce_exporters.forward.entries import event_entry, trace_entry
from tierce_exporters.forward.messages import Secrets
from tierce_exporters.forward.pump import Pump
from tierce_exporters.forward.reporting import Reporter
from tierce_exporters.forward.sender import Conduct, Sender
from tierce_exporters.options import ForwardOptions

#: How often it is asked what has happened; a volume writes down 120 I/Os a second at most, and
#: keeps 256.
ASK_S = 1.0
#: It looks so often whether it is to stop.
TURN_S = 0.25
#: What is there when it is to stop may still be sent for so long.
LINGER_S = 0.75

assert TURN_S + LINGER_S < 2.0, "it stops within two seconds"


@attrs.frozen
class Seen:
    """What was asked for.

    Attributes:
        events: What has happened since the last time.
        traces: What was written down since.
    """

    events: Events
    traces: Traces


class ForwardService(Service):
    """See the module."""

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        options: ForwardOptions = context.options
        self._options = options
        self._host = socket.gethostname()
        self._backlog = Backlog(options.buffer_count_max, options.buffer_bytes_max, os.urandom)
        self._reporter = Reporter(context.name, options.address)
        #: What core could not give any more, by kind.
        self._lost = dict.fromkeys(Kind, 0)
        self._ask_at = 0.0
        #: There were events the last time, and so there may be more.
        self._has_more = False
        self._trouble = ""

    def run(self) -> None:
        """Send until told to stop.

        Raises:
            TemporaryError: A file that the options name can't be read.
        """
        chance = random.Random()  # noqa: S311 - for pauses
        sender = Sender(self._conduct(), self._backlog, time.monotonic(), chance, os.urandom)
        pump = Pump(sender, self._connect())
        asking: Aside[Seen] = Aside("forward-ask", pump.wake)
        try:
            while self.context.wait(0.0):
                self._ask(asking)
                pump.turn(TURN_S)
                self._take(asking)
                self._report(sender)
            until = time.monotonic() + LINGER_S
            while not sender.trouble and (asking.is_busy or self._backlog):
                if time.monotonic() >= until:
                    break
                pump.turn(until - time.monotonic())
                self._take(asking)
        finally:
            pump.close()

    def _connect(self) -> partial[socket.socket]:
        options, address = self._options, Address.parse(self._options.address)
        if options.tls is None:
            return partial(connect, address, None, "")
        name = options.tls.server_name or address.host
        return partial(connect, address, tls_context(options.tls), name)

    def _conduct(self) -> Conduct:
        options = self._options
        secrets = None
        if options.shared_key_file is not None:
            password = _secret(options.password_file) if options.password_file else b""
            secrets = Secrets(
                shared_key=_secret(options.shared_key_file), user=options.user, password=password
            )
        return Conduct(
            tags={kind: f"{options.tag}.{kind.value}" for kind in Kind},
            # A peer on this machine may have the machine's own name, and is no echo of this.
            host=f"tierce-{self._host}",
            secrets=secrets,
            ack_s=options.ack_timeout_s,
            is_compressed=options.compress,
        )

    def _ask(self, asking: Aside[Seen]) -> None:
        now = time.monotonic()
        are_taken = not self._backlog.counts[Kind.EVENTS]
        is_time = now >= self._ask_at or (self._has_more and are_taken)
        if is_time and not asking.is_busy:
            self._ask_at = now + ASK_S
            asking.start(partial(self._look, with_events=are_taken))

    def _look(self, *, with_events: bool) -> Seen:
        """Return what core has for us; on the thread aside."""
        events = self.context.events() if with_events else Events(())
        return Seen(events, self.context.traces() if self._options.records else Traces(()))

    def _take(self, asking: Aside[Seen]) -> None:
        outcome = asking.outcome()
        if outcome is None:
            return
        if outcome.result is None:
            assert outcome.error is not None, "what was seen, or what went wrong"
            raise outcome.error
        events, traces = outcome.result.events, outcome.result.traces
        self._lost[Kind.EVENTS] += events.lost
        self._lost[Kind.RECORDS] += traces.lost
        self._has_more = bool(events.items)
        add = self._backlog.add
        add(Kind.EVENTS, [event_entry(one, self._host) for one in events.items])
        add(Kind.RECORDS, [trace_entry(one, self._host) for one in traces.items])

    def _report(self, sender: Sender) -> None:
        if sender.trouble != self._trouble:
            self._trouble = sender.trouble
            if self._trouble:
                self.context.logger.warning("%s: %s", self._options.address, self._trouble)
        dropped = {kind.value: self._backlog.dropped[kind] + self._lost[kind] for kind in Kind}
        for event in self._reporter.look(time.monotonic(), sender.trouble, dropped):
            self.context.emit(event)


def _secret(path: str) -> bytes:
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        raise TemporaryError(f"the key {path} can't be read: {explain(error)}") from error
    if not secret:
        raise TemporaryError(f"the key {path} is empty")
    return secret
