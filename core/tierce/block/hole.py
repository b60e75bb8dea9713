"""Holes in files: fallocate(2) with PUNCH_HOLE, which the standard library does not offer.

For engines and stores that keep bytes in sparse files.
"""

from __future__ import annotations

import ctypes
import os

from tierce.libc import libc

_KEEP_SIZE = 1
_PUNCH_HOLE = 2
#: What is punched to find out whether it can be; all of it past the file's end.
_PROBE_BYTES = 4096


def can_punch_hole(descriptor: int, end: int) -> bool:
    """True if the file system does it. Tried past the file's end, where there is nothing."""
    try:
        punch_hole(descriptor, end, _PROBE_BYTES)
    except OSError:
        return False
    return True


def punch_hole(descriptor: int, offset: int, length: int) -> None:
    """Make the extent a hole: it reads as zeroes and takes no space.

    Raises:
        OSError: The file system does not do it, or failed.
    """
    result = libc().fallocate(
        ctypes.c_int(descriptor),
        ctypes.c_int(_PUNCH_HOLE | _KEEP_SIZE),
        ctypes.c_int64(offset),
        ctypes.c_int64(length),
    )
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
