"""Counters of one data process in shared memory: written by it alone, read by anybody, at no cost
to it.

The page is a file, mapped by writer and readers; little-endian, native alignment:

===========  =======  ==============================================================================
offset       size     field
===========  =======  ==============================================================================
0            8        magic, ``TIERSTA3`` (the last digit is the version)
8            4        CRC32C of bytes 12 to 31
12           4        stages that fit (`STAGE_COUNT_MAX`)
16           4        operations per stage (`OP_COUNT`)
20           4        words per operation (`OP_WORDS`)
24           4        offset of the published JSON
28           4        bytes of the published area
32           8        sequence of the published JSON: odd while it is being written
40           8        its length in bytes
48           8        when the page was made, in nanoseconds since the epoch: since then it counts
64           96 each  names of the stages, UTF-8, zero-padded; an empty one ends the list
4096         8 each   words: stage by stage, operation by operation: count, bytes, failed,
                      nanoseconds, then 40 buckets: bucket b counts operations of 2^(b-1) to
                      2^b - 1 ns
===========  =======  ==============================================================================

A word is written whole (8 aligned bytes), so that a reader never sees half of one; the words of a
stage may be a batch apart.

What is published is a mapping for each of its owners (`tierce.statuses`), as JSON. It is as long as
whoever connects makes it, and the area is not: lists are cut where they don't fit, the longest
first, and ``KEY_left_out`` in the owner's mapping says how many of their items are missing.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crc32c import crc32c

from tierce.block.operation import Op
from tierce.errors import FormatError
from tierce.statuses import LEFT_OUT

MAGIC = b"TIERSTA3"
STAGE_COUNT_MAX = 24
OP_COUNT = len(Op)
BUCKET_COUNT = 40
#: Count, bytes, failed, nanoseconds: `PageStage.add` walks over them in this order.
_FIXED_WORDS = 4
OP_WORDS = _FIXED_WORDS + BUCKET_COUNT
_STAGE_WORDS = OP_COUNT * OP_WORDS
_NAME_BYTES = 96
_NAMES_AT = 64
_WORDS_AT = 4096
_PUBLISHED_AT = _WORDS_AT + STAGE_COUNT_MAX * _STAGE_WORDS * 8
PUBLISHED_BYTES = 64 << 10
PAGE_BYTES = _PUBLISHED_AT + PUBLISHED_BYTES
_HEADER = struct.Struct("<IIIII")
#: Where the sequence and the length of the published JSON lie.
_SEQUENCE_AT = 32
_MADE_AT = 48
_MADE = struct.Struct("<Q")
_READ_TRIES_MAX = 1000
#: What such a note takes beside the key's name, and what parts two items of a list.
_NOTE_BYTES, _COMMA_BYTES = 32, 2

assert _NAMES_AT + STAGE_COUNT_MAX * _NAME_BYTES <= _WORDS_AT


class PageStage:
    """One stage's counters: see `tierce.Stage`."""

    __slots__ = ("_kept", "_words")

    def __init__(self, words: memoryview) -> None:
        self._words = words
        #: The same numbers: to read them from here takes a third of reading the page.
        self._kept = words.tolist()

    def add(self, op: int, count: int, length: int, elapsed_ns: int) -> None:
        """Count `count` operations of kind `op`, `length` bytes in all, `elapsed_ns` each."""
        words, kept, at = self._words, self._kept, op * OP_WORDS
        words[at] = kept[at] = kept[at] + count
        at += 1
        words[at] = kept[at] = kept[at] + length
        at += 2
        words[at] = kept[at] = kept[at] + elapsed_ns * count
        bucket = elapsed_ns.bit_length()
        at += 1 + (bucket if bucket < BUCKET_COUNT else BUCKET_COUNT - 1)
        words[at] = kept[at] = kept[at] + count

    def fail(self, op: int, count: int = 1) -> None:
        """Count failed operations."""
        at = op * OP_WORDS + 2
        self._words[at] = self._kept[at] = self._kept[at] + count


