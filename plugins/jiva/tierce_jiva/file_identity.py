"""Which file it is, told apart from a copy of it: its inode number and the time of its birth.

A folder that was restored from a backup, or copied and put back, has files of its own. Both
numbers survive a move within the file system and a restart of the machine.
"""

from __future__ import annotations

import ctypes
import os
import struct

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_BYTES = 256
#: struct statx: the mask at 0, the birth time (seconds, nanoseconds) at 80.
_MASK = struct.Struct("<I")
_BIRTH = struct.Struct("<qI")
_BIRTH_AT = 80


def identity_of(descriptor: int) -> str:
    """Return `inode:birth`, or `inode:` where the file system keeps no time of birth."""
    return f"{os.fstat(descriptor).st_ino}:{_birth(descriptor)}"


def is_same(recorded: str, found: str) -> bool:
    """True unless the two are known to be different files. What was not recorded, or is not told
    by the file system any more, is no difference."""
    if not recorded or not found:
        return True
    inode, _, birth = recorded.partition(":")
    found_inode, _, found_birth = found.partition(":")
    return inode == found_inode and (not birth or not found_birth or birth == found_birth)


def _birth(descriptor: int) -> str:
    statx = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)
    if statx is None:
        return ""
    found = ctypes.create_string_buffer(_STATX_BYTES)
    if statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, found):
        return ""
    if not _MASK.unpack_from(found)[0] & _STATX_BTIME:
        return ""
    seconds, nanoseconds = _BIRTH.unpack_from(found, _BIRTH_AT)
    return f"{seconds}.{nanoseconds:09}"
