"""What a front end is: its part in a target, and its part in the portal.

A connection comes in at the portal, where a `ConnectionRouter` finds out which volume it is for,
and goes on to that volume's target, where the `Frontend` serves it. A front end that listens itself
has no part in the portal.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.block.device import Device, Geometry
from tierce.errors import UsageError
from tierce.reactor import Reactor
from tierce.spec import Event, Export, LocalVolume
from tierce.stage import Stage
from tierce.statuses import FrontendStatus
from tierce.tls import TlsMaterial
from tierce.tracing import Tracer

#: What a part logs to that was made apart from a process.
_LOGGER = logging.getLogger("tierce.plugin")


@attrs.define
class FrontendContext:
    """What a front end serves a volume with, in the volume's target process.

    Attributes:
        volume: The volume.
        export: This way to it.
        options: The front end's own options (its section under `frontends:`).
        volume_options: The volume's options for this front end.
        device: The top of the volume's pipeline. Of a read-only export, it refuses changes, and
            its capabilities say so.
        reactor: The target's loop.
        stage: As in OpenContext. What a front end answers counts in the stage "volume", whichever
            export it is of; parts of that are its own, "frontend.PART".
        emit: As in OpenContext.
        publish: Shows who uses the volume through this front end; as in OpenContext. Of the second
            export on, `tierce volume show` has each key as "NAME-KEY".
        folder: The front end's own folder for this volume, for what it has to keep over a restart
            of its target. It need not be there: who writes into it makes it. Core removes it, and
            the files in it, with the volume. What lies there carries the volume's uuid, so that
            nothing of another volume is ever taken for its own.
        is_folder_lasting: What is durable in `folder` is as safe as the volume's bytes. False
            where those survive what the folder does not: members keep them elsewhere; and where
            they are gone with the target.
        boot_id: As in OpenContext.
        tracer: Who is followed one by one. A front end that counts what it answers samples and
            looks, by this; for others core does.
        logger: As in OpenContext.
        tls: What to speak TLS with; None where there is nothing, as it is now: core keeps no
            certificates.

    Thread: data thread.
    Blocking: no.
    Failure: as of OpenContext.
    Since: contract 2.
    """

    volume: LocalVolume
    export: Export
    options: Any
    volume_options: Any
    device: Device
    reactor: Reactor
    stage: Callable[[str], Stage]
    emit: Callable[[Event], None]
    publish: Callable[[FrontendStatus], None]
    folder: Path
    is_folder_lasting: bool
    boot_id: str
    tracer: Tracer = attrs.field(factory=Tracer)
    logger: logging.Logger = _LOGGER
    tls: TlsMaterial | None = None


class Frontend:
    """A front end's part in a target process; a base class with defaults.

    Making:
        Blocking: yes, before anything is served: it may open its sockets.
        Failure: the volume is not served; the target is started again after growing pauses.
    Thread: data thread.
    Blocking: no.
    Failure: it is told by name, and the front end goes on.
    Since: contract 2.
    """

    def adopt(self, connection: socket.socket, handover: bytes) -> None:  # noqa: ARG002 - unused
        """Take a connection from the portal; `handover` is what the connection router passed on
        with it. The socket is non-blocking and belongs to the front end from now on.

        By default it is closed: one that listens itself is handed none.

        Failure: that connection is closed, and it is told by name.
        """
        connection.close()

    def reconfigure(self, options: Any) -> None:  # noqa: ARG002 - unused
        """Take other live options of its section, for what comes from now on.

        Failure: it is told by name, and it goes on with the options that it had.
        """
        raise UsageError("it takes no other options of its section while it serves")

    def reconfigure_volume(self, options: Any) -> None:  # noqa: ARG002 - unused
        """Take other live options that the volume has for it.

        Failure: as of `reconfigure`.
        """
        raise UsageError("it takes no other options of a volume while it serves")

    def resized(self, geometry: Geometry) -> None:
        """The volume has another shape; its device says so already."""

    def close(self, closed: Callable[[], None]) -> None:
        """Answer what is under way, end the sessions orderly, then `closed()`. Called once.

        Failure: it counts as closed, and the volume's engine is closed in order. One that does not
            call `closed()` is killed with its target after `limits.stop_timeout_s`.
        """
        closed()

    def abandon(self, reason: str) -> None:
        """Fenced: drop every connection at once, answer nothing more.

        Failure: the target ends all the same.
        """


@attrs.frozen
class Send:
    """What a connection router wants: send these bytes."""

    data: bytes


@attrs.frozen
class Handover:
    """What a connection router wants: pass the connection to this volume's target, with `state`
    (the bytes read so far and whatever else the front end needs to go on)."""

    volume: str
    state: bytes


@attrs.frozen
class Hangup:
    """What a connection router wants: close the connection after what was sent, for this reason
    (logged)."""

    reason: str


@attrs.frozen
class Route:
    """One volume that a portal may lead to.

    Attributes:
        volume: Its name.
        options: Its options for this front end.
        is_up: False while its target process is down.
        elsewhere: Where it is served instead of here, for a protocol that can say so: "HOST:PORT".
            Empty where it is served here, as it is now: there is one node.
    """

    volume: str
    options: Any
    is_up: bool = True
    elsewhere: str = ""


class ConnectionRouter:
    """The portal's side of one new connection: sans-I/O, bytes in, wishes out; a base class with
    defaults.

    It answers what needs no volume (discovery, a refused login) and hands the rest over. In both
    calls `routes` maps volume names to routes as they are now, and a Handover or Hangup is the last
    of what is returned.

    Thread: data thread, that of the portal, which is one for all volumes.
    Blocking: no.
    Failure: this one connection is closed, and the portal's log names the plugin.
    Since: contract 2.
    """

    def connected(
        self,
        routes: Mapping[str, Route],  # noqa: ARG002 - what a default has no use for
    ) -> list[Send | Handover | Hangup]:
        """Say what is to be said before the other side has spoken, in a protocol in which the
        server speaks first. Called once, before any `receive`."""
        return []

    def receive(self, data: bytes, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        """Take what arrived, and say what is to be done."""
        raise NotImplementedError

    def handover_failed(self) -> bytes:
        """Return what to send before the end when the target can't take the connection; by default
        the connection is closed unanswered.

        Failure: the connection is closed unanswered.
        """
        return b""
