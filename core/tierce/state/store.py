"""The state of one data folder: an lmdb environment under DATA/state.

| database | key | value |
|---|---|---|
| meta | b"format" | the format's version, decimal |
| volumes | the volume's name | a VolumeRecord, checked JSON |
| events | sequence number, 8 bytes big-endian | {"time", "code", ...}, checked JSON |

Checked JSON is the CRC32C of the text in 8 hex digits, a space, and the text: lmdb has no checksums
of its own. Every change is one transaction, durable on return. The events are a ring: the oldest
go when there are more than the limit. What the state says can be made again from the folders of the
volumes (`tierce volume adopt`), but for the events.

Only the holder of the data folder's lock opens it: `StateStore` takes that for granted.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lmdb

from tierce.codec import from_json, to_json
from tierce.durable import make_folder, sync_folder
from tierce.errors import FormatError, ProtocolError, TemporaryError, UsageError
from tierce.spec import Event
from tierce.state.reading import (
    MAP_BYTES,
    SEQUENCE,
    WAY_BACK,
    check_whole,
    events_after,
    from_checked,
    last_event,
    to_checked,
)
from tierce.state.records import VolumeRecord

#: The version of the format described above. A newer one is refused.
FORMAT = 2

VOLUME_COUNT_MAX = 4096
#: A mapping of a volume with dozens of members stays far below.
RECORD_BYTES_MAX = 32 << 10
EVENT_BYTES_MAX = 2048
EVENT_COUNT_CEILING = 1_000_000
#: Events that one transaction drops at most: more than it ever brings.
EVENT_DROP_COUNT_MAX = 10_000
# lmdb keeps two versions of what a transaction changes, and pages are half full at worst.
assert 2 * (VOLUME_COUNT_MAX * RECORD_BYTES_MAX + EVENT_COUNT_CEILING * EVENT_BYTES_MAX) < MAP_BYTES


class StateStore:
    """The open state. Close it, or use it in a `with`.

    Args:
        folder: DATA/state; made if absent.
        event_count_max: How many events are kept.

    Raises:
        FormatError: The state is damaged, or was written by a newer version.
    """

    def __init__(self, folder: Path, *, event_count_max: int = 10_000) -> None:
        assert 0 < event_count_max <= EVENT_COUNT_CEILING
        self._folder = folder
        #: How many events are kept; what is above a new limit goes with the next that are recorded.
        self.event_count_max = event_count_max
        make_folder(folder)
        check_whole(folder)
        try:
            self._env = lmdb.open(str(folder), map_size=MAP_BYTES, max_dbs=3, mode=0o600)
        except lmdb.Error as error:
            raise FormatError(f"is damaged ({error}). {WAY_BACK}", path=folder) from error
        try:
            self._meta = self._env.open_db(b"meta")
            self._check_format()
            self._volumes = self._env.open_db(b"volumes")
            self._events = self._env.open_db(b"events")
            # lmdb syncs its file, not the folder that names it.
            sync_folder(folder)
        except BaseException:
            self._env.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; harmless twice."""
        self._env.close()

    # -- volumes -----------------------------------------------------------------------------------

    def volumes(self) -> dict[str, VolumeRecord]:
        """Return every record by name, in order of names."""
        with self._env.begin() as transaction:
            rows = [
                (key.decode(), bytes(value)) for key, value in transaction.cursor(self._volumes)
            ]
        return {name: self._parse(name, value) for name, value in rows}

    def volume(self, name: str) -> VolumeRecord | None:
        """Return the record of that name, None if there is none."""
        with self._env.begin() as transaction:
            value = transaction.get(name.encode(), db=self._volumes)
        return None if value is None else self._parse(name, bytes(value))

    def put_volume(self, record: VolumeRecord) -> None:
        """Keep the record in place of the one of its name; durable on return.

        Raises:
            UsageError: There is no room for another volume, or this one's options are too long.
        """
        value = to_checked(json.dumps(to_json(record), sort_keys=True).encode())
        if len(value) > RECORD_BYTES_MAX:
            raise UsageError(
                f"volume {record.name}: its options take {len(value)} bytes, "
                f"{RECORD_BYTES_MAX} are allowed"
            )
        key = record.name.encode()
        with self._write() as transaction:
            count = transaction.stat(self._volumes)["entries"]
            if count >= VOLUME_COUNT_MAX and transaction.get(key, db=self._volumes) is None:
                raise UsageError(f"{count} volumes exist already; {VOLUME_COUNT_MAX} are allowed")
            transaction.put(key, value, db=self._volumes)

    def drop_volume(self, name: str) -> None:
        """Forget the record of that name; harmless if there is none. Durable on return."""
        with self._write() as transaction:
            transaction.delete(name.encode(), db=self._volumes)

    # -- events ------------------------------------------------------------------------------------

    def record(
        self, events: Iterable[Event], *, now: float | None = None, skipped: int = 0
    ) -> None:
        """Append events in one transaction, and drop the oldest beyond the limit.

        Args:
            events: The events.
            now: Seconds since the epoch, for events that don't say when they happened; None for
                the clock's.
            skipped: So many before them could not be recorded: their numbers are left out, so that
                who reads by number knows how many are missing.
        """
        at = time.time() if now is None else now
        with self._write() as transaction:
            cursor = transaction.cursor(self._events)
            sequence = SEQUENCE.unpack(cursor.key())[0] if cursor.last() else 0
            sequence += skipped
            for event in events:
                sequence += 1
                transaction.put(SEQUENCE.pack(sequence), _encode(event, at), db=self._events)
            surplus = transaction.stat(self._events)["entries"] - self.event_count_max
            # Bounded, because the server waits: what a lower limit leaves over goes bit by bit.
            for _event in range(min(surplus, EVENT_DROP_COUNT_MAX)):
                cursor.first()
                cursor.delete()

    def events(self, count: int) -> list[dict[str, Any]]:
        """Return the last `count` events, the oldest first, each with its "time"."""
        found: list[dict[str, Any]] = []
        with self._env.begin() as transaction:
            cursor = transaction.cursor(self._events)
            is_there = cursor.last()
            while is_there and len(found) < count:
                with contextlib.suppress(ValueError):
                    # A damaged one is left out: events are told, not relied upon.
                    found.append(json.loads(from_checked(bytes(cursor.value()))))
                is_there = cursor.prev()
        found.reverse()
        return found

    def events_after(self, sequence: int, count: int) -> list[dict[str, Any]]:
        """Return the first `count` events after that number, each with its "sequence"."""
        with self._env.begin() as transaction:
            return events_after(transaction.cursor(self._events), sequence, count)

    def last_event(self) -> int:
        """Return the number of the last event, 0 if there is none."""
        with self._env.begin() as transaction:
            return last_event(transaction.cursor(self._events))

    # -- inside ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _write(self) -> Iterator[Any]:
        """A transaction that is durable at its end.

        Raises:
            TemporaryError: It could not be written (a full disk); nothing of it is kept.
        """
        try:
            with self._env.begin(write=True) as transaction:
                yield transaction
        except lmdb.Error as error:
            raise TemporaryError(
                f"the state in {self._folder} can't be written: {error}"
            ) from error

    def _check_format(self) -> None:
        with self._write() as transaction:
            value = transaction.get(b"format", db=self._meta)
            if value is None:
                transaction.put(b"format", str(FORMAT).encode(), db=self._meta)
                return
        text = bytes(value).decode(errors="replace")
        if not text.isdigit():
            raise FormatError(f"its format version reads {text!r}", path=self._folder)
        if int(text) < FORMAT:
            raise FormatError(
                f"written in format {text} by an older Tierce; this one reads {FORMAT}. {WAY_BACK}",
                path=self._folder,
            )
        if int(text) > FORMAT:
            raise FormatError(
                f"written in format {text} by a newer Tierce; this one reads up to {FORMAT}. "
                "Use the newer one; nothing was changed",
                path=self._folder,
            )

    def _parse(self, name: str, value: bytes) -> VolumeRecord:
        try:
            record = from_json(VolumeRecord, json.loads(from_checked(value)))
        except (ValueError, ProtocolError) as error:
            raise FormatError(
                f"the record of volume {name} is damaged ({error}). {WAY_BACK}", path=self._folder
            ) from error
        if record.name != name:
            raise FormatError(f"the record of {name} is of {record.name}", path=self._folder)
        return record


def _encode(event: Event, at: float) -> bytes:
    """Return an event as JSON; one that is too long loses its fields, and if that is not enough the
    end of what it says."""
    at = event.time_ns / 1e9 if event.time_ns else at
    values: dict[str, Any] = {"time": round(at, 3), **to_json(event)}
    data = json.dumps(values).encode()
    said = {"message": event.message[: EVENT_BYTES_MAX // 12], "subject": event.subject[:256]}
    cuts: list[dict[str, Any]] = [{"fields": {}}, said]
    for shorter in cuts:
        if len(data) > EVENT_BYTES_MAX:
            values |= shorter
            data = json.dumps(values).encode()
    return to_checked(data)
