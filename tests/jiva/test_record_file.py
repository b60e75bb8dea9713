"""Where a record lies: its format, and replacing it without space and without a moment between."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest
from crc32c import crc32c

from jiva.recorded_files import RecordedFiles
from tierce import FormatError
from tierce_jiva.ballot import NO_ORDER, Ballot, Membership, Order, Record
from tierce_jiva.files import OsFiles
from tierce_jiva.record_file import (
    RECORD,
    RECORD_BYTES,
    SPARE,
    RecordFile,
    decode_record,
    encode_record,
    load_record,
)
from tierce_jiva.regions import Regions

REGIONS = Regions(32 << 20)
BALLOT = Ballot((1 << 63) + 5, (1 << 64) - 1)
MEMBERS = tuple(f"replica-{number}" for number in range(1, 8))
RECORDS = [
    Record(
        BALLOT,
        Membership(BALLOT, number, MEMBERS, MEMBERS[:number]),
        "boot",
        marks=frozenset(range(number)),
        order=Order(BALLOT, number),
        settled=Order(BALLOT, number - 1),
        suspect=bool(number % 2),
        head="12:345.000000678",
        bids=(Ballot(number, 1), Ballot(number, 2)),
    )
    for number in range(1, 6)
]
WHERE = Path("record.json")


def encode(record: Record, regions: Regions = REGIONS) -> bytes:
    return encode_record(record, "00ff", "replica-1", regions)


def decode(data: bytes, regions: Regions = REGIONS) -> Record:
    return decode_record(data, "00ff", "replica-1", regions, WHERE)


def sealed(version: int, body: dict[str, Any], kind: str = "record") -> bytes:
    text = json.dumps(body).encode()
    return b"tierce-jiva %s %d %08x\n" % (kind.encode(), version, crc32c(text)) + text


def old_format(*, is_marked: bool) -> bytes:
    """Return a record of format 1: one region as long as the volume."""
    record = RECORDS[0]
    regions = [0] if is_marked else []
    return sealed(
        1,
        {
            "promised": record.promised.to_json(),
            "accepted": record.accepted.to_json(),
            "let_in_boot": "boot",
            "marks": {"region_bytes": 32 << 20, "regions": regions},
            "suspect": False,
        },
    )


# -- the format ------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: str(record.order.number))
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert decode(encode(record)) == record


def test_every_record_is_of_one_length_however_much_is_marked() -> None:
    large = Regions(16 << 40)
    everything = attrs.evolve(
        RECORDS[0], marks=large.every(), bids=tuple(Ballot(1 << 63, 1 << 63) for _ in range(32))
    )
    data = encode_record(everything, "f" * 32, "replica-1", large)
    assert len(data) == RECORD_BYTES == len(encode(RECORDS[0]))
    assert len(data.rstrip()) < RECORD_BYTES / 2
    assert decode_record(data, "f" * 32, "replica-1", large, WHERE) == everything


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_record_of_format_1_is_read_and_says_what_it_can_not_know(*, is_marked: bool) -> None:
    found = decode(old_format(is_marked=is_marked))
    assert found.promised == BALLOT
    assert found.accepted == RECORDS[0].accepted
    assert found.marks == (REGIONS.every() if is_marked else frozenset())
    assert (found.order, found.settled, found.head, found.bids) == (NO_ORDER, NO_ORDER, "", ())
    assert decode(encode(found)) == found


@pytest.mark.parametrize(("volume", "replica"), [("0000", "replica-1"), ("00ff", "replica-2")])
def test_the_record_of_another_folder_is_refused(volume: str, replica: str) -> None:
    with pytest.raises(FormatError, match="put the folder's own files back"):
        decode_record(encode(RECORDS[0]), volume, replica, REGIONS, WHERE)


def test_a_record_whose_regions_are_not_the_volumes_is_refused() -> None:
    other = Regions(64 << 30)
    assert other.region_bytes != REGIONS.region_bytes
    with pytest.raises(FormatError, match=r"record\.json.*regions of 16777216 bytes, not 4194304"):
        decode(encode(RECORDS[0], other))
    with pytest.raises(FormatError, match="region 4 is marked, there are 1"):
        decode(encode(RECORDS[-1]), Regions(4 << 20))


def test_a_newer_format_and_anything_else_is_refused() -> None:
    with pytest.raises(FormatError, match="upgrade Tierce"):
        decode(sealed(3, {}))
    with pytest.raises(FormatError, match="no record file"):
        decode(sealed(2, {}, kind="volume"))
    with pytest.raises(FormatError, match="is damaged"):
        decode(encode(RECORDS[0]).replace(b'"boot"', b'"root"'))


@pytest.mark.parametrize(
    "field", ["volume", "promised", "accepted", "let_in_boot", "marks", "order", "settled", "head"]
)
def test_what_lacks_a_field_is_no_record(field: str) -> None:
    _, _, text = encode(RECORDS[0]).rstrip().partition(b"\n")
    body = {name: value for name, value in json.loads(text).items() if name != field}
    with pytest.raises(FormatError, match=f"is not a record.*{field}"):
        decode(sealed(2, body))


# -- the file --------------------------------------------------------------------------------------


class FullFiles(OsFiles):
    """A disk on which nothing can grow any more, and nothing new can be made."""

    is_full = False

    def open_in(self, folder: int, name: str, flags: int) -> int:  # type: ignore[override]
        if self.is_full and flags & os.O_CREAT and name not in os.listdir(folder):
            raise OSError(errno.ENOSPC, "no space left")
        return OsFiles.open_in(folder, name, flags)

    def pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:  # type: ignore[override]
        if self.is_full and offset + len(data) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, "no space left")
        return os.pwrite(descriptor, data, offset)


class NoExchange(RecordedFiles):
    """A file system on which two files can't take each other's name."""

    def exchange_in(self, folder: int, first: str, second: str) -> None:  # type: ignore[override]
        self.note("rename", first, second)
        os.rename(first, second, src_dir_fd=folder, dst_dir_fd=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(file: RecordFile) -> Record:
    return decode(load_record(file, WHERE))


def begin_with(file: RecordFile, record: Record) -> None:
    """Keep the first one as a making does."""
    for _ in range(2):
        file.keep(encode(record))


def record_file(folder: int, files: OsFiles | None = None) -> RecordFile:
    return RecordFile(files or OsFiles(), folder, WHERE)


def test_what_was_written_last_is_read(folder: int, tmp_path: Path) -> None:
    file = record_file(folder)
    begin_with(file, RECORDS[0])
    for record in RECORDS:
        file.keep(encode(record))
        assert read(file) == record
    assert sorted(os.listdir(tmp_path)) == [RECORD, SPARE]
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {RECORD_BYTES}


def test_the_two_files_take_turns(folder: int, tmp_path: Path) -> None:
    file = record_file(folder)
    begin_with(file, RECORDS[0])
    inodes = []
    for record in RECORDS:
        file.keep(encode(record))
        inodes.append((tmp_path / RECORD).stat().st_ino)
    assert inodes[0::2] == [inodes[0]] * 3
    assert inodes[1::2] == [inodes[1]] * 2
    assert inodes[0] != inodes[1]


def test_a_record_is_replaced_though_the_disk_is_full(folder: int) -> None:
    files = FullFiles()
    file = record_file(folder, files)
    begin_with(file, RECORDS[0])
    files.is_full = True
    for record in RECORDS:
        file.keep(encode(record))
        assert read(file) == record


def test_where_names_can_not_be_exchanged_it_needs_space_and_is_replaced_all_the_same(
    tmp_path: Path,
) -> None:
    files = NoExchange()
    folder = files.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    file = record_file(folder, files)
    begin_with(file, RECORDS[0])
    for record in RECORDS:
        file.keep(encode(record))
        assert read(file) == record
        assert os.listdir(tmp_path) == [RECORD]
    files.close(folder)


def test_a_record_of_format_1_is_brought_forward_at_the_first_write(
    folder: int, tmp_path: Path
) -> None:
    (tmp_path / RECORD).write_bytes(old_format(is_marked=True))
    file = record_file(folder)
    found = read(file)
    file.keep(encode(found))
    assert (tmp_path / RECORD).read_bytes().startswith(b"tierce-jiva record 2 ")
    assert read(file) == found
    # The old file is the spare now, and is brought to full length by the next write.
    file.keep(encode(RECORDS[1]))
    assert read(file) == RECORDS[1]
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {RECORD_BYTES}


def test_a_removed_record_is_gone_before_its_bytes_go(folder: int, tmp_path: Path) -> None:
    class Noting(OsFiles):
        def sync_open_folder(self, folder: Any) -> None:
            synced.append((tmp_path / RECORD).exists())

    synced: list[bool] = []
    record_file(folder).keep(b"first")
    record_file(folder, Noting()).remove()
    assert synced == [False]


def test_a_missing_record_is_named(folder: int) -> None:
    with pytest.raises(FormatError, match=r"record\.json.*can't be read: there is no record"):
        load_record(record_file(folder), WHERE)


def test_the_record_stays_with_its_folder_whatever_the_path_leads_to(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    for path in (mine, other):
        path.mkdir()
    folder = os.open(mine, os.O_RDONLY | os.O_DIRECTORY)
    file = record_file(folder)
    begin_with(file, RECORDS[0])
    mine.rename(tmp_path / "moved")
    other.rename(mine)
    file.keep(encode(RECORDS[1]))
    assert list(mine.iterdir()) == []
    assert read(file) == RECORDS[1]
    os.close(folder)


def explore(tmp_path: Path, files: RecordedFiles, begin: Callable[[int, RecordFile], None]) -> int:
    """Lose power between any two calls: the record that is left is the last one that was written,
    or the one that was being written. Return how many states were tried."""
    place = tmp_path / files.folder_name
    place.mkdir()
    folder = files.open(place, os.O_RDONLY | os.O_DIRECTORY)
    file = record_file(folder, files)
    begin(folder, file)
    files.note("written", read(file))
    for record in RECORDS:
        files.note("writing", record)
        file.keep(encode(record))
        files.note("written", record)
    files.close(folder)
    random, tried, may_be = Random(3), 0, list[Record]()
    for count in range(1, len(files.log) + 1):
        call, arguments = files.log[count - 1]
        if call == "written":
            may_be = [arguments[0]]
        elif call == "writing":
            may_be = [*may_be, arguments[0]]
        for keep in (0.0, 1.0, 0.5, 0.5) if may_be else ():
            left = tmp_path / f"left-{tried}"
            files.leave(count, left, keep, random)
            assert decode((left / RECORD).read_bytes()) in may_be
            tried += 1
    return tried


def create(folder: int, file: RecordFile) -> None:
    assert folder >= 0
    begin_with(file, RECORDS[-1])


@pytest.mark.parametrize("kind", [RecordedFiles, NoExchange])
def test_a_loss_of_power_leaves_the_old_record_or_the_new_one(
    tmp_path: Path, kind: type[RecordedFiles]
) -> None:
    assert explore(tmp_path, kind(), create) > 100


@pytest.mark.parametrize("kind", [RecordedFiles, NoExchange])
def test_a_loss_of_power_while_format_1_is_brought_forward_leaves_a_record(
    tmp_path: Path, kind: type[RecordedFiles]
) -> None:
    files = kind()

    def begin(folder: int, _file: RecordFile) -> None:
        old = files.open_in(folder, RECORD, os.O_WRONLY | os.O_CREAT)
        files.pwrite(old, memoryview(old_format(is_marked=True)), 0)
        files.fsync(old)
        files.close(old)
        files.sync_open_folder(folder)

    assert explore(tmp_path, files, begin) > 100


@pytest.mark.parametrize("ignored", ["fsync", "sync_folder"])
def test_leaving_a_sync_out_is_found_out(tmp_path: Path, ignored: str) -> None:
    with pytest.raises((AssertionError, FormatError, FileNotFoundError)):
        explore(tmp_path, RecordedFiles((ignored,)), create)


class Library:
    """A C library whose renameat2 fails with an error."""

    def __init__(self, number: int) -> None:
        self._number = number

    def renameat2(self, *_arguments: Any) -> int:
        ctypes.set_errno(self._number)
        return -1


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, None])
def test_without_an_exchange_the_new_file_takes_the_name(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    library = object() if number is None else Library(number)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: library)
    (tmp_path / SPARE).write_bytes(b"new")
    (tmp_path / RECORD).write_bytes(b"old")
    OsFiles().exchange_in(folder, SPARE, RECORD)
    assert os.listdir(tmp_path) == [RECORD]
    assert (tmp_path / RECORD).read_bytes() == b"new"


def test_an_exchange_that_fails_for_another_reason_is_an_error(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(errno.EIO)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: library)
    (tmp_path / SPARE).touch()
    with pytest.raises(OSError, match="Input/output error"):
        OsFiles().exchange_in(folder, SPARE, RECORD)
    assert os.listdir(tmp_path) == [SPARE]


@pytest.mark.system
def test_on_a_full_file_system_a_record_is_replaced(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], check=True)
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        file = record_file(folder)
        begin_with(file, RECORDS[0])
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "filler").write_bytes(bytes(1 << 20))
        for record in RECORDS:
            file.keep(encode(record))
            assert read(file) == record
    finally:
        os.close(folder)
        subprocess.run(["umount", tmp_path], check=True)