class StatisticsPage:
    """One process's page. `create` it to write, `open` it to read."""

    def __init__(self, mapping: mmap.mmap, path: Path) -> None:
        self.path = path
        self._mapping = mapping
        self._bytes = memoryview(mapping)
        self._words = self._bytes[_WORDS_AT:_PUBLISHED_AT].cast("Q")
        # Words too, not `struct`: that stores a number byte by byte, so that a reader could take
        # a sequence that never was.
        self._sequence = self._bytes[_SEQUENCE_AT : _SEQUENCE_AT + 16].cast("Q")
        self._stages: dict[str, PageStage] = {}
        self._published: dict[str, Mapping[str, Any]] = {}
        self._is_closed = False

    @classmethod
    def create(cls, path: Path) -> StatisticsPage:
        """Make the page anew, all zeroes. A reader of the old one keeps the old one."""
        fresh = path.with_name(path.name + ".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # Not sparse: on a full disk the first count into a hole would kill the process.
            os.posix_fallocate(descriptor, 0, PAGE_BYTES)
            mapping = mmap.mmap(descriptor, PAGE_BYTES)
        finally:
            os.close(descriptor)
        page = cls(mapping, path)
        header = _HEADER.pack(STAGE_COUNT_MAX, OP_COUNT, OP_WORDS, _PUBLISHED_AT, PUBLISHED_BYTES)
        mapping[12 : 12 + len(header)] = header
        mapping[8:12] = struct.pack("<I", crc32c(header))
        mapping[_MADE_AT : _MADE_AT + _MADE.size] = _MADE.pack(time.time_ns())
        mapping[0:8] = MAGIC
        fresh.replace(path)
        return page

    @classmethod
    def open(cls, path: Path) -> StatisticsPage:
        """Map a page for reading.

        Raises:
            FormatError: It is missing, or no page of this version.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=path) from error
        try:
            if os.fstat(descriptor).st_size != PAGE_BYTES:
                raise FormatError("is no statistics page of this version", path=path)
            mapping = mmap.mmap(descriptor, PAGE_BYTES, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        header = mapping[12 : 12 + _HEADER.size]
        if mapping[0:8] != MAGIC or mapping[8:12] != struct.pack("<I", crc32c(header)):
            mapping.close()
            raise FormatError("is no statistics page of this version", path=path)
        return cls(mapping, path)

    def stage(self, name: str) -> PageStage:
        """Return the counters of the stage so named; the same name, the same counters.

        Raises:
            ValueError: The name is longer than 96 bytes, or there are too many stages.
        """
        found = self._stages.get(name)
        if found is not None:
            return found
        index, encoded = len(self._stages), name.encode()
        if not encoded or len(encoded) > _NAME_BYTES or index >= STAGE_COUNT_MAX:
            raise ValueError(f"no room for a stage {name!r}")
        first = index * _STAGE_WORDS
        stage = self._stages[name] = PageStage(self._words[first : first + _STAGE_WORDS])
        at = _NAMES_AT + index * _NAME_BYTES
        self._bytes[at : at + len(encoded)] = encoded
        return stage

    def publish(self, owner: str, shown: Mapping[str, Any]) -> None:
        """Show this to readers, in place of what the owner has shown before.

        What is too long is cut (see the module); after `close` nothing is shown any more.
        """
        if self._is_closed:
            return
        self._published[owner] = shown
        data = _encode_cut(self._published)
        self._sequence[0] += 1
        self._sequence[1] = len(data)
        self._bytes[_PUBLISHED_AT : _PUBLISHED_AT + len(data)] = data
        self._sequence[0] += 1

    def snapshot(self) -> dict[str, Any]:
        """Return {"stages": {stage: {operation: {...}}}, "published": {...}, "start_ns": N} as of
        now."""
        stages = {}
        for index in range(STAGE_COUNT_MAX):
            at = _NAMES_AT + index * _NAME_BYTES
            name = bytes(self._bytes[at : at + _NAME_BYTES]).rstrip(b"\0").decode()
            if not name:
                break
            stages[name] = self._stage_snapshot(index)
        (start_ns,) = _MADE.unpack_from(self._bytes, _MADE_AT)
        return {"stages": stages, "published": self._read_published(), "start_ns": start_ns}

    def close(self) -> None:
        """Unmap the page. Harmless twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stages.clear()
        self._words.release()
        self._sequence.release()
        self._bytes.release()
        # A stage that is still held keeps the mapping; it goes with the process.
        try:
            self._mapping.close()
        except BufferError:
            return

    def _stage_snapshot(self, index: int) -> dict[str, Any]:
        result = {}
        for op in Op:
            first = index * _STAGE_WORDS + op * OP_WORDS
            words = list(self._words[first : first + OP_WORDS])
            if words[0] or words[2]:
                buckets = words[_FIXED_WORDS:]
                result[op.name.lower()] = {
                    "count": words[0],
                    "bytes": words[1],
                    "failed": words[2],
                    "total_ns": words[3],
                    "p50_ns": quantile(buckets, 0.50),
                    "p99_ns": quantile(buckets, 0.99),
                    "buckets": buckets,
                }
        return result

    def _read_published(self) -> dict[str, Any]:
        for _ in range(_READ_TRIES_MAX):
            before, length = self._sequence[0], self._sequence[1]
            if before % 2 == 0 and length <= PUBLISHED_BYTES:
                data = bytes(self._bytes[_PUBLISHED_AT : _PUBLISHED_AT + length])
                if self._sequence[0] == before:
                    shown = json.loads(data) if data else {}
                    assert isinstance(shown, dict)
                    return shown
        return {}


def _encode_cut(published: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return JSON that fits the published area."""
    data = _encode(published)
    if len(data) <= PUBLISHED_BYTES:
        return data
    cut = {owner: dict(shown) for owner, shown in published.items()}
    while len(data) > PUBLISHED_BYTES:
        owner, longest = max(
            ((owner, key) for owner, shown in cut.items() for key in shown),
            key=lambda place: len(_encode(cut[place[0]][place[1]])),
        )
        shown, note = cut[owner], longest + LEFT_OUT
        value = shown[longest]
        kept = _first_of(value, len(data) - PUBLISHED_BYTES + len(note) + _NOTE_BYTES)
        if kept:
            shown[longest] = kept
        else:
            del shown[longest]
        whole = published[owner][longest]
        shown[note] = len(whole) - len(kept) if isinstance(value, list) else 1
        data = _encode(cut)
    return data


def _encode(value: object) -> bytes:
    # What is no JSON value in a plugin's details is shown as text.
    return json.dumps(value, default=str).encode()


def _first_of(value: object, excess: int) -> list[Any]:
    """Return so much of a list from its start that its JSON is shorter by `excess` bytes; nothing
    of what is no list."""
    items = list(value) if isinstance(value, list) else []
    while items and excess > 0:
        excess -= len(_encode(items.pop())) + _COMMA_BYTES
    return items


def quantile(buckets: list[int], share: float) -> int:
    """Return the upper bound in ns of the bucket in which the quantile lies; 0 if all are empty."""
    wanted = share * sum(buckets)
    seen = 0
    for bucket, count in enumerate(buckets):
        seen += count
        if count and seen >= wanted:
            return (1 << bucket) - 1
    return 0
