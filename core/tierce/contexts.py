"""What core hands to a plugin's live parts when it starts them. All calls on the data thread."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

from tierce.block.device import Device, Geometry
from tierce.block.status import Status
from tierce.errors import TemporaryError
from tierce.reactor import Reactor
from tierce.spec import Event, MemberSpec, VolumeSpec
from tierce.stage import Stage
from tierce.store import StoreChoice


def no_services(name: str) -> socket.socket:
    """Find no service: what a context has that was made apart from a server."""
    raise TemporaryError(f"no service listens under the name {name!r} now: no server runs")


def _not_open(_geometry: Geometry) -> None:
    """What `OpenContext.resized` is until core has put the door there."""


@attrs.define
class OpenContext:
    """What an engine or a filter is opened with, in the volume's target process.

    Attributes:
        volume: The volume.
        options: The engine's (or filter's) own option instance.
        reactor: The target's loop.
        members: The volume's member processes, as the engine's lifecycle named them.
        boot_id: Changes whenever the page cache was lost (the kernel's boot id).
        stage: Returns the counters of the stage so named; the same name, the same counters.
        emit: Reports an event; never waits.
        publish: Makes a small JSON object ("replicas": ...) visible to `tierce volume show` and
            the live line through shared memory; replaces the last one. Rarely, not per I/O. A list
            that is too long (64 KiB for all) is cut, and `KEY_left_out` says by how many.
        member_address: Returns where the member of that name listens now ("HOST:PORT"), or None
            while it is not up.
        fenced: To be called when another target has taken the volume: ends this one for good.
        find_service: Returns a connection to the socket that a service of this node has published
            under a name, non-blocking. Raises TemporaryError while nobody listens there. Never
            waits.
        resized: To be called, on the data thread, when the device has another shape: core passes it
            to what lies above, and the front end tells its initiators. The block size stays.
    """

    volume: VolumeSpec
    options: Any
    reactor: Reactor
    members: tuple[MemberSpec, ...]
    boot_id: str
    stage: Callable[[str], Stage]
    emit: Callable[[Event], None]
    publish: Callable[[Mapping[str, Any]], None]
    member_address: Callable[[str], str | None]
    fenced: Callable[[str], None]
    find_service: Callable[[str], socket.socket] = no_services
    resized: Callable[[Geometry], None] = _not_open


@attrs.define
class MemberContext:
    """What a member (a replica) is started with, in a process of its own.

    Attributes:
        volume_name: The volume's name.
        volume_uuid: The volume's uuid.
        size_bytes: The volume's size in bytes.
        block_size: The volume's logical block in bytes.
        member: This member.
        reactor: The process's loop.
        boot_id: As in OpenContext.
        announce: Tells the target and `show` where this member listens: "HOST:PORT".
        stage: As in OpenContext.
        emit: As in OpenContext.
        publish: As in OpenContext.
        store: The engine's store; None if it names none.
        store_options: The store's option instance.
        find_service: As in OpenContext.
    """

    volume_name: str
    volume_uuid: str
    size_bytes: int
    block_size: int
    member: MemberSpec
    reactor: Reactor
    boot_id: str
    announce: Callable[[str], None]
    stage: Callable[[str], Stage]
    emit: Callable[[Event], None]
    publish: Callable[[Mapping[str, Any]], None]
    store: StoreChoice | None
    store_options: Any
    find_service: Callable[[str], socket.socket] = no_services


class Member(Protocol):
    """A running member."""

    def close(self, closed: Callable[[], None]) -> None:
        """End orderly: stop listening, finish what is under way, close files; then `closed()`."""
        ...


@attrs.define
class FrontendContext:
    """What a front end serves a volume with, in the volume's target process.

    Attributes:
        volume: The volume.
        options: The front end's own options (its section under `frontends:`).
        volume_options: The volume's options for this front end.
        device: The top of the volume's pipeline.
        reactor: The target's loop.
        stage: As in OpenContext; the front end's own stage is "frontend".
        emit: As in OpenContext.
        publish: As in OpenContext ("sessions": ...).
        folder: The front end's own folder for this volume, for what it has to keep over a restart
            of its target. It need not be there: who writes into it makes it. Core removes it, and
            the files in it, with the volume. What lies there carries the volume's uuid, so that
            nothing of another volume is ever taken for its own.
        is_folder_lasting: What is durable in `folder` is as safe as the volume's bytes. False
            where those survive what the folder does not: members keep them elsewhere; and where
            they are gone with the target.
        boot_id: As in OpenContext.
    """

    volume: VolumeSpec
    options: Any
    volume_options: Any
    device: Device
    reactor: Reactor
    stage: Callable[[str], Stage]
    emit: Callable[[Event], None]
    publish: Callable[[Mapping[str, Any]], None]
    folder: Path
    is_folder_lasting: bool
    boot_id: str


class Frontend(Protocol):
    """A front end's part in a target process."""

    def adopt(self, connection: socket.socket, handover: bytes) -> None:
        """Take a connection from the portal; `handover` is what the greeter passed on with it.
        The socket is non-blocking and belongs to the front end from now on."""
        ...

    def close(self, closed: Callable[[], None]) -> None:
        """Answer what is under way, end the sessions orderly, then `closed()`."""
        ...

    def abandon(self, reason: str) -> None:
        """Fenced: drop every connection at once, answer nothing more."""
        ...


@attrs.frozen
class Send:
    """A greeter's wish: send these bytes."""

    data: bytes


@attrs.frozen
class Handover:
    """A greeter's wish: pass the connection to this volume's target, with `state` (the bytes
    read so far and whatever else the front end needs to go on)."""

    volume: str
    state: bytes


@attrs.frozen
class Hangup:
    """A greeter's wish: close the connection after what was sent, for this reason (logged)."""

    reason: str


@attrs.frozen
class Route:
    """One volume that a portal may lead to.

    Attributes:
        volume: Its name.
        options: Its options for this front end.
        is_up: False while its target process is down.
    """

    volume: str
    options: Any
    is_up: bool = True


class Greeter(Protocol):
    """The portal's side of one new connection: sans-I/O, bytes in, wishes out.

    It answers what needs no volume (discovery, a refused login) and hands the rest over.

    Optional: `handover_failed() -> bytes`, what to send before the end when the target can't take
    the connection. Without it the connection is closed unanswered.
    """

    def receive(self, data: bytes, routes: Mapping[str, Route]) -> list[Send | Handover | Hangup]:
        """Take what arrived. `routes` maps volume names to routes as they are now. A Handover
        or Hangup is the last wish."""
        ...


#: How a device reports that it has closed.
Closed = Callable[[Status], None]
