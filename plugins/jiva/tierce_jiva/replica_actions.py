"""What a replica asks of its surroundings: a store at hand, and actions for its shell."""

from __future__ import annotations

from typing import Protocol

import attrs

from tierce_jiva.ballot import Record
from tierce_jiva.frame_head import Asking
from tierce_jiva.watched import Watched


class Store(Protocol):
    """What a replica needs of its store on the data thread; every `tierce.Store` is one."""

    def check(self) -> None:
        """OSError if the bytes are not all there any more: a file that was cut short would be made
        longer again by the next write, and read as zeroes. Called once a batch."""
        ...

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`; OSError on failure."""
        ...

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes; OSError on failure."""
        ...

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        """Fill `buffer` if that does not wait; OSError on failure."""
        ...


@attrs.frozen
class Send:
    """Send these bytes on the connection."""

    connection: int
    data: bytes


@attrs.frozen
class Hangup:
    """Close the connection after what was sent."""

    connection: int
    reason: str


@attrs.frozen
class Pause:
    """Take nothing more from the connection: what has arrived there waits, where it lies."""

    connection: int


@attrs.frozen
class Resume:
    """Go on taking what comes on the connection: nothing waits there any more."""

    connection: int


@attrs.frozen
class Save:
    """Make the record durable, then call `saved()`."""

    record: Record


@attrs.frozen
class Sync:
    """Run the store's flush, then call `synced(error)`."""


@attrs.frozen
class Fetch:
    """Read the extents into `buffer`, one behind the other, then call `fetched`."""

    connection: int
    sequence: int
    extents: tuple[tuple[int, int], ...]
    buffer: bytearray
    watched: Watched | None = None


@attrs.frozen
class DigestExtents:
    """Digest each extent, then call `digested`."""

    connection: int
    sequence: int
    extents: tuple[tuple[int, int], ...]


@attrs.frozen
class FindExtents:
    """Find out which parts of the extent hold data, then call `found`."""

    connection: int
    sequence: int
    offset: int
    length: int


@attrs.frozen
class Reopen:
    """Run the store's `reopen`, then call `reopened`."""

    connection: int
    sequence: int


@attrs.frozen
class Report:
    """Tell operators; `asking` is whose frame it came of, if that is followed."""

    code: str
    message: str
    severity: str = "warning"
    asking: Asking | None = None


@attrs.frozen
class Log:
    """Write a line to the replica's log about a frame that is followed."""

    message: str
    asking: Asking


@attrs.frozen
class Stop:
    """The replica can't go on; its process ends and comes back with what was durable."""

    reason: str


Action = (
    Send
    | Hangup
    | Pause
    | Resume
    | Save
    | Sync
    | Fetch
    | DigestExtents
    | FindExtents
    | Reopen
    | Report
    | Log
    | Stop
)
