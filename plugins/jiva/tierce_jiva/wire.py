"""The protocol between target and replica: frames over TCP. Sans-I/O.

A frame is a header, an extension, a table of entries and a payload; little-endian. The first two
are told in `frame_head`.

An entry of BATCH, READ, DATA, DIGEST, STATUS and EXTENTS:

======  ====  =====================================================================
0       1     operation (`tierce.Op`); in DATA: 0, or a code of `FAILURES`; in EXTENTS: 1
              for a hole, 0 for data
1       3     0
4       4     length in bytes
8       8     offset in bytes
16      4     CRC32C of the entry's payload: WRITE in BATCH, all of DATA
20      4     0
======  ====  =====================================================================

An entry of ACK says which entry of the question failed and why (``index u32, code u32``); an ACK
without entries is full success. One that says that what was asked for can't be read may name which
parts of it in its payload (``offset u64, length u64`` each); without, all of it can't be.
An entry of DIGESTS is 16 bytes of BLAKE2b.

The target asks, the replica answers. CONTROL frames carry a JSON object: rare, and free to grow.
BATCH, FLUSH, READ, DIGEST and STATUS are taken only on the connection, and in the ballot, that the
replica has promised. BATCH entries are applied in the order in which they arrive; the ACK says
that all are applied, not that they are durable. FLUSH's ACK says that everything acknowledged
before FLUSH was sent is durable. STATUS has one entry, and is answered with the EXTENTS of that, in
order and without gaps; they may end before it does. It is asked of a replica whose WELCOME says
that it knows it: the process of an older release, which a new target may meet, would hang up.
"""

from __future__ import annotations

import enum
import json
import mmap
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from crc32c import crc32c

from tierce import EXTENT_COUNT_MAX, Code, Extent, ProtocolError
from tierce_jiva.ballot import Ballot
from tierce_jiva.frame_head import (
    CHECK,
    HEAD,
    HEADER_BYTES,
    MAGIC,
    VERSION,
    Extension,
    read_extension,
    what_is_foreign,
)

ENTRY = struct.Struct("<BxxxIQIxxxx")
FAILURE = struct.Struct("<II")
UNREAD = struct.Struct("<QQ")
DIGEST_BYTES = 16

#: The largest frame body: a batch of `BATCH_BYTES_MAX` and its table fit in. Core splits what is
#: larger (`Geometry.io_bytes_max`).
BODY_BYTES_MAX = 12 << 20
#: The most entries in one frame.
ENTRY_COUNT_MAX = 4096
#: The largest payload that a sender puts into one BATCH or asks for in one READ.
BATCH_BYTES_MAX = 8 << 20
#: The most parts that one ACK names as unreadable: of what can't be read beyond, the next tells.
UNREAD_COUNT_MAX = 64
#: The longest extent that one STATUS asks about.
STATUS_BYTES_MAX = 1 << 30
#: A receive buffer holds the largest frame, and what has arrived of the next one.
RECEIVE_BYTES = 16 << 20
#: A remainder up to this size is moved to the buffer's start, which stays in the CPU's cache.
_MOVE_BYTES = 256 << 10

assert ENTRY.size == 24
# A full batch and its table must fit a body, and a frame the buffer, or a link would stand still.
assert BATCH_BYTES_MAX + ENTRY_COUNT_MAX * ENTRY.size < BODY_BYTES_MAX
assert BODY_BYTES_MAX + HEADER_BYTES < RECEIVE_BYTES
# What may be told of one request is told in one frame.
assert EXTENT_COUNT_MAX <= ENTRY_COUNT_MAX


class Kind(enum.IntEnum):
    """What a frame is."""

    CONTROL = 1
    BATCH = 2
    ACK = 3
    FLUSH = 4
    READ = 5
    DATA = 6
    DIGEST = 7
    DIGESTS = 8
    STATUS = 9
    EXTENTS = 10


_ENTRY_BYTES = {
    Kind.CONTROL: 0,
    Kind.BATCH: ENTRY.size,
    Kind.ACK: FAILURE.size,
    Kind.FLUSH: 0,
    Kind.READ: ENTRY.size,
    Kind.DATA: ENTRY.size,
    Kind.DIGEST: ENTRY.size,
    Kind.DIGESTS: DIGEST_BYTES,
    Kind.STATUS: ENTRY.size,
    Kind.EXTENTS: ENTRY.size,
}
#: What a replica knows to answer beside the questions of the first release, as its WELCOME says.
KNOWN = (Kind.STATUS.name,)
_NOTHING = memoryview(b"")
#: Bound here: a method of an imported name is made anew for each call, which costs 80 ns.
_pack_head, _unpack_head, _HEAD_BYTES = HEAD.pack, HEAD.unpack_from, HEAD.size
_pack_check, _unpack_check = CHECK.pack, CHECK.unpack_from
_KINDS = {int(kind): kind for kind in Kind}

#: The failures that a replica reports, by their number on the wire.
FAILURES: Mapping[int, Code] = {
    1: Code.WRITE_ERROR,
    2: Code.NO_SPACE,
    3: Code.READ_ERROR,
    4: Code.OUT_OF_RANGE,
}
FAILURE_NUMBERS: Mapping[Code, int] = {code: number for number, code in FAILURES.items()}


