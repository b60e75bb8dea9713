"""Which parts of a file hold data."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from tierce import Extent


def find_extents(descriptor: int, offset: int, length: int) -> Iterator[Extent]:
    """Yield the runs of data and holes between `offset` and `offset + length`."""
    end = offset + length
    while offset < end:
        try:
            data = min(os.lseek(descriptor, offset, os.SEEK_DATA), end)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = end
        if data > offset:
            yield Extent(offset, data - offset, is_hole=True)
        if data < end:
            hole = min(os.lseek(descriptor, data, os.SEEK_HOLE), end)
            yield Extent(data, hole - data, is_hole=False)
            data = hole
        offset = data
