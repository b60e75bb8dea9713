"""What a block of the simulated volume holds: a version, told by its bytes."""

from __future__ import annotations

from functools import lru_cache

BLOCK = 4096


class ViolationError(AssertionError):
    """The promise, or a rule that it rests on, was broken."""


class OutsideError(Exception):
    """What has happened is outside the promise: nothing that follows can be judged."""


@lru_cache(maxsize=256)
def content(version: int) -> bytes:
    """Return what a block of that version holds."""
    return version.to_bytes(8, "little") * (BLOCK // 8)


ZEROES = content(0)


def version_of(part: bytes) -> int | None:
    """Return the version that a block's bytes are, or None if they are none."""
    version = int.from_bytes(part[:8], "little")
    return version if part == content(version) else None


def versions_of(data: bytes) -> list[int]:
    """Return the versions of a run of blocks.

    Raises:
        ViolationError: One is a mixture.
    """
    found = []
    for at in range(0, len(data), BLOCK):
        part = data[at : at + BLOCK]
        version = 0 if part == ZEROES else version_of(part)
        if version is None:
            raise ViolationError(f"a mixture where version {part[:8].hex()} begins")
        found.append(version)
    return found
