"""The front of a frame: its header, and the extension that may follow it. Sans-I/O.

======  ====  =====================================================================
offset  size  field
======  ====  =====================================================================
0       4     magic, ``TJIV``
4       1     version, 1
5       1     kind (`tierce_jiva.wire.Kind`)
6       2     entries in the table
8       8     sequence: the sender's own number; an answer carries that of its question
16      8     ballot, number
24      8     ballot, target
32      4     bytes of extension, table and payload together
36      2     bytes of extension
38      2     flags; of a question: 1 *timed*
40      4     CRC32C of bytes 0 to 39, extension and table; of the payload too but for
              BATCH and DATA, whose payload is covered entry by entry
======  ====  =====================================================================

An extension tells what helps to see, and changes nothing of what is asked or answered. It is one
entry behind the other: kind u8, length u8 (of the whole entry), body. Who does not know a kind, or
a flag, skips it; so an older release skips them all.

====  ======  ==============================================================================
kind  length  body
====  ======  ==============================================================================
1     26      in a question of a sampled I/O: trace id 16, id of the span that asks 8
2     24      in the answer to a timed question: which two stages u16 (`Stages`), u32 0,
              how long each took in ns, u64 each
====  ======  ==============================================================================

Durations, no times of day: the clocks of two machines need not agree.
"""

from __future__ import annotations

import enum
import struct

import attrs
from crc32c import crc32c

from tierce import ProtocolError

MAGIC = b"TJIV"
VERSION = 1
HEAD = struct.Struct("<4sBBHQQQIHH")
CHECK = struct.Struct("<I")
HEADER_BYTES = HEAD.size + CHECK.size

_TIMED = 1
_ENTRY_FRONT = struct.Struct("<BB")
_TRACE = struct.Struct("<BB16s8s")
_DURATIONS = struct.Struct("<BBHIQQ")
_TRACE_KIND, _DURATIONS_KIND = 1, 2
#: More can't be told: two hundred years.
_NS_MAX = (1 << 63) - 1

assert HEADER_BYTES == 44
assert (_TRACE.size, _DURATIONS.size) == (26, 24)


class Stages(enum.IntEnum):
    """Which two stages, one after the other, a replica tells of."""

    QUEUE_APPLY = 0
    SYNC_WAIT_SYNC = 1
    QUEUE_READ = 2


@attrs.frozen
class Durations:
    """How long a replica had a frame.

    Attributes:
        stages: In which stages.
        first_ns: Of the first one.
        second_ns: Of the second one.
    """

    stages: Stages
    first_ns: int
    second_ns: int


@attrs.frozen
class Asking:
    """Whose question a frame is, of one I/O that is followed.

    Attributes:
        trace_id: The I/O's, 16 bytes.
        span_id: Of what the asker does there, 8 bytes.
    """

    trace_id: bytes
    span_id: bytes


@attrs.frozen
class Extension:
    """What a frame tells beside its question or its answer.

    Attributes:
        is_timed: How long it takes is to be told in the answer.
        asking: Whose question it is; None if nobody follows it.
        durations: How long the question took; None if that is not told.
    """

    is_timed: bool = False
    asking: Asking | None = None
    durations: Durations | None = None


def extended(front: bytes, extension: Extension) -> bytes:
    """Return a frame, or the front of one, with an extension.

    Args:
        front: Its header, and all else that its checksum covers.
        extension: What it is to tell.
    """
    *head, body, _, _ = HEAD.unpack_from(front)
    told, flags = _encode(extension), _TIMED * extension.is_timed
    begin = HEAD.pack(*head, body + len(told), len(told), flags)
    rest = front[HEADER_BYTES:]
    return b"".join((begin, CHECK.pack(crc32c(rest, crc32c(told, crc32c(begin)))), told, rest))


def _encode(extension: Extension) -> bytes:
    told = b""
    if extension.asking is not None:
        asking = extension.asking
        told += _TRACE.pack(_TRACE_KIND, _TRACE.size, asking.trace_id, asking.span_id)
    if extension.durations is not None:
        one = extension.durations
        first, second = min(one.first_ns, _NS_MAX), min(one.second_ns, _NS_MAX)
        told += _DURATIONS.pack(_DURATIONS_KIND, _DURATIONS.size, one.stages, 0, first, second)
    return told


def read_extension(data: memoryview, flags: int) -> Extension:
    """Return what an extension and the flags beside it say.

    Raises:
        ProtocolError: It is not what an extension is.
    """
    asking = durations = None
    at, end = 0, len(data)
    while at < end:
        if end - at < _ENTRY_FRONT.size:
            raise ProtocolError(f"an extension ends within an entry, at byte {at} of {end}")
        kind, length = _ENTRY_FRONT.unpack_from(data, at)
        if not _ENTRY_FRONT.size <= length <= end - at:
            raise ProtocolError(f"an entry of an extension has {length} bytes of {end - at}")
        if kind == _TRACE_KIND:
            _check_length(kind, length, _TRACE.size)
            asking = Asking(*_TRACE.unpack_from(data, at)[2:])
        elif kind == _DURATIONS_KIND:
            _check_length(kind, length, _DURATIONS.size)
            durations = _durations(*_DURATIONS.unpack_from(data, at)[2:])
        at += length
    return Extension(bool(flags & _TIMED), asking, durations)


def _check_length(kind: int, length: int, expected: int) -> None:
    if length != expected:
        raise ProtocolError(
            f"an entry of kind {kind} in an extension has {length} bytes, expected {expected}"
        )


def _durations(stages: int, _zero: int, first_ns: int, second_ns: int) -> Durations | None:
    """Return them; None of stages that a newer release has."""
    if stages not in _STAGES or max(first_ns, second_ns) > _NS_MAX:
        return None
    return Durations(_STAGES[stages], first_ns, second_ns)


_STAGES = {int(stages): stages for stages in Stages}


def what_is_foreign(magic: bytes, version: int, number: int) -> str:
    """Say what is wrong with a header that is none of this release's."""
    if magic != MAGIC:
        return f"not the replica protocol: it starts with {magic!r}, expected {MAGIC!r}"
    if version != VERSION:
        return f"replica protocol version {version}, this side speaks {VERSION}: upgrade the older"
    return f"a frame of unknown kind {number}"
