"""I/Os that were written down one by one: a ring in shared memory, written by a target alone, read
by anybody, at no cost to it.

The ring is a file, mapped by writer and readers; little-endian:

=======  =======  ==================================================================================
offset   size     field
=======  =======  ==================================================================================
0        8        magic, ``TIERTRC1`` (the last digit is the version)
8        4        slots (`SLOT_COUNT`)
12       4        bytes of a slot (`SLOT_BYTES`)
16       8        the number of the next record
24       8        how many were left out, since there were too many in a second
64       80 each  names of 32 stages, UTF-8, zero-padded
2624     80 each  names of 32 members, likewise
8192     512 each slots; record n lies in slot n modulo their number
=======  =======  ==================================================================================

A slot:

=======  =======  ==================================================================================
0        8        sequence: 2n + 1 while record n is being written, then 2n + 2
8        4        CRC32C of byte 12 to the last entry: it proves a record whole
12       4        operation, flags (1 sampled, 2 slow, 4 failed), entries, code: a byte each
16       16, 8, 8 trace id, span id, parent's span id
48       8 each   start (ns since the epoch), ns, first byte
72       4, 2, 2  bytes, how many were answered with it, 0
80       8        0
88       12 each  entries: stage, member (255 for none), which it is of those of the same stage and
                  member (2 bytes), start and duration in 64 ns from the record's start
=======  =======  ==================================================================================

The writer overwrites the oldest and waits for nobody. A process that starts goes on in the ring of
the one before it, with the next number and the same names.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Any

from crc32c import crc32c

from tierce.block.operation import Op
from tierce.block.status import Code
from tierce.errors import FormatError
from tierce.tracing import NUMBER_COUNT, STAMP_COUNT_MAX, TracedIo, span_id_of
from tierce.volume.mapped_file import mapped_anew

MAGIC = b"TIERTRC1"
SLOT_COUNT, SLOT_BYTES = 256, 512
_NAME_COUNT, _NAME_BYTES = 32, 80
_STAGES_AT = 64
_MEMBERS_AT = _STAGES_AT + _NAME_COUNT * _NAME_BYTES
_SLOTS_AT = 8192
RING_BYTES = _SLOTS_AT + SLOT_COUNT * SLOT_BYTES
_SHAPE = struct.pack("<II", SLOT_COUNT, SLOT_BYTES)
#: Words of the header, by their index.
_NEXT, _LEFT_OUT = 2, 3
_FRONT = struct.Struct("<BBBB16s8s8sQQQIHHQ")
_ENTRY = struct.Struct("<BBHII")
_FRONT_AT, _ENTRIES_AT = 12, 88
_NO_MEMBER = 255
_TICK_NS = 64
_U32 = 0xFFFFFFFF
_SAMPLED, _SLOW, _FAILED = 1, 2, 4
_CODES = tuple(Code)
#: Nothing that is counted comes so far; a word that is full would end the process that adds to it.
_COUNTED_MAX = 1 << 62
#: A name that there is no room for.
_OTHER = "other"

assert _MEMBERS_AT + _NAME_COUNT * _NAME_BYTES <= _SLOTS_AT
assert _FRONT_AT + _FRONT.size == _ENTRIES_AT
assert NUMBER_COUNT <= 1 << 16
assert _ENTRIES_AT + STAMP_COUNT_MAX * _ENTRY.size <= SLOT_BYTES


class _Names:
    """A table of names in the header."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def read(self) -> list[str]:
        """Return them, the one of index 0 first."""
        found = []
        for index in range(_NAME_COUNT):
            at = index * _NAME_BYTES
            name = bytes(self._data[at : at + _NAME_BYTES]).rstrip(b"\0")
            if not name:
                break
            found.append(name.decode(errors="replace"))
        return found

    def write(self, index: int, name: str) -> None:
        """Put a name in its place."""
        at = index * _NAME_BYTES
        encoded = name.encode()[:_NAME_BYTES]
        self._data[at : at + _NAME_BYTES] = encoded.ljust(_NAME_BYTES, b"\0")

    def close(self) -> None:
        """Let it go."""
        self._data.release()


