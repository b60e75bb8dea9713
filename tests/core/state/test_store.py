"""The state's store."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import attrs
import lmdb
import pytest
from crc32c import crc32c

from recorded_disk import RecordedDisk
from tierce import Event, FormatError, TemporaryError, UsageError
from tierce.state import Owner, Phase, VolumeRecord
from tierce.state.check import check
from tierce.state.reading import MAP_BYTES
from tierce.state.store import FORMAT, RECORD_BYTES_MAX, StateStore

RECORD = VolumeRecord(
    name="demo",
    uuid="0" * 32,
    created=1.5,
    owner=Owner.FILE,
    phase=Phase.READY,
    mapping={"name": "demo", "size": 1 << 30},
    origin="tierce.yaml:3",
)
WRITE_THEN_DIE = """
import os, signal, sys
from pathlib import Path
from tierce.state import Owner, Phase, VolumeRecord
from tierce.state.store import StateStore
store = StateStore(Path(sys.argv[1]))
for index in range(5):
    store.put_volume(VolumeRecord(f"v{index}", "0" * 32, 0.0, Owner.STATE, Phase.READY, {}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_record_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    with StateStore(tmp_path / "state") as store:
        store.put_volume(RECORD)
        assert store.volume("demo") == RECORD
        assert store.volume("other") is None
    with StateStore(tmp_path / "state") as store:
        assert store.volumes() == {"demo": RECORD}


def test_a_record_replaces_the_one_of_its_name(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        store.put_volume(RECORD)
        fenced = attrs.evolve(RECORD, fenced="another has it")
        store.put_volume(fenced)
        assert store.volumes() == {"demo": fenced}


def test_a_dropped_record_is_gone_and_dropping_it_again_is_harmless(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        store.put_volume(RECORD)
        store.drop_volume("demo")
        store.drop_volume("demo")
        assert store.volumes() == {}


def test_a_record_that_is_too_long_is_refused(tmp_path: Path) -> None:
    long = attrs.evolve(RECORD, mapping={"x": "y" * RECORD_BYTES_MAX})
    with StateStore(tmp_path) as store, pytest.raises(UsageError, match="its options take"):
        store.put_volume(long)


def test_events_are_a_ring_of_bounded_length(tmp_path: Path) -> None:
    with StateStore(tmp_path, event_count_max=3) as store:
        store.record([Event(f"e{index}", "m", "s") for index in range(2)], now=1.0)
        store.record([Event(f"e{index}", "m", "s") for index in range(2, 5)], now=2.0)
        assert [event["code"] for event in store.events(10)] == ["e2", "e3", "e4"]
        assert [event["code"] for event in store.events(1)] == ["e4"]
        assert store.events(10)[0]["time"] == 2.0


def test_the_ring_goes_on_after_reopening(tmp_path: Path) -> None:
    for index in range(4):
        with StateStore(tmp_path, event_count_max=3) as store:
            store.record([Event(f"e{index}", "m", "s")])
    with StateStore(tmp_path) as store:
        assert [event["code"] for event in store.events(9)] == ["e1", "e2", "e3"]


def test_an_event_that_is_too_long_is_cut_not_lost(tmp_path: Path) -> None:
    event = Event("long", "\u20ac" * 10_000, "s" * 9000, fields={"x": "y" * 9000})
    with StateStore(tmp_path) as store:
        store.record([event])
        kept = store.events(1)[0]
    assert kept["code"] == "long"
    assert kept["message"].startswith("\u20ac")
    assert kept["fields"] == {}


def test_an_event_whose_fields_are_too_long_keeps_every_word_that_it_says(tmp_path: Path) -> None:
    event = Event("bug", "word " * 100, "volume/demo", fields={"traceback": "y" * 9000})
    with StateStore(tmp_path) as store:
        store.record([event])
        kept = store.events(1)[0]
    assert (kept["message"], kept["fields"]) == (event.message, {})


def test_a_write_that_fails_is_an_error_that_may_pass_and_keeps_nothing(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        store._env.set_mapsize(64 << 10)
        events = [Event("e", "m" * 100, "s")] * 2000
        with pytest.raises(TemporaryError, match="can't be written"):
            store.record(events)
        assert store.events(1) == []


def set_raw(folder: Path, database: bytes, key: bytes, value: bytes) -> None:
    with lmdb.open(str(folder), max_dbs=3) as env:
        handle = env.open_db(database)
        with env.begin(write=True) as transaction:
            transaction.put(key, value, db=handle)


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    StateStore(tmp_path).close()
    set_raw(tmp_path, b"meta", b"format", str(FORMAT + 1).encode())
    with pytest.raises(FormatError, match="written in format 3 by a newer Tierce"):
        StateStore(tmp_path)


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"\xff"])
def test_a_damaged_format_version_is_refused(tmp_path: Path, value: bytes) -> None:
    StateStore(tmp_path).close()
    set_raw(tmp_path, b"meta", b"format", value)
    with pytest.raises(FormatError, match="format version"):
        StateStore(tmp_path)


def test_an_older_format_is_refused_with_the_way_back(tmp_path: Path) -> None:
    StateStore(tmp_path).close()
    set_raw(tmp_path, b"meta", b"format", b"1")
    with pytest.raises(FormatError, match=r"written in format 1 by an older.*tierce volume adopt"):
        StateStore(tmp_path)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b'{"name": "demo"}'])
def test_a_damaged_record_names_itself_and_the_way_out(tmp_path: Path, value: bytes) -> None:
    StateStore(tmp_path).close()
    set_raw(tmp_path, b"volumes", b"demo", b"%08x " % crc32c(value) + value)
    with StateStore(tmp_path) as store, pytest.raises(FormatError, match="tierce volume adopt"):
        store.volumes()


#: As it was kept before volumes had labels, and while what is served had a folder among what it is.
BEFORE_LABELS = (
    b'{"created": 1764000000.5, "fenced": "", "mapping": {"block_size": 512, "engine": "file", '
    b'"filters": [], "frontend": "iscsi", "frontend_options": {}, "name": "demo", '
    b'"options": {"path": "/srv/demo.img"}, "size": 1048576}, "name": "demo", '
    b'"origin": "tierce volume create", "owner": "state", "phase": "ready", '
    b'"uuid": "0123456789abcdef0123456789abcdef", "without": []}'
)


def test_a_record_of_before_volumes_had_labels_is_read_and_kept_as_it_is(tmp_path: Path) -> None:
    StateStore(tmp_path).close()
    set_raw(tmp_path, b"volumes", b"demo", b"%08x " % crc32c(BEFORE_LABELS) + BEFORE_LABELS)
    with StateStore(tmp_path) as store:
        record = store.volume("demo")
        assert record is not None
        assert record.mapping["options"] == {"path": "/srv/demo.img"}
        store.put_volume(record)
    with lmdb.open(str(tmp_path), max_dbs=3) as env, env.begin() as transaction:
        kept = transaction.get(b"demo", db=env.open_db(b"volumes", transaction))
    assert kept is not None
    assert bytes(kept).partition(b" ")[2] == BEFORE_LABELS


def test_a_record_that_lost_a_bit_is_not_believed(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        store.put_volume(attrs.evolve(RECORD, phase=Phase.CREATING))
    data = bytearray((tmp_path / "data.mdb").read_bytes())
    at = data.rindex(b'"creating"')
    data[at + 1 : at + 9] = b"ready   "
    (tmp_path / "data.mdb").write_bytes(data)
    with StateStore(tmp_path) as store, pytest.raises(FormatError, match="its checksum does not"):
        store.volume("demo")


def test_a_damaged_event_is_left_out(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        store.record([Event("one", "m", "s"), Event("two", "m", "s")])
    data = (tmp_path / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(data.replace(b'"one"', b'"onx"'))
    with StateStore(tmp_path) as store:
        assert [event["code"] for event in store.events(9)] == ["two"]


def damaged(whole: bytes, damage: str) -> bytes:
    return {
        "something else": b"something else" * 1000,
        "cut to half": whole[: len(whole) // 2],
        "cut to its head": whole[:8192],
        "zeroed behind its head": whole[:8192] + bytes(len(whole) - 8192),
        "garbage behind its head": whole[:8192] + b"\xa5" * (len(whole) - 8192),
    }[damage]


@pytest.mark.parametrize(
    "damage",
    [
        "something else",
        "cut to half",
        "cut to its head",
        "zeroed behind its head",
        "garbage behind its head",
    ],
)
def test_a_damaged_file_is_one_error_with_the_way_back(tmp_path: Path, damage: str) -> None:
    with StateStore(tmp_path) as store:
        store.put_volume(RECORD)
        store.record([Event("e", "m" * 200, "s") for _ in range(200)])
    file = tmp_path / "data.mdb"
    file.write_bytes(damaged(file.read_bytes(), damage))
    with pytest.raises(FormatError, match=r"is damaged \(.*tierce volume adopt FOLDER"):
        StateStore(tmp_path)


def test_checking_changes_nothing(tmp_path: Path) -> None:
    with StateStore(tmp_path) as store:
        store.put_volume(RECORD)
    before = (tmp_path / "data.mdb").read_bytes()
    check(str(tmp_path), MAP_BYTES)
    assert (tmp_path / "data.mdb").read_bytes() == before


def test_the_folder_of_a_new_state_is_durable(tmp_path: Path) -> None:
    disk = RecordedDisk(tmp_path)
    with disk:
        StateStore(tmp_path / "deep" / "state").close()
    synced = [place for what, (place, *_rest) in disk.log if what == "sync"]
    # The parents name what was made; the state's own folder names lmdb's file.
    assert synced == [Path(), Path("deep"), Path("deep/state")]


@pytest.mark.system
def test_what_was_put_before_a_kill_is_there_afterwards(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITE_THEN_DIE, str(tmp_path)], check=False, timeout=30
    )
    assert done.returncode == -signal.SIGKILL
    with StateStore(tmp_path) as store:
        assert list(store.volumes()) == [f"v{index}" for index in range(5)]


def test_an_event_that_says_when_it_happened_is_recorded_with_that_time(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    late = Event("node.process.died", "died", "volume/a", time_ns=1_500_000_000)
    store.record([late, attrs.evolve(late, time_ns=0)], now=9.0)
    assert [one["time"] for one in store.events(2)] == [1.5, 9.0]
    store.close()
