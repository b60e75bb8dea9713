"""Reading the state: what the store and a command without a server share."""

from __future__ import annotations

import contextlib
import json
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
from crc32c import crc32c

from tierce.errors import FormatError
from tierce.state import check

MAP_BYTES = 8 << 30
#: The key of an event: its number.
SEQUENCE = struct.Struct(">Q")
#: What an operator does when the state can't be read.
WAY_BACK = (
    "Nothing of the volumes is lost by that: move this folder away and run `tierce volume adopt "
    "FOLDER...` for each volume that keeps itself in folders; volumes of the config file that "
    "don't are made again when it is served"
)


def read_events(folder: Path, sequence: int, count: int) -> tuple[list[dict[str, Any]], int]:
    """Return the first `count` events after that number, each with its "sequence", and the number
    of the last one of all; while no server runs. Nothing is changed.

    Args:
        folder: DATA/state.
        sequence: The number.
        count: How many at most.

    Raises:
        FormatError: The state is damaged.
    """
    if not (folder / "data.mdb").exists():
        return [], 0
    check_whole(folder)
    try:
        # With its lock: a server that starts meanwhile writes beside this, and harms nobody.
        with (
            lmdb.open(str(folder), map_size=MAP_BYTES, max_dbs=3, readonly=True) as env,
            env.begin() as transaction,
        ):
            database = env.open_db(b"events", txn=transaction, create=False)
            cursor = transaction.cursor(database)
            return events_after(cursor, sequence, count), last_event(cursor)
    except lmdb.NotFoundError:
        # A first start was cut off before there was one.
        return [], 0
    except lmdb.Error as error:
        raise FormatError(f"can't be read ({error})", path=folder) from error


def events_after(cursor: lmdb.Cursor, sequence: int, count: int) -> list[dict[str, Any]]:
    """Return the first `count` events after that number, each with its "sequence"."""
    found: list[dict[str, Any]] = []
    is_there = cursor.set_range(SEQUENCE.pack(max(sequence, 0) + 1))
    while is_there and len(found) < count:
        with contextlib.suppress(ValueError):
            # A damaged one leaves a gap in the numbers.
            event = json.loads(from_checked(bytes(cursor.value())))
            found.append({**event, "sequence": SEQUENCE.unpack(cursor.key())[0]})
        is_there = cursor.next()
    return found


def last_event(cursor: lmdb.Cursor) -> int:
    """Return the number of the last event, 0 if there is none."""
    return int(SEQUENCE.unpack(cursor.key())[0]) if cursor.last() else 0


def check_whole(folder: Path) -> None:
    """Let another process read it all before this one maps it.

    Raises:
        FormatError: It did not come through.
    """
    data = folder / "data.mdb"
    if not data.exists() or not data.stat().st_size:
        return
    command = [sys.executable, "-P", check.__file__, str(folder), str(MAP_BYTES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        if done.returncode < 0:
            why = f"a process that reads it ends with {signal.Signals(-done.returncode).name}"
        else:
            why = (done.stdout if done.returncode == check.DAMAGED else done.stderr).strip()
        raise FormatError(f"is damaged ({why}). {WAY_BACK}", path=folder)


def to_checked(text: bytes) -> bytes:
    """Return a text as it is kept."""
    return b"%08x " % crc32c(text) + text


def from_checked(value: bytes) -> bytes:
    """Return the text in a checked value.

    Raises:
        ValueError: It is not what was kept.
    """
    checksum, _, text = value.partition(b" ")
    if checksum != b"%08x" % crc32c(text):
        raise ValueError("its checksum does not match")
    return text