class TraceRing:
    """One target's ring. `create` it to write, `open` it to read."""

    def __init__(self, mapping: mmap.mmap) -> None:
        self._mapping = mapping
        self._bytes = memoryview(mapping)
        # Words, not `struct`: they are written whole.
        self._header = self._bytes[:_STAGES_AT].cast("Q")
        self._slots = self._bytes[_SLOTS_AT:].cast("Q")
        size = _NAME_COUNT * _NAME_BYTES
        self._stage_names = _Names(self._bytes[_STAGES_AT : _STAGES_AT + size])
        self._member_names = _Names(self._bytes[_MEMBERS_AT : _MEMBERS_AT + size])
        self._stages = {name: index for index, name in enumerate(self._stage_names.read())}
        self._members = {name: index for index, name in enumerate(self._member_names.read())}

    @classmethod
    def create(cls, path: Path) -> TraceRing:
        """Open the ring for writing, to go on where the process before has ended; made anew where
        there is none, or one that can't be read."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return cls._make(path)
        try:
            if _is_ring(descriptor):
                found = cls(mmap.mmap(descriptor, RING_BYTES))
                if max(found.next_number, found.left_out_count) < _COUNTED_MAX:
                    return found
                found.close()
        finally:
            os.close(descriptor)
        return cls._make(path)

    @classmethod
    def open(cls, path: Path) -> TraceRing:
        """Map a ring for reading.

        Raises:
            FormatError: It is missing, or no ring of this version.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=path) from error
        try:
            if not _is_ring(descriptor):
                raise FormatError("is no ring of traces of this version", path=path)
            return cls(mmap.mmap(descriptor, RING_BYTES, prot=mmap.PROT_READ))
        finally:
            os.close(descriptor)

    @classmethod
    def _make(cls, path: Path) -> TraceRing:
        with mapped_anew(path, RING_BYTES) as mapping:
            mapping[8:16] = _SHAPE
            mapping[0:8] = MAGIC
        return cls(mapping)

    @property
    def next_number(self) -> int:
        """The number that the next record will have."""
        return self._header[_NEXT]

    @property
    def left_out_count(self) -> int:
        """How many were not written."""
        return self._header[_LEFT_OUT]

    def leave_out(self, count: int) -> None:
        """So many more are not written."""
        self._header[_LEFT_OUT] += count

    def write(self, io: TracedIo) -> None:
        """Write one down, in place of the oldest."""
        number = self._header[_NEXT]
        body = self._encode(io)
        place = number % SLOT_COUNT
        word, at = place * SLOT_BYTES // 8, _SLOTS_AT + place * SLOT_BYTES
        self._slots[word] = 2 * number + 1
        self._bytes[at + 8 : at + 12] = struct.pack("<I", crc32c(body))
        self._bytes[at + _FRONT_AT : at + _FRONT_AT + len(body)] = body
        self._slots[word] = 2 * number + 2
        self._header[_NEXT] = number + 1

    def read(self, number: int) -> dict[str, Any] | None:
        """Return record `number`; None if it is overwritten, or was never finished."""
        place = number % SLOT_COUNT
        word, at = place * SLOT_BYTES // 8, _SLOTS_AT + place * SLOT_BYTES
        if self._slots[word] != 2 * number + 2:
            return None
        data = bytes(self._bytes[at : at + SLOT_BYTES])
        if self._slots[word] != 2 * number + 2:
            return None
        count = data[_FRONT_AT + 2]
        end = _ENTRIES_AT + count * _ENTRY.size
        if end > SLOT_BYTES or data[8:12] != struct.pack("<I", crc32c(data[_FRONT_AT:end])):
            return None
        return self._decode(data, count)

    def close(self) -> None:
        """Unmap it."""
        self._stage_names.close()
        self._member_names.close()
        for view in (self._header, self._slots, self._bytes):
            view.release()
        self._mapping.close()

    def _encode(self, io: TracedIo) -> bytes:
        entries = []
        for stage, member, start_ns, elapsed_ns, number in io.stamps[:STAMP_COUNT_MAX]:
            index = self._index(self._stages, self._stage_names, stage)
            whose = self._index(self._members, self._member_names, member) if member else _NO_MEMBER
            start, elapsed = min(start_ns // _TICK_NS, _U32), min(elapsed_ns // _TICK_NS, _U32)
            entries.append(_ENTRY.pack(index, whose, number, start, elapsed))
        flags = _SAMPLED * io.is_sampled | _SLOW * io.is_slow | _FAILED * (io.code is not Code.GOOD)
        front = _FRONT.pack(
            *(io.op, flags, len(entries), _CODES.index(io.code), io.trace_id, io.span_id, bytes(8)),
            *(io.start_ns, io.elapsed_ns, io.offset, min(io.length, _U32), min(io.batch, 0xFFFF)),
            *(0, 0),
        )
        return front + b"".join(entries)

    def _index(self, known: dict[str, int], names: _Names, name: str) -> int:
        found = known.get(name)
        if found is None:
            if len(known) >= _NAME_COUNT - 1 and name != _OTHER:
                return self._index(known, names, _OTHER)
            found = known[name] = len(known)
            names.write(found, name)
        return found

    def _decode(self, data: bytes, count: int) -> dict[str, Any]:
        front = _FRONT.unpack_from(data, _FRONT_AT)
        op, flags, _, code, trace_id, span_id, _ = front[:7]
        start_ns, elapsed_ns, offset, length, batch = front[7:12]
        stages, members = self._stage_names.read(), self._member_names.read()
        entries = []
        for index in range(count):
            at = _ENTRIES_AT + index * _ENTRY.size
            stage_index, member_index, number, start, elapsed = _ENTRY.unpack_from(data, at)
            stage = stages[stage_index] if stage_index < len(stages) else _OTHER
            member = members[member_index] if member_index < len(members) else ""
            entries.append(
                {
                    "stage": stage,
                    "member": member,
                    "start_ns": start * _TICK_NS,
                    "elapsed_ns": elapsed * _TICK_NS,
                    "number": number,
                    "span_id": span_id_of(span_id, stage, member, number).hex(),
                }
            )
        return {
            "operation": Op(op).name.lower(),
            "offset": offset,
            "length": length,
            "batch": batch,
            "code": _CODES[code].value,
            "start_ns": start_ns,
            "elapsed_ns": elapsed_ns,
            "is_sampled": bool(flags & _SAMPLED),
            "is_slow": bool(flags & _SLOW),
            "trace_id": trace_id.hex(),
            "span_id": span_id.hex(),
            "stages": entries,
        }


def _is_ring(descriptor: int) -> bool:
    if os.fstat(descriptor).st_size != RING_BYTES:
        return False
    return os.pread(descriptor, 16, 0) == MAGIC + _SHAPE
