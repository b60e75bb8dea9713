"""What extents are compared by: 16 bytes of BLAKE2b."""

from __future__ import annotations

import functools
import hashlib

from tierce_jiva.wire import DIGEST_BYTES


def digest_state() -> hashlib.blake2b:
    """Return a digest to be updated."""
    return hashlib.blake2b(digest_size=DIGEST_BYTES)


@functools.lru_cache(maxsize=4)
def zero_digest(length: int) -> bytes:
    """Return the digest of that many zeroes: that of a hole."""
    state = digest_state()
    state.update(bytes(length))
    return state.digest()
