"""A service's place in the rings of traces: what it was given, what is next, what is lost.

Each target numbers what it writes down, over its restarts; so a place is a number for each volume,
kept in a file when the next ones are asked for. A ring that was made anew begins with number 0.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import attrs

from tierce.codec import from_json
from tierce.errors import FormatError
from tierce.process.paths import Paths, replace_file
from tierce.services import TraceRecord, Traces
from tierce.volume.trace_ring import SLOT_COUNT, TraceRing


@attrs.define
class _Place:
    """How far one ring was read: the next record, and how many had been left out by then."""

    number: int = 0
    left_out: int = 0


class TraceFollower:
    """Reads what targets write down, one after the other.

    Args:
        paths: Where the rings lie.
        kept: The file in which the places are kept.
        volume: The only volume that it sees; all if empty.
    """

    def __init__(self, paths: Paths, kept: Path, volume: str = "") -> None:
        self._paths = paths
        self._kept = kept
        self._volume = volume
        #: By volume; None before the first call of a new service.
        self._places = _read_places(kept)
        #: Those that lie in the file.
        self._kept_places = self._places

    def traces(self) -> Traces:
        """Return what was written down since the last call."""
        is_first = self._places is None
        before = self._places or {}
        if not is_first:
            self._keep()
        places: dict[str, _Place] = {}
        items: list[TraceRecord] = []
        lost = left_out = 0
        for path in sorted(self._paths.run.glob(f"{self._volume or '*'}.traces")):
            old = before.get(path.stem, _Place())
            try:
                ring = TraceRing.open(path)
            except FormatError:
                # It may be read the next time: what was given is not given again then.
                places[path.stem] = old
                continue
            with contextlib.closing(ring):
                place = places[path.stem] = _Place(ring.next_number, ring.left_out_count)
                if is_first:
                    continue
                if old.number > place.number:
                    old = _Place()
                found = _read(ring, path.stem, old.number, place.number)
                items += found
                lost += place.number - old.number - len(found)
                left_out += max(place.left_out - old.left_out, 0)
        self._places = places
        return Traces(tuple(items), lost, left_out)

    def _keep(self) -> None:
        if self._places == self._kept_places:
            return
        # On a full disk a service that starts again is given more of what it knows.
        with contextlib.suppress(OSError):
            values = {name: attrs.astuple(place) for name, place in (self._places or {}).items()}
            replace_file(self._kept, json.dumps(values).encode())
            self._kept_places = self._places


@attrs.frozen
class Kept:
    """What a ring has.

    Attributes:
        records: The I/Os, in order.
        following: The number of the next one.
        lost: How many of those that were asked for can't be had any more.
        left_out: How many were ever not written, since there were too many in a second.
    """

    records: tuple[TraceRecord, ...] = ()
    following: int = 0
    lost: int = 0
    left_out: int = 0


def kept_records(path: Path, first: int = 0) -> Kept:
    """Return what a volume's ring has from record `first` on; nothing if it can't be read.

    Args:
        path: The ring, VOLUME.traces.
        first: The number; of one that is beyond a ring that was made anew, all of that.
    """
    try:
        ring = TraceRing.open(path)
    except FormatError:
        return Kept()
    with contextlib.closing(ring):
        end = ring.next_number
        begin = first if first <= end else 0
        found = _read(ring, path.stem, begin, end)
        return Kept(tuple(found), end, end - begin - len(found), ring.left_out_count)


def _read(ring: TraceRing, volume: str, first: int, end: int) -> list[TraceRecord]:
    """Return what can still be had of the records from `first` on and before `end`."""
    numbers = range(max(first, end - SLOT_COUNT), end)
    found = [ring.read(number) for number in numbers]
    return [_record(volume, one) for one in found if one is not None]


def _record(volume: str, values: dict[str, Any]) -> TraceRecord:
    return from_json(TraceRecord, {"volume": volume, **values})


def _read_places(path: Path) -> dict[str, _Place] | None:
    try:
        values = json.loads(path.read_bytes())
        return {str(name): _Place(*map(int, place)) for name, place in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