@attrs.define(eq=False)
class Frame:
    """One frame that has arrived. Its views are of the reader's buffer, and are good until the
    reader's next `space()`, which may move what lies there or hand it out anew.

    Attributes:
        kind: What it is.
        count: Entries in the table.
        sequence: The sender's number, or that of the question.
        ballot_number: Of the ballot it was sent in.
        ballot_target: Of the ballot it was sent in.
        table: The entries.
        payload: What follows them.
        extension: What it tells besides; None of most.
    """

    kind: Kind
    count: int
    sequence: int
    ballot_number: int
    ballot_target: int
    table: memoryview
    payload: memoryview
    extension: Extension | None = None

    @property
    def ballot(self) -> Ballot:
        """The ballot that it was sent in."""
        return Ballot(self.ballot_number, self.ballot_target)

    def control(self) -> dict[str, Any]:
        """Return the JSON object of a CONTROL frame.

        Raises:
            ProtocolError: The payload is no JSON object.
        """
        try:
            value = json.loads(bytes(self.payload))
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"a control frame holds no JSON: {error}") from error
        if not isinstance(value, dict):
            raise ProtocolError("a control frame holds JSON that is no object")
        return value


def encode(
    kind: Kind,
    sequence: int,
    ballot: Ballot,
    *,
    table: bytes | bytearray = b"",
    count: int = 0,
    payload: bytes = b"",
    payload_bytes: int = 0,
) -> bytes:
    """Return a frame, or the front of one.

    Args:
        kind: What it is.
        sequence: Its number.
        ballot: The ballot it is sent in.
        table: The entries, packed.
        count: How many there are.
        payload: The payload, for kinds whose checksum covers it.
        payload_bytes: BATCH and DATA: how many bytes of payload the caller sends right behind.
    """
    body = len(table) + len(payload) + payload_bytes
    head = _pack_head(
        MAGIC, VERSION, kind, count, sequence, ballot.number, ballot.target, body, 0, 0
    )
    check = crc32c(head)
    if table:
        check = crc32c(table, check)
    if payload:
        check = crc32c(payload, check)
    return b"".join((head, _pack_check(check), table, payload))


def encode_control(sequence: int, ballot: Ballot, message: Mapping[str, Any]) -> bytes:
    """Return a CONTROL frame."""
    return encode(Kind.CONTROL, sequence, ballot, payload=json.dumps(message).encode())


def encode_extents(
    kind: Kind, sequence: int, ballot: Ballot, extents: Iterable[tuple[int, int]]
) -> bytes:
    """Return a READ, DIGEST or STATUS frame for (offset, length) pairs."""
    entries = [ENTRY.pack(0, length, offset, 0) for offset, length in extents]
    return encode(kind, sequence, ballot, table=b"".join(entries), count=len(entries))


def check_data(frame: Frame, extents: Sequence[tuple[int, int]]) -> list[memoryview]:
    """Return the bytes of each extent in a DATA frame.

    Raises:
        ProtocolError: They are not those that were asked for, or arrived damaged.
    """
    if frame.count != len(extents):
        raise ProtocolError(f"{frame.count} extents arrived, {len(extents)} were asked for")
    position, found = 0, []
    for wanted, (_, length, offset, check) in zip(
        extents, ENTRY.iter_unpack(frame.table), strict=True
    ):
        data = frame.payload[position : position + length]
        if (offset, length) != wanted or len(data) != length:
            raise ProtocolError(f"extent {offset}+{length} arrived, another was asked for")
        if crc32c(data) != check:
            raise ProtocolError(f"the bytes at offset {offset} arrived damaged")
        found.append(data)
        position += length
    return found


def encode_found(sequence: int, ballot: Ballot, found: Sequence[Extent]) -> bytes:
    """Return an EXTENTS frame."""
    entries = [ENTRY.pack(extent.is_hole, extent.length, extent.offset, 0) for extent in found]
    return encode(Kind.EXTENTS, sequence, ballot, table=b"".join(entries), count=len(entries))


def check_found(frame: Frame, offset: int, length: int) -> tuple[Extent, ...]:
    """Return what an EXTENTS frame says of an extent; it may end before that does.

    Raises:
        ProtocolError: It is another frame, or its extents are not in order, without gaps, in the
            extent that was asked about, and at least one.
    """
    if frame.kind is not Kind.EXTENTS:
        raise ProtocolError(f"a STATUS was answered with {frame.kind.name}")
    if not 0 < frame.count <= EXTENT_COUNT_MAX:
        raise ProtocolError(f"{frame.count} extents arrived, allowed are 1 to {EXTENT_COUNT_MAX}")
    position, end, found = offset, offset + length, []
    for kind, part, at, _ in ENTRY.iter_unpack(frame.table):
        if at != position or not 0 < part <= end - at or kind > 1:
            raise ProtocolError(f"extent {at}+{part} of kind {kind} is not due at {position}")
        found.append(Extent(at, part, is_hole=kind == 1))
        position += part
    return tuple(found)


