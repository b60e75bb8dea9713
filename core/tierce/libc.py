"""The C library, for the few calls that the standard library does not offer."""

from __future__ import annotations

import ctypes
import functools


@functools.cache
def libc() -> ctypes.CDLL:
    """Return the library of this process, which sets `ctypes.get_errno()`.

    Kept: to load it takes some 10 us, to find a function in it anew 3 more.
    """
    return ctypes.CDLL(None, use_errno=True)
