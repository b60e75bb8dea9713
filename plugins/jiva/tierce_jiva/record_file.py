"""A replica's record as it is kept, and where it lies unless its store keeps it: ``record.json``,
replaced without needing space.

Two files of one fixed length take turns. The new record is written over the spare
(``record.json.new``), synced, and the two exchange their names: a crash leaves the old or the new,
never a mixture, and a full disk keeps no replica from promising, voting or marking.

Format 2, sealed (`sealed.py`), blanks up to the fixed length:

============  ====================================================================================
field         contents
============  ====================================================================================
volume        uuid of the volume; with `replica`, what the folder must be
replica       name of the replica
promised      `[number, target]`: the highest ballot promised
accepted      the highest membership accepted
let_in_boot   boot id of the machine when it was last let in
marks         `{"region_bytes": n, "regions": hex}`: a bitmap, region 0 is bit 0 of byte 0
order         `[number, target, n]`: the last order about marks that was carried out
settled       the highest order known to be durable on every in-sync replica
suspect       a sync failed here
bids          ballots promised since the last membership was accepted
head          which file holds the bytes (`file_identity.py`)
============  ====================================================================================

Format 1 had one region as long as the volume, and none of `volume`, `replica`, `order`, `settled`
and `head`; it is read, and written anew as format 2.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce import SEALED_BYTES_MAX, FormatError, RecordPlace
from tierce_jiva.ballot import NO_ORDER, Ballot, Membership, Order, Record
from tierce_jiva.files import Files
from tierce_jiva.regions import Regions
from tierce_jiva.sealed import decode_sealed, encode_sealed, write_all

RECORD = "record.json"
SPARE = "record.json.new"
VERSION = 2
#: Both files are this long; a record of 4096 regions takes less than half.
RECORD_BYTES = 8192


def encode_record(record: Record, volume: str, replica: str, regions: Regions) -> bytes:
    """Return the file's contents.

    Args:
        record: The record.
        volume: The volume's uuid.
        replica: The replica's name.
        regions: The volume's division.
    """
    body = {
        "volume": volume,
        "replica": replica,
        "promised": record.promised.to_json(),
        "accepted": record.accepted.to_json(),
        "let_in_boot": record.let_in_boot,
        "marks": {"region_bytes": regions.region_bytes, "regions": regions.to_hex(record.marks)},
        "order": record.order.to_json(),
        "settled": record.settled.to_json(),
        "suspect": record.suspect,
        "bids": [bid.to_json() for bid in record.bids],
        "head": record.head,
    }
    return encode_sealed("record", VERSION, body).ljust(RECORD_BYTES)


def load_record(place: RecordPlace, path: Path) -> bytes:
    """Return what was kept last.

    Args:
        place: Where it is kept.
        path: What to name in errors.

    Raises:
        FormatError: Nothing is, or it can't be read.
        OSError: It can't be read now.
    """
    data = place.load()
    if data is None:
        raise FormatError("can't be read: there is no record", path=path)
    return data


def read_body(data: bytes, path: Path) -> tuple[int, dict[str, Any]]:
    """Return the format of what `encode_record` returned, and what it says.

    Raises:
        FormatError: It is damaged or of a newer format.
    """
    return decode_sealed(data.rstrip(b" "), "record", VERSION, path)


def decode_record(data: bytes, volume: str, replica: str, regions: Regions, path: Path) -> Record:
    """Read what `encode_record` returned, or a record of format 1.

    Raises:
        FormatError: It is something else, or another volume's or replica's; `path` is named.
    """
    version, body = read_body(data, path)
    try:
        owner = (volume, replica) if version == 1 else (str(body["volume"]), str(body["replica"]))
        if owner != (volume, replica):
            raise FormatError(
                f"is the record of replica {owner[1]!r} of volume {owner[0]}, the folder is that "
                f"of {replica!r} of {volume}: put the folder's own files back together",
                path=path,
            )
        return Record(
            promised=Ballot.from_json(body["promised"]),
            accepted=Membership.from_json(body["accepted"]),
            let_in_boot=str(body["let_in_boot"]),
            marks=_marks(version, body["marks"], regions),
            order=NO_ORDER if version == 1 else Order.from_json(body["order"]),
            settled=NO_ORDER if version == 1 else Order.from_json(body["settled"]),
            suspect=bool(body["suspect"]),
            bids=tuple(Ballot.from_json(bid) for bid in body.get("bids", ())),
            head="" if version == 1 else str(body["head"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"is not a record: {error}", path=path) from error


def _marks(version: int, value: Mapping[str, Any], regions: Regions) -> frozenset[int]:
    if version == 1:
        return regions.every() if value["regions"] else frozenset()
    if value["region_bytes"] != regions.region_bytes:
        raise ValueError(f"regions of {value['region_bytes']} bytes, not {regions.region_bytes}")
    return regions.from_hex(value["regions"])


class RecordFile(RecordPlace):
    """The record in its folder.

    Args:
        files: The file system.
        folder: Descriptor of the folder, which is the record's from now on: it stays with that
            folder, whatever the path leads to.
        path: Of the record, for errors.
    """

    def __init__(self, files: Files, folder: int, path: Path) -> None:
        self._files = files
        self._folder = folder
        self._path = path

    def load(self) -> bytes | None:
        """Return what was kept last; None if nothing was.

        Raises:
            FormatError: It can't be read.
        """
        try:
            descriptor = self._files.open_in(self._folder, RECORD, os.O_RDONLY)
            try:
                return os.pread(descriptor, SEALED_BYTES_MAX + 1, 0)
            finally:
                self._files.close(descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=self._path) from error

    def keep(self, data: bytes) -> None:
        """Replace it. On return it survives loss of power. Waits for the disk.

        Raises:
            OSError: The medium failed.
        """
        self._fill_spare(data)
        self._files.exchange_in(self._folder, SPARE, RECORD)
        self._files.sync_open_folder(self._folder)

    def remove(self) -> None:
        """Remove it; durable on return. The spare says nothing."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(RECORD, dir_fd=self._folder)
        self._files.sync_open_folder(self._folder)

    def close(self) -> None:
        """Let the folder go."""
        self._files.close(self._folder)

    def _fill_spare(self, data: bytes) -> None:
        spare = self._files.open_in(self._folder, SPARE, os.O_WRONLY | os.O_CREAT)
        try:
            write_all(self._files, spare, data)
            self._files.fsync(spare)
        finally:
            self._files.close(spare)


def open_record_file(folder: Path, files: Files) -> RecordFile:
    """Return the record of a folder, which need not hold one yet.

    Raises:
        OSError: The folder can't be opened.
    """
    descriptor = files.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return RecordFile(files, descriptor, folder / RECORD)
