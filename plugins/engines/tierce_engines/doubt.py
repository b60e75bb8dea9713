"""What a failed flush has put in doubt, remembered on disk.

A kernel that could not write pages back says so once, at the next fdatasync, and forgets: the pages
are clean then, the disk has what it had before, and they may be dropped from memory any time. So
after a failed fdatasync nobody can tell what the disk holds of everything that was written since
the last one that succeeded began. With one copy there is nowhere to take it from again.

What is told, then, is the truth: these places are *in doubt*, no FLUSH is answered GOOD while they
are, and that is remembered over restarts and kill -9 until an operator accepts it. The note lies in
the volume's own folder. It has its full length from the beginning and is written in place, so that
it needs no space on a disk that is full.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from tierce import FormatError, replace_durably, seal, unseal, write_all

NAME = "doubt"
VERSION = 1
_FAMILY, _KIND = "tierce", "doubt"
#: The note's length. It holds a bit for each region, in hex.
NOTE_BYTES = 16 << 10
REGION_COUNT_MAX = 32 << 10
REGION_BYTES_MIN = 1 << 20
# Two hex digits hold eight regions; the rest of the note takes some hundred bytes.
assert REGION_COUNT_MAX // 4 + 4096 < NOTE_BYTES
#: Of what a kernel says, what is kept.
_WHY_LENGTH_MAX = 500
#: Places that are told one by one.
_TOLD_COUNT_MAX = 4


def region_shift(size_bytes: int) -> int:
    """Return the power of two that a region of a volume of this size has bytes."""
    shift = REGION_BYTES_MIN.bit_length() - 1
    while (size_bytes - 1) >> shift >= REGION_COUNT_MAX:
        shift += 1
    return shift


@attrs.frozen
class Doubt:
    """What is in doubt; nothing if there are no regions.

    Attributes:
        regions: Numbers of the regions.
        why: What failed.
        since: When, in seconds since the epoch.
        is_rewritten: They were written again, as they read, and that is durable: what is read
            there from now on stays, old or new.
        is_accepted: An operator has accepted it; flushes go on once it is rewritten.
    """

    regions: frozenset[int] = frozenset()
    why: str = ""
    since: float = 0.0
    is_rewritten: bool = False
    is_accepted: bool = False

    def __bool__(self) -> bool:
        """True if anything is in doubt."""
        return bool(self.regions)


SOUND = Doubt()


class DoubtNote:
    """The note of one volume. Everything waits for the disk.

    Args:
        folder: The volume's own folder.
        size_bytes: The volume's size.
    """

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.path = folder / NAME
        self.shift = region_shift(size_bytes)
        self.region_count = (size_bytes - 1 >> self.shift) + 1
        self._size_bytes = size_bytes

    def make(self) -> None:
        """Make the note of a volume in which nothing is in doubt; one that is there stays."""
        if not self.path.exists():
            replace_durably(self.path, self._encode(SOUND))

    def read(self) -> Doubt:
        """Return what is in doubt: everything, if the note can't be read."""
        try:
            _, body = unseal(self._load(), _FAMILY, _KIND, VERSION, path=self.path)
            bits = int.from_bytes(bytes.fromhex(body["regions"]), "little")
            return Doubt(
                frozenset(_ones(bits)),
                str(body["why"]),
                float(body["since"]),
                bool(body["is_rewritten"]),
                bool(body["is_accepted"]),
            )
        except (FormatError, KeyError, TypeError, ValueError) as error:
            why = f"the note of what is in doubt can't be read: {error}"
            return Doubt(self.every_region(), why, time.time())

    def save(self, doubt: Doubt) -> None:
        """Put this in place of what the note says.

        Raises:
            OSError: It is not durable; a process that is killed now leaves it all the same.
        """
        data = self._encode(doubt)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, data, 0)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def extent(self, region: int) -> tuple[int, int]:
        """Return offset and length of a region."""
        offset = region << self.shift
        return offset, min(1 << self.shift, self._size_bytes - offset)

    def describe(self, doubt: Doubt) -> str:
        """Say in sentences what is in doubt, and what became of it."""
        runs = list(_runs(doubt.regions))
        places = [self._describe_run(first, last) for first, last in runs[:_TOLD_COUNT_MAX]]
        if len(runs) > _TOLD_COUNT_MAX:
            places.append(f"{len(runs) - _TOLD_COUNT_MAX} other places")
        when = time.strftime("%F %T", time.gmtime(doubt.since))
        became = (
            "They were written again as they read, and stay like that"
            if doubt.is_rewritten
            else "They could not be written again yet, and may still change from newer to older"
        )
        return (
            f"{doubt.why} ({when}Z). What was written since the flush before may be lost, and "
            f"older bytes in its place: {'; '.join(places)}. {became}"
        )

    def every_region(self) -> frozenset[int]:
        """Return the numbers of all regions."""
        return frozenset(range(self.region_count))

    def _describe_run(self, first: int, last: int) -> str:
        offset = first << self.shift
        end = min((last + 1) << self.shift, self._size_bytes)
        return f"{end - offset} bytes at {offset}"

    def _load(self) -> bytes:
        try:
            return self.path.read_bytes().rstrip(b" ")
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=self.path) from error

    def _encode(self, doubt: Doubt) -> bytes:
        bits = sum(1 << region for region in doubt.regions)
        body = {
            "regions": bits.to_bytes((bits.bit_length() + 7) // 8, "little").hex(),
            "why": doubt.why[:_WHY_LENGTH_MAX],
            "since": doubt.since,
            "is_rewritten": doubt.is_rewritten,
            "is_accepted": doubt.is_accepted,
        }
        data = seal(_FAMILY, _KIND, VERSION, body)
        assert len(data) <= NOTE_BYTES
        return data.ljust(NOTE_BYTES, b" ")


def _ones(bits: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set."""
    for number, digit in enumerate(reversed(f"{bits:b}")):
        if digit == "1":
            yield number


def _runs(regions: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of neighbours."""
    first = last = -2
    for region in sorted(regions):
        if region != last + 1:
            if first >= 0:
                yield first, last
            first = region
        last = region
    if first >= 0:
        yield first, last
