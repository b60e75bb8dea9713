"""The judge: what each sector of a volume may hold, as a register of versions.

Every write is stamped: each 512-byte sector carries (volume, sector, version), so that any sector
says which write it is of. A sector's versions are in one order, as one write at a time is in flight
on it. Of these versions some are *alive*: a read may show them. A version dies once a newer one is
established, by its acknowledgement or by a read that showed it; and every other dies when a read
shows a version while no write is in flight: what was never acknowledged and was seen to be absent
must not appear later. A read that began after a version died must not return it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import attrs

SECTOR = 512
BLOCK = 4096
_STAMP = struct.Struct("<QQQQ")
_REPEATS = SECTOR // _STAMP.size
#: The version of what was never written, and of what was discarded: it reads as zeroes.
_ZEROES = bytes(SECTOR)

Alive = tuple[int, ...]


def stamp(volume: int, sector: int, version: int) -> bytes:
    """Return the bytes of one sector; version 0 is what was never written."""
    if version == 0:
        return _ZEROES
    check = (volume ^ sector << 20 ^ version << 40 ^ 0x5A5A5A5A5A5A5A5A) & (1 << 64) - 1
    return _STAMP.pack(volume, sector, version, check) * _REPEATS


@attrs.frozen
class Reading:
    """A read that has begun.

    Attributes:
        sector: Where it begins.
        alive: What was alive in each of its sectors then.
        newest: Each sector's newest version then.
    """

    sector: int
    alive: Sequence[Alive]
    newest: Sequence[int]


@attrs.define
class Register:
    """The sectors of one volume.

    Attributes:
        volume: A number in every stamp.
        alive: For each sector the versions that a read may show, oldest first.
        erased: Those versions of a sector that are discards, where it has any.
    """

    volume: int
    alive: list[Alive]
    erased: dict[int, set[int]] = attrs.field(factory=dict)
    _last: dict[int, int] = attrs.field(factory=dict)
    _in_flight: set[int] = attrs.field(factory=set)

    @classmethod
    def of(cls, volume: int, size_bytes: int) -> Register:
        return cls(volume, [(0,)] * (size_bytes // SECTOR))

    def is_free(self, sector: int, count: int) -> bool:
        """Whether no write is in flight on any of these sectors."""
        return self._in_flight.isdisjoint(range(sector, sector + count))

    def submit(self, sector: int, count: int) -> bytes:
        """Begin a write; returns what to write."""
        return b"".join(
            stamp(self.volume, one, self._begin(one)) for one in range(sector, sector + count)
        )

    def submit_discard(self, sector: int, count: int) -> None:
        """Begin a discard: a version that reads as zeroes."""
        for one in range(sector, sector + count):
            self.erased.setdefault(one, set()).add(self._begin(one))

    def answered(self, sector: int, count: int, *, is_good: bool) -> None:
        """Note the answer to what is in flight there; one that was not GOOD promises nothing."""
        for one in range(sector, sector + count):
            self._in_flight.discard(one)
            if is_good:
                self.alive[one] = (self._last[one],)

    def forget_in_flight(self) -> None:
        """The session is gone and its successor is there: nothing of it can be done any more."""
        self._in_flight.clear()

    def begin_read(self, sector: int, count: int) -> Reading:
        newest = [self._last.get(one, 0) for one in range(sector, sector + count)]
        return Reading(sector, self.alive[sector : sector + count], newest)

    def finish_read(self, reading: Reading, data: bytes) -> list[str]:
        """Judge what a read returned; returns what is wrong, and holds the volume to the rest."""
        wrong = []
        starts = zip(reading.alive, reading.newest, strict=True)
        for sector, (before, newest) in enumerate(starts, reading.sector):
            at = (sector - reading.sector) * SECTOR
            piece = data[at : at + SECTOR]
            # Also what came and was overtaken while the read was on its way.
            since = range(newest + 1, self._last.get(sector, 0) + 1)
            possible = sorted({*before, *since})
            shown = [one for one in possible if self._is_version(sector, piece, one)]
            if not shown:
                wrong.append(self._difference(sector, piece, possible))
            elif self.alive[sector] == before:
                self._establish(sector, shown)
        return wrong

    def check(self, offset: int, data: bytes) -> list[str]:
        """Judge what lies at `offset` now."""
        sector = offset // SECTOR
        return self.finish_read(self.begin_read(sector, len(data) // SECTOR), data)

    def _begin(self, sector: int) -> int:
        assert sector not in self._in_flight
        self._in_flight.add(sector)
        version = self._last.get(sector, 0) + 1
        self._last[sector] = version
        self.alive[sector] += (version,)
        return version

    def _establish(self, sector: int, shown: Sequence[int]) -> None:
        """Let die what a read that nothing overtook has proved dead."""
        alive = self.alive[sector]
        if sector in self._in_flight:
            # The one in flight may come yet, and so it stays.
            newest = alive[-1]
            shown = (newest,) if newest in shown else (*shown, newest)
        if tuple(shown) != alive:
            self.alive[sector] = tuple(shown)

    def _is_version(self, sector: int, piece: bytes, version: int) -> bool:
        if version and version not in self.erased.get(sector, ()):
            return piece == stamp(self.volume, sector, version)
        return piece == _ZEROES

    def _difference(self, sector: int, piece: bytes, possible: Sequence[int]) -> str:
        return f"sector {sector} holds {self._name(sector, piece)}, not one of {possible}"

    def _name(self, sector: int, piece: bytes) -> str:
        """Say whose bytes these are."""
        if piece == _ZEROES:
            return "zeroes"
        volume, where, version, _check = _STAMP.unpack_from(piece)
        if version >> 40 or piece != stamp(volume, where, version):
            return f"bytes that nobody wrote, {piece[:16].hex()}..."
        if (volume, where) == (self.volume, sector):
            return f"version {version}"
        return f"version {version} of sector {where} of volume {volume}"
