"""Power is lost between any two system calls of a replica; what was promised must be there."""

from __future__ import annotations

from pathlib import Path
from random import Random

import attrs
import pytest

from jiva.recorded_files import SECTOR, RecordedFiles
from tierce import FormatError
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership, Record
from tierce_jiva.folder import Identity, ReplicaFolder
from tierce_jiva.making import create_folder
from tierce_jiva.store import HEAD, SparseFileStore

SIZE_BYTES = 32 << 10
BLOCK = 4096
MEMBERS = ("replica-1", "replica-2", "replica-3")
IDENTITY = Identity("demo", "00ff", "replica-1", MEMBERS, SIZE_BYTES, 512, 1.0)
FIRST = Record(NO_BALLOT, Membership(NO_BALLOT, 0, MEMBERS, MEMBERS), "boot")
#: Of what was not yet synced: nothing is left, all is, or some of it.
KEEPS = (0.0, 1.0, 0.5, 0.5, 0.2, 0.8)


def record(number: int, *, marked: bool = False) -> Record:
    ballot = Ballot(number, 7)
    marks = frozenset({0}) if marked else frozenset[int]()
    return Record(ballot, Membership(ballot, 1, MEMBERS, MEMBERS[:2]), "boot", marks=marks)


def work(files: RecordedFiles, path: Path) -> None:
    """What a replica does in its life: made, promises, marks, writes, discards, flushes."""
    create_folder(IDENTITY, path, "boot", files)
    files.note("created")
    folder = ReplicaFolder(path, files)
    store = SparseFileStore(path / HEAD, SIZE_BYTES, files)
    random = Random(5)
    try:
        for number in range(1, 6):
            for kept in (record(number), record(number, marked=True)):
                files.note("saving", kept)
                folder.save(kept)
                files.note("saved", kept)
            for version in range(3):
                offset = random.randrange(SIZE_BYTES // BLOCK - 1) * BLOCK
                store.write(offset, memoryview(bytes([number * 10 + version]) * 2 * BLOCK))
            if number % 2:
                store.discard(random.randrange(SIZE_BYTES // BLOCK) * BLOCK, BLOCK)
            files.note("flushing")
            store.flush()
            files.note("flushed")
    finally:
        store.close()
        folder.close()


@attrs.define
class Promised:
    """What must be found after a loss of power at one point.

    Attributes:
        is_created: The folder must be whole.
        records: The records that may be found.
        sectors: For each sector, the fill bytes that may be found.
    """

    is_created: bool = False
    records: list[Record] = attrs.field(factory=list)
    sectors: list[list[int]] = attrs.field(
        factory=lambda: [[0] for _ in range(SIZE_BYTES // SECTOR)]
    )


def promised_after(files: RecordedFiles, count: int) -> Promised:
    found = Promised()
    begun = [1] * len(found.sectors)
    for call, arguments in files.log[:count]:
        if call == "created":
            found.is_created = True
            found.records = [FIRST]
        elif call == "saving":
            found.records.append(arguments[0])
        elif call == "saved":
            found.records = [arguments[0]]
        elif call == "write" and arguments[0] == "head-000.img":
            for at in range(arguments[1], arguments[1] + len(arguments[2]), SECTOR):
                found.sectors[at // SECTOR].append(arguments[2][0])
        elif call == "flushing":
            begun = [len(values) for values in found.sectors]
        elif call == "flushed":
            found.sectors = [
                values[known - 1 :] for values, known in zip(found.sectors, begun, strict=True)
            ]
    return found


def judge(path: Path, promised: Promised) -> None:
    """Open with the real code, and compare."""
    try:
        folder = ReplicaFolder(path)
    except FormatError:
        assert not promised.is_created, "the folder can't be opened"
        return
    try:
        if not promised.is_created:
            return
        found = attrs.evolve(folder.record, head="")
        assert found in promised.records, "an older record than was promised"
        data = (path / HEAD).read_bytes()
        assert len(data) == SIZE_BYTES
        for number, values in enumerate(promised.sectors):
            sector = data[number * SECTOR : (number + 1) * SECTOR]
            assert sector == sector[:1] * SECTOR
            assert sector[0] in values, f"sector {number} is older than what was flushed"
    finally:
        folder.close()


def explore(tmp_path: Path, ignored: tuple[str, ...] = ()) -> int:
    """Lose power at every point, in several ways; return how many were tried."""
    files = RecordedFiles(ignored)
    work(files, tmp_path / files.folder_name)
    random = Random(1)
    tried = 0
    for count in range(1, len(files.log) + 1):
        promised = promised_after(files, count)
        for keep in KEEPS:
            path = tmp_path / f"left-{tried}"
            files.leave(count, path, keep, random)
            judge(path, promised)
            tried += 1
    return tried


def test_what_was_promised_survives_loss_of_power_at_every_point(tmp_path: Path) -> None:
    tried = explore(tmp_path)
    print(f"{tried} crash states explored")
    assert tried > 500


@pytest.mark.parametrize(
    ("call", "loss"),
    [
        ("fdatasync", "older than what was flushed"),
        ("fsync", "can't be opened"),
        ("sync_folder", "can't be opened|an older record"),
    ],
)
def test_leaving_a_sync_out_is_found_out(tmp_path: Path, call: str, loss: str) -> None:
    with pytest.raises(AssertionError, match=loss):
        explore(tmp_path, ignored=(call,))
