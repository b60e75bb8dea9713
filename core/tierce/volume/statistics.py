"""Counters of one data process in shared memory: written by it alone, read by anybody, at no cost
to it.

The page is a file, mapped by writer and readers; little-endian, native alignment:

===========  =======  ==============================================================================
offset       size     field
===========  =======  ==============================================================================
0            8        magic, ``TIERSTA5`` (the last digit is the version)
8            4        CRC32C of bytes 12 to 31 and 48 to 151
12           4        stages that fit (`STAGE_COUNT_MAX`)
16           4        operations per stage (`OP_COUNT`)
20           4        words per operation (`OP_WORDS`)
24           4        offset of the published JSON
28           4        bytes of the published area
32           8        sequence of the published JSON: odd while it is being written
40           8        its length in bytes
48           8        since when it counts, in nanoseconds since the epoch
56           8        when the process started that writes it, likewise
64           8        how many processes have added to these counters, this one too
72           40       whose they are: the volume's uuid, ASCII, zero-padded
112          40       the kernel's boot id, likewise
160          96 each  names of the stages, UTF-8, zero-padded; an empty one ends the list
4096         8 each   words, stage by stage (`counters`), then what only the root has
===========  =======  ==============================================================================

A word is written whole (8 aligned bytes), so that a reader never sees half of one; the words of a
stage may be a batch apart.

**When.** A page that was made with a clock is brought up to date `LATE_S` after something was
counted, or earlier: a reader is so far behind, and who is killed takes so much with it.

**Over restarts.** A process that starts goes on from the counters of the one before it, whether
that has ended in order or was killed: what it had stored in the mapping is there. So a counter
falls only where "since when it counts" is another time: on a new page, after a boot of the machine
(of a page that was never synced nobody knows what a loss of power has left), after an upgrade to
another version of the page, and where it holds a number that nothing can have counted. A volume
that was made anew under a name is another volume.

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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from crc32c import crc32c

from tierce.errors import FormatError
from tierce.stage import ROOT_STAGE
from tierce.volume.counters import (
    OP_COUNT,
    OP_WORDS,
    ROOT_WORDS,
    STAGE_WORDS,
    PageStage,
    RootStage,
    operations_of,
    parked_of,
    root_of,
    without_gauges,
)
from tierce.volume.cutting import encode_cut
from tierce.volume.mapped_file import mapped_anew

MAGIC = b"TIERSTA5"
STAGE_COUNT_MAX = 32
_NAME_BYTES = 96
_NAMES_AT = 160
_WORDS_AT = 4096
_ROOT_AT = STAGE_COUNT_MAX * STAGE_WORDS
_PUBLISHED_AT = _WORDS_AT + (_ROOT_AT + ROOT_WORDS) * 8
PUBLISHED_BYTES = 64 << 10
PAGE_BYTES = _PUBLISHED_AT + PUBLISHED_BYTES
_SHAPE_AT = 12
_SHAPE = struct.pack("<IIIII", STAGE_COUNT_MAX, OP_COUNT, OP_WORDS, _PUBLISHED_AT, PUBLISHED_BYTES)
#: Where the sequence and the length of the published JSON lie.
_SEQUENCE_AT = 32
_ORIGIN_AT = 48
_ORIGIN = struct.Struct("<QQQ40s40s")
_READ_TRIES_MAX = 1000
#: So long may what is counted be on its way to the page.
LATE_S = 0.1
#: Nothing that is counted comes so far; a word that is full would end the process that adds to it.
_COUNTED_MAX = 1 << 63
assert _SHAPE_AT + len(_SHAPE) <= _SEQUENCE_AT
assert _ORIGIN_AT + _ORIGIN.size <= _NAMES_AT
assert _NAMES_AT + STAGE_COUNT_MAX * _NAME_BYTES <= _WORDS_AT


Later = Callable[[float, Callable[[], None]], object]


@attrs.frozen
class Origin:
    """Whose counters they are, and since when.

    Attributes:
        owner: The volume's uuid.
        boot_id: Of the machine.
        start_ns: Since when they count, in ns since the epoch.
        started_ns: When the process started that writes them.
        starts: How many processes have added to them.
    """

    owner: str = ""
    boot_id: str = ""
    start_ns: int = 0
    started_ns: int = 0
    starts: int = 1

    def encode(self) -> bytes:
        """Return it as it lies in the page."""
        names = self.owner.encode()[:40], self.boot_id.encode()[:40]
        return _ORIGIN.pack(self.start_ns, self.started_ns, self.starts, *names)

    @classmethod
    def decode(cls, data: bytes) -> Origin:
        """Read it back.

        Raises:
            ValueError: It is not what a process writes.
        """
        start_ns, started_ns, starts, owner, boot_id = _ORIGIN.unpack(data)
        names = owner.rstrip(b"\0").decode("ascii"), boot_id.rstrip(b"\0").decode("ascii")
        return cls(*names, start_ns, started_ns, starts)


class StatisticsPage:
    """One process's page. `create` it to write, `open` it to read.

    Attributes:
        path: Where it lies.
        origin: Whose counters they are, and since when.
        begins_anew: Why it does not go on from what lay there before; empty if it does, or if
            there is nothing to say.
    """

    def __init__(self, mapping: mmap.mmap, path: Path, origin: Origin) -> None:
        self.path = path
        self.origin = origin
        self.begins_anew = ""
        self._mapping = mapping
        self._bytes = memoryview(mapping)
        self._words = self._bytes[_WORDS_AT:_PUBLISHED_AT].cast("Q")
        # Words too, not `struct`: that stores a number byte by byte, so that a reader could take
        # a sequence that never was.
        self._sequence = self._bytes[_SEQUENCE_AT : _SEQUENCE_AT + 16].cast("Q")
        self._stages: dict[str, PageStage] = {}
        #: Where each stage lies; the first ones are those of the process before.
        self._places: dict[str, int] = {}
        self._published: dict[str, Mapping[str, Any]] = {}
        self._later: Later | None = None
        #: It is going to be brought up to date.
        self._is_due = False
        self._is_closed = False

    @classmethod
    def create(
        cls, path: Path, owner: str = "", boot_id: str = "", later: Later | None = None
    ) -> StatisticsPage:
        """Make the page anew, with the counters of the one that lies there. A reader of that one
        keeps it.

        Args:
            path: Where it lies.
            owner: The volume's uuid: what another volume has counted is not its own.
            boot_id: Of the machine.
            later: A clock; None to have all that is counted there at once.
        """
        now = time.time_ns()
        origin = Origin(owner, boot_id, now, now)
        before, begins_anew = _predecessor(path, origin)
        if before is not None:
            old = before.origin
            origin = attrs.evolve(origin, start_ns=old.start_ns, starts=old.starts + 1)
        with mapped_anew(path, PAGE_BYTES) as mapping:
            page = cls(mapping, path, origin)
            page.begins_anew = begins_anew
            page._later = later
            if before is not None:
                page._go_on_from(before)
                before.close()
            encoded = origin.encode()
            mapping[_SHAPE_AT : _SHAPE_AT + len(_SHAPE)] = _SHAPE
            mapping[_ORIGIN_AT : _ORIGIN_AT + len(encoded)] = encoded
            mapping[8:12] = _checksum(encoded)
            mapping[0:8] = MAGIC
        return page

    @classmethod
    def open(cls, path: Path) -> StatisticsPage:
        """Map a page for reading.

        Raises:
            FormatError: It is missing, damaged, or no page of this version.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=path) from error
        try:
            is_whole = os.fstat(descriptor).st_size == PAGE_BYTES
            magic = os.pread(descriptor, len(MAGIC), 0)
            if magic != MAGIC:
                raise FormatError("is no statistics page of this version", path=path)
            if not is_whole:
                raise FormatError("is a damaged statistics page", path=path)
            mapping = mmap.mmap(descriptor, PAGE_BYTES, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        encoded = mapping[_ORIGIN_AT : _ORIGIN_AT + _ORIGIN.size]
        shape = mapping[_SHAPE_AT : _SHAPE_AT + len(_SHAPE)]
        if shape != _SHAPE or mapping[8:12] != _checksum(encoded):
            mapping.close()
            raise FormatError("is a damaged statistics page: its checksum is wrong", path=path)
        try:
            page = cls(mapping, path, Origin.decode(encoded))
            page._read_places()
        except ValueError as error:
            raise FormatError(f"is a damaged statistics page: {error}", path=path) from error
        return page

    def stage(self, name: str) -> PageStage:
        """Return the counters of the stage so named; the same name, the same counters.

        Raises:
            ValueError: The name is longer than 96 bytes, or there are too many stages.
        """
        found = self._stages.get(name)
        if found is not None:
            return found
        place = self._places[name] if name in self._places else self._make_place(name)
        words = self._words[place * STAGE_WORDS : (place + 1) * STAGE_WORDS]
        due = None if self._later is None else self._count_later
        more = self._words[_ROOT_AT : _ROOT_AT + ROOT_WORDS]
        is_root = name == ROOT_STAGE
        made = RootStage(words, due, more) if is_root else PageStage(words, due)
        self._stages[name] = made
        return made

    def publish(self, owner: str, shown: Mapping[str, Any]) -> None:
        """Show this to readers, in place of what the owner has shown before.

        What is too long is cut (see the module); after `close` nothing is shown any more.
        """
        if self._is_closed:
            return
        self._published[owner] = shown
        data = encode_cut(self._published, PUBLISHED_BYTES)
        self._sequence[0] += 1
        self._sequence[1] = len(data)
        self._bytes[_PUBLISHED_AT : _PUBLISHED_AT + len(data)] = data
        self._sequence[0] += 1

    def bring_up(self) -> bool:
        """Write down all that was counted. True if something is pending."""
        return sum(stage.bring_up() for stage in self._stages.values()) > 0

    def snapshot(self) -> dict[str, Any]:
        """Return what it says now; to its writer, all that was counted.

        {"stages": {stage: {operation: {...}}}, "parked": {stage: [count, since_ns]}, "published":
        {...}, what `root_of` returns, "owner": uuid, "start_ns": N, "started_ns": N, "starts": N}
        """
        self.bring_up()
        self._read_places()
        stages, parked = {}, {}
        for name, place in self._places.items():
            words = self._words[place * STAGE_WORDS : (place + 1) * STAGE_WORDS].tolist()
            stages[name] = operations_of(words)
            count, since_ns = parked_of(words)
            if count:
                parked[name] = [count, since_ns]
        return {
            "stages": stages,
            **root_of(self._words[_ROOT_AT : _ROOT_AT + ROOT_WORDS].tolist()),
            "parked": parked,
            "published": self._read_published(),
            "owner": self.origin.owner,
            "start_ns": self.origin.start_ns,
            "started_ns": self.origin.started_ns,
            "starts": self.origin.starts,
        }

    def close(self) -> None:
        """Unmap the page. Harmless twice."""
        if self._is_closed:
            return
        self.bring_up()
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

    def _count_later(self) -> None:
        if not self._is_due and self._later is not None:
            self._is_due = True
            self._later(LATE_S, self._count_now)

    def _count_now(self) -> None:
        self._is_due = False
        if self.bring_up() and not self._is_closed:
            self._count_later()

    def _go_on_from(self, before: StatisticsPage) -> None:
        """Take over the counters of the process before, whichever stages this one will have."""
        for name, place in before._places.items():
            at = place * STAGE_WORDS
            words = without_gauges(before._words[at : at + STAGE_WORDS].tolist())
            for index, word in enumerate(words):
                self._words[at + index] = word
            self._put_name(name, place)
        for index in range(_ROOT_AT, _ROOT_AT + ROOT_WORDS):
            self._words[index] = before._words[index]

    def _make_place(self, name: str) -> int:
        """Return a place for a stage that is new: a free one, or that of one which only a process
        before has had."""
        encoded = name.encode()
        if not encoded or len(encoded) > _NAME_BYTES:
            raise ValueError(f"no room for a stage {name!r}")
        place = len(self._places)
        if place == STAGE_COUNT_MAX:
            unused = next((old for old in self._places if old not in self._stages), None)
            if unused is None:
                raise ValueError(f"no room for a stage {name!r}")
            place = self._places.pop(unused)
            for index in range(place * STAGE_WORDS, (place + 1) * STAGE_WORDS):
                self._words[index] = 0
        self._put_name(name, place)
        return place

    def _put_name(self, name: str, place: int) -> None:
        at = _NAMES_AT + place * _NAME_BYTES
        self._bytes[at : at + _NAME_BYTES] = name.encode().ljust(_NAME_BYTES, b"\0")
        self._places[name] = place

    def _read_places(self) -> None:
        """Read which stages there are, and where.

        Raises:
            ValueError: What lies there is no name.
        """
        self._places = {}
        for place in range(STAGE_COUNT_MAX):
            at = _NAMES_AT + place * _NAME_BYTES
            name = bytes(self._bytes[at : at + _NAME_BYTES]).rstrip(b"\0").decode()
            if not name:
                break
            self._places[name] = place

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


def _checksum(origin: bytes) -> bytes:
    return struct.pack("<I", crc32c(_SHAPE + origin))


def _predecessor(path: Path, origin: Origin) -> tuple[StatisticsPage | None, str]:
    """Return the page of the process before, if its counters go on; else why they do not, where
    that is worth a word."""
    if not path.exists():
        return None, ""
    try:
        before = StatisticsPage.open(path)
    except FormatError as error:
        return None, str(error)
    begins_anew = ""
    if (before.origin.owner, before.origin.boot_id) == (origin.owner, origin.boot_id):
        if max(before._words[: _ROOT_AT + ROOT_WORDS]) < _COUNTED_MAX:
            return before, ""
        begins_anew = str(FormatError("is a damaged statistics page: a count is wrong", path=path))
    before.close()
    return None, begins_anew
