"""What core hands to a plugin's live parts when it starts them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from tierce.block.device import Geometry
from tierce.block.status import Status
from tierce.errors import TemporaryError
from tierce.reactor import Reactor
from tierce.spec import Event, LocalVolume, MemberSpec
from tierce.stage import Stage
from tierce.statuses import MemberStatus, VolumeStatus
from tierce.store import StoreChoice
from tierce.tracing import Tracer

#: What a part logs to that was made apart from a process.
_LOGGER = logging.getLogger("tierce.plugin")


def no_services(name: str) -> socket.socket:
    """Find no service: what a context has that was made apart from a server."""
    raise TemporaryError(f"no service listens under the name {name!r} now: no server runs")


def _not_shown(_status: VolumeStatus) -> None:
    """What `OpenContext.publish` is until core has put the door there."""


def _not_open(_geometry: Geometry) -> None:
    """What `OpenContext.resized` is until core has put the door there."""


@attrs.define
class OpenContext:
    """What an engine or a filter is opened with, in the volume's target process.

    Attributes:
        volume: The volume, and its own folder on this node.
        options: The engine's (or filter's) own option instance.
        reactor: The target's loop.
        members: The volume's member processes, as the engine's lifecycle named them.
        boot_id: Changes whenever the page cache was lost (the kernel's boot id).
        stage: Returns the counters of the stage so named; the same name, the same counters.
        emit: Reports an event; never waits.
        publish: Shows how the volume is to `tierce volume show`, the live line and services,
            through shared memory; replaces what this part has shown before. Rarely, not per I/O.
            What is too long (64 KiB for all parts) is cut, and readers see by how much. Of a
            filter, the details are shown.
        member_address: Returns where the member of that name listens now ("HOST:PORT"), or None
            while it is not up.
        fenced: To be called when another target has taken the volume: ends this one for good.
        find_service: Returns a connection to the socket that a service of this node has published
            under a name, non-blocking. Raises TemporaryError while nobody listens there. Never
            waits.
        resized: To be called when the device has another shape: core passes it to what lies above,
            and the front end tells its initiators. The block size stays. A device on the simple
            level calls it from its own thread.
        tracer: Where a part leaves stamps on requests that it was slow with, beside those that core
            leaves for the whole of it.
        logger: Writes to this process's log, as JSON lines that name this part; on any thread. Not
            per I/O.

    Thread: data thread.
    Blocking: no.
    Failure: `find_service` raises a TemporaryError, or a UsageError for what can't be a name,
        `member_address` a FormatError, `publish` a TypeError for what is no status, `stage` a
        ValueError for a name of more than 96 bytes and for one stage too many (32 in a process);
        the others raise nothing.
    Since: contract 2.
    """

    volume: LocalVolume
    options: Any
    reactor: Reactor
    members: tuple[MemberSpec, ...]
    boot_id: str
    stage: Callable[[str], Stage]
    emit: Callable[[Event], None]
    member_address: Callable[[str], str | None]
    fenced: Callable[[str], None]
    publish: Callable[[VolumeStatus], None] = _not_shown
    find_service: Callable[[str], socket.socket] = no_services
    resized: Callable[[Geometry], None] = _not_open
    tracer: Tracer = attrs.field(factory=Tracer)
    logger: logging.Logger = _LOGGER


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
        publish: Shows how this member is; as in OpenContext.
        store: The engine's store; None if it names none.
        store_options: The store's option instance.
        find_service: As in OpenContext.
        logger: As in OpenContext.

    Thread: data thread.
    Blocking: no.
    Failure: as of OpenContext; `announce` raises an OSError where its file can't be written.
    Since: contract 2.
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
    publish: Callable[[MemberStatus], None]
    store: StoreChoice | None
    store_options: Any
    find_service: Callable[[str], socket.socket] = no_services
    logger: logging.Logger = _LOGGER


class Member(Protocol):
    """A running member.

    Making:
        Blocking: yes, before it listens.
        Failure: the process ends, told by name, and is started again after growing pauses.
    Thread: data thread.
    Blocking: no.
    Failure: the process ends, told by name.
    Since: contract 2.
    """

    def close(self, closed: Callable[[], None]) -> None:
        """End orderly: stop listening, finish what is under way, close files; then `closed()`.

        Failure: one that is not done within `limits.stop_timeout_s` is killed.
        """
        ...


#: How a device reports that it has closed.
Closed = Callable[[Status], None]
