"""What a replica does with the bytes of a frame: apply a batch, check and answer a read. Functions
of the frame and the store alone; whether the frame may be taken is `Replica`'s to decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crc32c import crc32c

from tierce import BatchEntry, Code, Op, ProtocolError, Status, UnreadableError
from tierce_jiva.ballot import Ballot
from tierce_jiva.frame_head import Stages
from tierce_jiva.replica_actions import Fetch, Store
from tierce_jiva.wire import ENTRY, Frame, Kind, encode

#: So many extents a message names.
_NAMED_COUNT = 8
_ZEROING = frozenset({int(Op.DISCARD), int(Op.WRITE_ZEROES)})
_CHANGES = _ZEROING | {int(Op.WRITE)}


def apply_batch(store: Store, frame: Frame, size_bytes: int) -> list[tuple[int, Code]]:
    """Apply a BATCH in order; an entry that fails does not keep the others from being tried.

    Returns:
        The index of each entry that failed, and what happened to it.

    Raises:
        ProtocolError: An entry is damaged, unknown or not in the volume; those before it are
            applied.
    """
    payload, position = frame.payload, 0
    write = store.write
    failures: list[tuple[int, Code]] = []
    index = -1
    for op, length, offset, check in ENTRY.iter_unpack(frame.table):
        index += 1
        if offset + length > size_bytes:
            raise ProtocolError(f"an entry reaches to byte {offset + length} of {size_bytes}")
        try:
            if op == Op.WRITE:
                data = payload[position : position + length]
                position += length
                if len(data) != length or crc32c(data) != check:
                    raise ProtocolError(f"the bytes for offset {offset} arrived damaged")
                write(offset, data)
            elif op in _ZEROING:
                store.discard(offset, length)
            else:
                raise ProtocolError(f"a batch holds operation {op}")
        except OSError as error:
            failures.append((index, Status.from_oserror(error, Code.WRITE_ERROR).code))
    return failures


def entries_of(frame: Frame, size_bytes: int) -> list[BatchEntry]:
    """Return what a BATCH is to change, in its order.

    Raises:
        ProtocolError: An entry is unknown or not in the volume.
    """
    entries = []
    for op, length, offset, _ in ENTRY.iter_unpack(frame.table):
        if op not in _CHANGES:
            raise ProtocolError(f"a batch holds operation {op}")
        if offset + length > size_bytes:
            raise ProtocolError(f"an entry reaches to byte {offset + length} of {size_bytes}")
        entries.append(BatchEntry(Op(op), offset, length))
    return entries


def refuse_batch(frame: Frame, error: OSError) -> list[tuple[int, Code]]:
    """Return the failure of every entry of a BATCH that can't be carried out."""
    code = Status.from_oserror(error, Code.WRITE_ERROR).code
    return [(index, code) for index in range(frame.count)]


def extents_of(frame: Frame, size_bytes: int) -> tuple[tuple[int, int], ...]:
    """Return the (offset, length) pairs of a READ, DIGEST or STATUS.

    Raises:
        ProtocolError: One is empty, or not in the volume.
    """
    extents = tuple((offset, length) for _, length, offset, _ in ENTRY.iter_unpack(frame.table))
    for offset, length in extents:
        if not length or offset + length > size_bytes:
            raise ProtocolError(f"extent {offset}+{length} is not in the volume")
    return extents


def unread_of(error: OSError, asked: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return which parts of what was asked for can't be read, if the store says so."""
    if not isinstance(error, UnreadableError):
        return []
    parts = []
    for offset, length in asked:
        for at, count in error.extents:
            first, end = max(at, offset), min(at + count, offset + length)
            if first < end:
                parts.append((first, end - first))
    return parts


def name_extents(extents: Sequence[tuple[int, int]]) -> str:
    """Return a few extents by name, and how many there are beside them."""
    named = ", ".join(f"{offset}+{length}" for offset, length in extents[:_NAMED_COUNT])
    more = len(extents) - _NAMED_COUNT
    return f"{named} and {more} more" if more > 0 else named


def encode_data(fetch: Fetch, promised: Ballot) -> bytes:
    """Return the DATA frame that answers a READ whose bytes are in `fetch.buffer`."""
    view, position, entries = memoryview(fetch.buffer), 0, []
    for offset, length in fetch.extents:
        check = crc32c(view[position : position + length])
        entries.append(ENTRY.pack(0, length, offset, check))
        position += length
    front = encode(
        Kind.DATA,
        fetch.sequence,
        promised,
        table=b"".join(entries),
        count=len(entries),
        payload_bytes=len(view),
    )
    if fetch.watched is not None:
        front = fetch.watched.tell(front, Stages.QUEUE_READ)
    return front + fetch.buffer
