"""Locks on open files: one holder at a time, until it closes the file or dies.

They are flocks: who holds one is the open file, so a forked child holds it too, and the kernel lets
go of it when the last descriptor of that open file is closed.
"""

from __future__ import annotations

import errno
import fcntl

#: How a file system says that somebody else holds it: over NFS a lock is one of another kind.
_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EACCES})


def lock_file(descriptor: int, *, is_shared: bool = False) -> bool:
    """Lock an open file without waiting; False if another open file of it is locked.

    Args:
        descriptor: The open file; for writing, unless the lock is shared.
        is_shared: Any number may hold it so, and nobody beside them alone.

    Raises:
        OSError: The file system has no locks, or no more of them.
    """
    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True