def encode_ack(sequence: int, ballot: Ballot, failures: Iterable[tuple[int, Code]] = ()) -> bytes:
    """Return an ACK; each failure is an entry's index and what happened to it."""
    entries = [FAILURE.pack(index, FAILURE_NUMBERS[code]) for index, code in failures]
    return encode(Kind.ACK, sequence, ballot, table=b"".join(entries), count=len(entries))


def encode_unread(sequence: int, ballot: Ballot, parts: Sequence[tuple[int, int]] = ()) -> bytes:
    """Return the ACK which says that these parts of what was asked for can't be read; without any:
    all of it."""
    table = FAILURE.pack(0, FAILURE_NUMBERS[Code.READ_ERROR])
    payload = b"".join(UNREAD.pack(*part) for part in parts[:UNREAD_COUNT_MAX])
    return encode(Kind.ACK, sequence, ballot, table=table, count=1, payload=payload)


def check_unread(frame: Frame, extents: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return which parts of these extents an ACK says can't be read; none: it does not say.

    Raises:
        ProtocolError: It names what was not asked for, or too much.
    """
    size = len(frame.payload)
    if size % UNREAD.size or size > UNREAD_COUNT_MAX * UNREAD.size:
        raise ProtocolError(f"an ACK names unreadable extents in {size} bytes")
    parts = [(offset, length) for offset, length in UNREAD.iter_unpack(frame.payload)]
    for part in parts:
        if not any(is_within(part, extent) for extent in extents):
            raise ProtocolError(f"extent {part[0]}+{part[1]} is unreadable, and was not asked for")
    return parts


def is_within(part: tuple[int, int], extent: tuple[int, int]) -> bool:
    """True if a part, which is not empty, lies in an extent."""
    at, offset = part[0], extent[0]
    return part[1] > 0 and offset <= at and at + part[1] <= offset + extent[1]


def decode_failures(frame: Frame) -> list[tuple[int, Code]]:
    """Return what an ACK says failed.

    Raises:
        ProtocolError: A code that this version does not know.
    """
    failures = []
    for index, number in FAILURE.iter_unpack(frame.table):
        if number not in FAILURES:
            raise ProtocolError(f"an ACK names failure {number}, which this version doesn't know")
        failures.append((index, FAILURES[number]))
    return failures


class FrameReader:
    """Bytes in, frames out, without copying a payload.

    The caller puts what arrives into `space()`, says how much with `received()`, and is done with
    the frames that it got before it asks for space again.

    Raises (from `received`):
        ProtocolError: Not our protocol, another version, a bound exceeded, a wrong checksum. The
            connection can't go on.
    """

    def __init__(self) -> None:
        # Anonymous memory costs nothing until it is touched.
        self._buffer = memoryview(mmap.mmap(-1, RECEIVE_BYTES))
        self._start = 0
        self._end = 0

    def space(self) -> memoryview:
        """Return where the next bytes go; never empty."""
        start, end = self._start, self._end
        rest = end - start
        if start and (rest <= _MOVE_BYTES or RECEIVE_BYTES - end < BODY_BYTES_MAX):
            self._buffer[:rest] = self._buffer[start:end]
            self._start, self._end = 0, rest
        return self._buffer[self._end :]

    def received(self, count: int) -> list[Frame]:
        """Take the `count` bytes that were put into `space()`; return the frames now whole."""
        self._end += count
        buffer, end, start = self._buffer, self._end, self._start
        frames = []
        while end - start >= HEADER_BYTES:
            magic, version, number, entries, sequence, ballot, target, body, size, flags = (
                _unpack_head(buffer, start)
            )
            table_at = start + HEADER_BYTES + size
            kind = _KINDS.get(number)
            if magic != MAGIC or version != VERSION or kind is None:
                raise ProtocolError(what_is_foreign(magic, version, number))
            payload_at = table_at + entries * _ENTRY_BYTES[kind]
            stop = start + HEADER_BYTES + body
            if body > BODY_BYTES_MAX or entries > ENTRY_COUNT_MAX or payload_at > stop:
                raise ProtocolError(
                    f"a frame of kind {kind.name} claims {body} bytes and {entries} entries, "
                    f"allowed are {BODY_BYTES_MAX} and {ENTRY_COUNT_MAX}"
                )
            if end < stop:
                break
            covered = payload_at if kind is Kind.BATCH or kind is Kind.DATA else stop
            check = crc32c(buffer[start : start + _HEAD_BYTES])
            if covered > start + HEADER_BYTES:
                check = crc32c(buffer[start + HEADER_BYTES : covered], check)
            if check != _unpack_check(buffer, start + _HEAD_BYTES)[0]:
                raise ProtocolError(f"a frame of kind {kind.name} has a wrong checksum")
            table, payload = _NOTHING, _NOTHING
            if body:
                table, payload = buffer[table_at:payload_at], buffer[payload_at:stop]
            frame = Frame(kind, entries, sequence, ballot, target, table, payload)
            if size or flags:
                frame.extension = read_extension(buffer[table_at - size : table_at], flags)
            frames.append(frame)
            start = stop
        self._start = start
        return frames
