"""A state that an earlier version wrote is read, and written back as it was."""

from __future__ import annotations

from pathlib import Path

import attrs
import lmdb

from tierce.config import volume_to_mapping
from tierce.inventory.engines import Engines
from tierce.process.paths import Paths
from tierce.registry import Registry
from tierce.state import Owner, Phase
from tierce.state.store import StateStore

#: What the first version of format 2 wrote: database, key (of events in hex) and value a line.
RECORDED = Path(__file__).with_name("format-2.txt")


def rows() -> list[tuple[bytes, bytes, bytes]]:
    found = []
    for line in RECORDED.read_text().splitlines():
        database, key, value = line.split(" ", 2)
        raw = bytes.fromhex(key) if database == "events" else key.encode()
        found.append((database.encode(), raw, value.encode()))
    return found


def restore(folder: Path) -> None:
    with lmdb.open(str(folder), max_dbs=3) as env:
        for database, key, value in rows():
            handle = env.open_db(database)
            with env.begin(write=True) as transaction:
                transaction.put(key, value, db=handle)


def read_volumes(folder: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(folder), max_dbs=3, readonly=True) as env:
        handle = env.open_db(b"volumes")
        with env.begin() as transaction:
            return {bytes(key): bytes(value) for key, value in transaction.cursor(handle)}


def test_its_records_are_read_and_written_back_byte_for_byte(tmp_path: Path) -> None:
    restore(tmp_path)
    before = read_volumes(tmp_path)
    with StateStore(tmp_path) as store:
        records = store.volumes()
        for record in records.values():
            store.put_volume(attrs.evolve(record))
    assert read_volumes(tmp_path) == before
    replicated, made = records["replicated"], records["made"]
    assert (replicated.owner, replicated.phase, replicated.created) == (
        *(Owner.FILE, Phase.READY),
        1764144000.125,
    )
    assert replicated.fenced == "a target of ballot 7 has it"
    assert (made.phase, made.without) == (Phase.DELETING, ("replica-3",))


def test_its_volumes_are_what_they_were(tmp_path: Path) -> None:
    restore(tmp_path / "state")
    engines = Engines(Paths(tmp_path))
    engines.use(Registry.load())
    with StateStore(tmp_path / "state") as store:
        records = store.volumes()
    assert sorted(records) == ["made", "raw", "replicated", "shared"]
    for record in records.values():
        assert volume_to_mapping(engines.parse(record)) == record.mapping


def test_its_events_are_told(tmp_path: Path) -> None:
    restore(tmp_path)
    with StateStore(tmp_path) as store:
        created, voted_out = store.events_after(0, 10)
    assert created["message"] == "volume raw was created, empty"
    assert (created["time"], created["sequence"]) == (1764144001.5, 1)
    assert voted_out["fields"] == {"epoch": 3, "in_sync": ["replica-1"]}
