"""A filter on the simple level: one I/O at a time, on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from tierce.block.device import Capabilities, Geometry
from tierce.block.operation import Extent


class Below(Protocol):
    """What a filter on the simple level is put on. Its calls wait until they are answered.

    Thread: own thread, the filter's.
    Blocking: yes.
    Failure: it raises a `tierce.DeviceError`, which the filter passes on by not catching it; a
        ValueError for an extent that is not in the volume or not of whole blocks, and a
        RuntimeError on another thread, or while the filter is being made.
    Since: contract 2.
    """

    @property
    def geometry(self) -> Geometry:
        """Its shape."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it does."""
        ...

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        ...

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`. `data` is the caller's again on return."""
        ...

    def flush(self) -> None:
        """On return, every write that returned before survives loss of power."""
        ...

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes from now on, and give its space back if it can be."""
        ...

    def write_zeroes(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes from now on."""
        ...

    def extents(self, offset: int, length: int) -> Iterable[Extent]:
        """Tell which parts hold data, in order, without gaps; perhaps of a first part alone."""
        ...


class SimpleFilter:
    """What a filter on the simple level derives from: override what yours does, the rest is passed
    on. It is declared with `FilterDescription(concurrency=tierce.Concurrency.SERIAL)`, and has the
    shape of what lies below it.

    Each call is one I/O, and the next one comes when it has returned. Raise OSError or
    `tierce.DeviceError` on failure; return None, but for `extents`. Core closes what lies below.

    Args:
        context: What the filter is opened with: an `OpenContext` with the filter's own options.
        below: What it is put on. It can't be asked before the filter is made.

    Making:
        Thread: own thread.
        Blocking: yes, before anything is served.
        Failure: the volume is not served; the target is started again after growing pauses.
    Thread: own thread.
    Blocking: yes; the volume's I/O waits with it.
    Failure: the request is answered with an error; what is neither an OSError nor a DeviceError is
        the plugin's mistake, told by name and counted.
    Since: contract 2.
    """

    def __init__(self, context: Any, below: Below) -> None:
        self.context = context
        self.below = below

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes at `offset`."""
        self.below.read(offset, buffer)

    def write(self, offset: int, data: memoryview) -> None:
        """Store `data` at `offset`. It is the front end's: what it is to become is made elsewhere,
        and it is the front end's alone again on return."""
        self.below.write(offset, data)

    def flush(self) -> None:
        """On return, every write that returned before survives loss of power."""
        self.below.flush()

    def discard(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes from now on; asked for only where what is below can."""
        self.below.discard(offset, length)

    def write_zeroes(self, offset: int, length: int) -> None:
        """Make the extent read as zeroes from now on; asked for only where what is below can."""
        self.below.write_zeroes(offset, length)

    def extents(self, offset: int, length: int) -> Iterable[Extent]:
        """Tell which parts hold data; asked for only where what is below can."""
        return self.below.extents(offset, length)

    def close(self) -> None:
        """Let go of the filter's own things.

        Failure: it counts as closed, with an error that is told.
        """
