"""What extents are compared by."""

from __future__ import annotations

import hashlib

from tierce_jiva.digests import digest_state, zero_digest


def test_a_digest_is_128_bits_of_blake2b_however_the_bytes_come() -> None:
    state = digest_state()
    state.update(b"tie")
    state.update(b"rce")
    assert state.digest() == hashlib.blake2b(b"tierce", digest_size=16).digest()


def test_a_hole_digests_as_the_zeroes_that_it_reads_as() -> None:
    for length in (512, 1 << 20):
        state = digest_state()
        state.update(bytes(length))
        assert zero_digest(length) == state.digest()
    assert zero_digest(512) != zero_digest(1024)
