"""Files in shared memory: one process writes them, others read them, and nobody waits."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def mapped_anew(path: Path, length: int) -> Iterator[mmap.mmap]:
    """Make a file anew and map it for writing: all zeroes, and nobody sees it before it was filled
    in. Who looks at the path has the old one or the new one, whole; who has the old one keeps it.

    Args:
        path: Where it lies in the end.
        length: Its length in bytes.

    Raises:
        OSError: There is no room for it, or no folder.
    """
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # Not sparse: on a full disk the first write into a hole would kill the process.
        os.posix_fallocate(descriptor, 0, length)
        mapping = mmap.mmap(descriptor, length)
    finally:
        os.close(descriptor)
    yield mapping
    fresh.replace(path)
