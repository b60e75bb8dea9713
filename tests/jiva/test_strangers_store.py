"""A store of a stranger's, which keeps its bytes in SQLite, under jiva's replicator."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest

import tierce
from jiva.device_site import SIZE, Site
from tierce import (
    BatchEntry,
    Code,
    ConflictError,
    Finding,
    FormatError,
    MemberLifecycle,
    Op,
    Request,
    StoreChoice,
    StoreContext,
    StoreOpenContext,
    UsageError,
)
from tierce.config import volume_from_mapping, volume_to_mapping
from tierce.errors import ConfigError
from tierce.registry import Registry
from tierce.registry.lifecycles import MistrustedLifecycle, lifecycle_of, store_of
from tierce_jiva.ballot import NO_BALLOT, Record
from tierce_jiva.device import JivaDevice, open_device
from tierce_jiva.folder import ReplicaFolder
from tierce_jiva.lifecycle import JivaLifecycle
from tierce_jiva.options import JivaOptions

SOURCE = Path(__file__).parents[1] / "strangers" / "store-sqlite" / "tierce_store_sqlite.py"


@pytest.fixture(scope="module")
def module() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("tierce_store_sqlite", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    yield found
    del sys.modules[spec.name]


@pytest.fixture
def registry(module: ModuleType) -> Registry:
    import tierce_iscsi.plugin  # noqa: PLC0415
    import tierce_jiva.plugin  # noqa: PLC0415

    return Registry.build(
        [
            ("jiva", tierce_jiva.plugin, ""),
            ("iscsi", tierce_iscsi.plugin, ""),
            ("sqlite", module, "tierce-store-sqlite"),
        ]
    )


@pytest.fixture
def site(tmp_path: Path, module: ModuleType) -> Iterator[Site]:
    choice = StoreChoice("sqlite", module.SqliteStore, module.SqliteOptions)
    site = Site(tmp_path, store=choice, store_options=module.SqliteOptions())
    yield site
    site.end()


def do(site: Site, device: JivaDevice, *requests: Request) -> None:
    device.submit(list(requests), lambda _settled: None)
    site.until(lambda: all(request.status is not None for request in requests))
    assert all(request.status and request.status.is_good for request in requests)


def read(site: Site, device: JivaDevice, offset: int, length: int) -> bytes:
    buffer = memoryview(bytearray(length))
    do(site, device, Request(Op.READ, offset, length, buffer))
    return bytes(buffer)


def stored(site: Site, name: str) -> bytes:
    """Return what a replica's database holds, asked of the store."""
    opened: Any = site.store.kind.open(context(site, name))
    buffer = memoryview(bytearray(SIZE))
    opened.read(0, buffer)
    opened.close()
    return bytes(buffer)


def context(site: Site, name: str) -> StoreOpenContext:
    return StoreOpenContext(
        options=site.volume.store_options,
        folder=site.members[name].folder,
        size_bytes=SIZE,
        block_size=512,
        uuid="00ff",
        member=name,
        reactor=site.reactor,
        stage=site.page.stage,
        emit=site.events.append,
    )


def test_what_is_acknowledged_is_read_back_rebuilt_and_kept(site: Site) -> None:
    device = open_device(site.context())
    do(site, device, Request(Op.WRITE, 8192, 4096, memoryview(b"A" * 4096)))
    assert read(site, device, 8192, 4096) == b"A" * 4096, "not zeroes of a file that nobody wrote"
    do(site, device, Request(Op.FLUSH))

    site.stop("replica-2")
    do(site, device, Request(Op.WRITE, 1 << 20, 4096, memoryview(b"B" * 4096)))
    do(site, device, Request(Op.DISCARD, 8192, 512))
    site.until(lambda: site.states().get("replica-2") == "down")
    site.start("replica-2")
    site.until(lambda: "jiva.replica.in-sync" in {event.code for event in site.events})
    assert read(site, device, 8192, 4096) == bytes(512) + b"A" * 3584

    closed: list[object] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))
    for name in list(site.processes):
        site.stop(name)
    expected = bytearray(SIZE)
    expected[8704:12288] = b"A" * 3584
    expected[1 << 20 : (1 << 20) + 4096] = b"B" * 4096
    assert {stored(site, name) for name in site.members} == {bytes(expected)}
    assert not list(site.members["replica-1"].folder.glob("*.img"))


def test_a_block_that_rots_is_named_and_just_that_is_written_anew(site: Site) -> None:
    device = open_device(site.context())
    do(site, device, Request(Op.WRITE, 0, 8192, memoryview(b"A" * 8192)), Request(Op.FLUSH))
    database = site.members["replica-1"].folder / "blocks.db"
    with contextlib.closing(sqlite3.connect(database)) as other, other:
        other.execute("UPDATE blocks SET bytes = zeroblob(512) WHERE number = 3")
    assert {read(site, device, 0, 8192) for _ in range(3)} == {b"A" * 8192}
    told = [event for event in site.events if event.code == "jiva.replica.read-failed"]
    assert {event.message for event in told} == {
        "replica-1 can't read 1536+512: its disk failed",
        "demo: replica-1: it can't read 1536+512",
    }
    with contextlib.closing(sqlite3.connect(database)) as other:

        def is_mended() -> bool:
            row = other.execute("SELECT bytes FROM blocks WHERE number = 3").fetchone()
            return bool(row == (b"A" * 512,))

        site.until(is_mended)
    assert "jiva.replica.voted-out" not in {event.code for event in site.events}
    closed: list[object] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))


def test_a_store_leases_space_before_writes_and_says_when_there_is_none(
    tmp_path: Path, module: ModuleType
) -> None:
    """A lease of 64 KiB is a row that a worker makes durable; each replica may have three."""

    class Leasing(module.SqliteStore):  # type: ignore[name-defined,misc]
        def __init__(self, context: StoreOpenContext) -> None:
            super().__init__(context)
            self._reactor = context.reactor
            self._leases: set[int] = set()
            self.waited = 0

        def admit(
            self, entries: Sequence[BatchEntry], ready: Callable[[OSError | None], None]
        ) -> bool:
            wanted = {entry.offset >> 16 for entry in entries if entry.op is Op.WRITE}
            missing = wanted - self._leases
            if not missing:
                return True
            if len(self._leases | missing) > 3:
                raise OSError(errno.ENOSPC, "no lease is left")
            self.waited += 1
            self._reactor.offload(self.flush, lambda _done, _error: self._leased(missing, ready))
            return False

        def _leased(self, leases: set[int], ready: Callable[[OSError | None], None]) -> None:
            self._leases |= leases
            ready(None)

        def write(self, offset: int, data: memoryview) -> None:
            assert offset >> 16 in self._leases, "nothing is written without a lease"
            super().write(offset, data)

    options = module.SqliteOptions()
    site = Site(tmp_path, store=StoreChoice("sqlite", Leasing), store_options=options)
    device = open_device(site.context())
    asked = [
        Request(Op.WRITE, at, 4096, memoryview(bytes([number]) * 4096))
        for number, at in enumerate([0, 1 << 16, 0, 2 << 16, 1 << 16, 0], start=1)
    ]
    for request in asked:
        device.submit([request], lambda _settled: None)
    do(site, device, Request(Op.FLUSH))
    site.until(lambda: all(request.status is not None for request in asked))
    assert all(request.status and request.status.is_good for request in asked)
    assert read(site, device, 0, 512)[:1] == b"\6", "overlapping writes stay in their order"
    assert {process._store.waited for process in site.processes.values()} == {3}  # type: ignore[attr-defined]
    full = Request(Op.WRITE, 3 << 16, 4096, memoryview(b"x" * 4096))
    device.submit([full], lambda _settled: None)
    site.until(lambda: full.status is not None)
    assert full.status is not None
    assert full.status.code is Code.NO_SPACE
    assert site.states() == dict.fromkeys(site.members, "in-sync")
    closed: list[object] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))
    site.end()


def test_a_replica_without_its_bytes_does_not_start_and_is_not_kept(site: Site) -> None:
    for name in list(site.processes):
        site.stop(name)
    (site.members["replica-1"].folder / "blocks.db").unlink()
    with pytest.raises(FormatError, match="is missing"):
        site.start("replica-1")
    with pytest.raises(ConflictError, match=r"replica-1 can't be kept: .*is missing"):
        site.lifecycle.loss(site.volume, "replica-1")


def record(site: Site, folder: Path, name: str = "replica-2") -> Record:
    """Return what a replica says of itself in this folder."""
    place = attrs.evolve(context(site, name), folder=folder)
    opened = ReplicaFolder(folder, open_record=lambda _found: site.store.kind.open_record(place))
    opened.close()
    return opened.record


def test_the_record_lies_in_the_database_and_a_copy_of_that_alone_says_what_it_was(
    site: Site, tmp_path: Path
) -> None:
    site.stop("replica-2")
    folder = site.members["replica-2"].folder
    kept = tmp_path / "kept.db"
    shutil.copy(folder / "blocks.db", kept)
    site.start("replica-2")

    device = open_device(site.context())
    do(site, device, Request(Op.WRITE, 0, 4096, memoryview(b"A" * 4096)), Request(Op.FLUSH))
    site.stop("replica-2")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("volume.json", "blocks.db"):
        shutil.copy(folder / name, elsewhere)
    assert record(site, elsewhere) == record(site, folder)
    assert record(site, folder).promised.number, "it has promised a ballot, and says so"

    (folder / "blocks.db").unlink()
    shutil.copy(kept, folder / "blocks.db")
    assert record(site, folder).promised == NO_BALLOT, "an old copy knows of nothing newer"
    site.start("replica-2")
    site.until(lambda: "jiva.replica.in-sync" in {event.code for event in site.events})
    closed: list[object] = []
    device.close(closed.append)
    site.until(lambda: bool(closed))
    for name in list(site.processes):
        site.stop(name)
    assert stored(site, "replica-2")[:4096] == b"A" * 4096, "it was rebuilt, not believed"


def test_an_operator_forces_and_adopts_by_records_that_lie_in_databases(site: Site) -> None:
    for name in list(site.processes):
        site.stop(name)
    folders = tuple(member.folder for member in site.members.values())
    found = site.lifecycle.adopt(folders[:2], ("replica-3",))
    assert "replica-1, replica-2 held every acknowledged write" in found["loss"]
    site.lifecycle.accept_loss(site.volume, "replica-2")
    assert record(site, folders[1]).accepted.in_sync == ("replica-2",)
    assert record(site, folders[0], "replica-1").accepted.in_sync == ("replica-2",)


def test_what_may_be_lost_is_told_of_records_in_databases_while_their_replicas_run(
    site: Site,
) -> None:
    said = site.lifecycle.loss(site.volume, "replica-2")
    assert "replica-2 is one of those that held every acknowledged write" in said
    assert "can't be read" not in said


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 1000])
def test_a_replica_whose_database_is_damaged_is_removed_all_the_same(
    site: Site, damage: bytes
) -> None:
    for name in list(site.processes):
        site.stop(name)
    folder = site.members["replica-1"].folder
    (folder / "blocks.db").write_bytes(damage)
    site.lifecycle.condemn(site.volume, ())
    with pytest.raises(UsageError, match="the bytes of replica-1 are gone"):
        site.lifecycle.spare(site.volume)
    # The deletion waits, and goes on from its beginning: the others were taken back.
    for step in (site.lifecycle.condemn, site.lifecycle.empty, site.lifecycle.tidy):
        step(site.volume, ())
    assert not folder.exists()


def test_a_record_is_kept_while_the_database_is_written_to_and_synced(site: Site) -> None:
    site.stop("replica-2")
    place = context(site, "replica-2")
    kept = site.store.kind.open_record(place)
    store: Any = site.store.kind.open(place)
    assert kept is not None
    for number in range(20):
        store.write(number * 512, memoryview(b"x" * 512))
        kept.keep(b"record %d" % number)
        store.flush()
        assert kept.load() == b"record %d" % number
    store.close()
    kept.close()


def test_the_store_makes_and_removes_its_bytes_in_every_step(site: Site) -> None:
    for name in list(site.processes):
        site.stop(name)
    lifecycle, volume = site.lifecycle, site.volume
    folder = site.members["replica-1"].folder
    names = {path.name for path in folder.iterdir()}
    assert names == {"blocks.db", "lock", "volume.json"}
    lifecycle.condemn(volume, ())
    lifecycle.spare(volume)
    lifecycle.condemn(volume, ())
    lifecycle.empty(volume, ())
    assert {path.name for path in folder.iterdir()} == {"deleted.json"}
    with pytest.raises(UsageError, match="the bytes of replica-1 are gone"):
        lifecycle.spare(volume)
    lifecycle.tidy(volume, ())
    assert not folder.exists()


def test_a_creation_that_the_store_fails_leaves_nothing_of_any_replica(
    tmp_path: Path, module: ModuleType
) -> None:
    class Failing(module.SqliteStore):  # type: ignore[name-defined,misc]
        @classmethod
        def create(cls, context: StoreContext) -> None:
            super().create(context)
            if context.member == "replica-3":
                raise ConflictError("there is something else")

    with pytest.raises(ConflictError, match="something else"):
        Site(tmp_path, store=StoreChoice("sqlite", Failing), store_options=module.SqliteOptions())
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_creation_that_is_given_up_where_its_bytes_are_gone_is_made_or_undone(
    tmp_path: Path, module: ModuleType, is_kept: bool
) -> None:
    """The store's bytes, and so the record, went; then the process was killed."""

    class Killed(BaseException):
        pass

    class Cut(module.SqliteStore):  # type: ignore[name-defined,misc]
        is_cut = False

        @classmethod
        def destroy(cls, context: StoreContext) -> None:
            super().destroy(context)
            if cls.is_cut:
                raise Killed

    site = Site(tmp_path, store=StoreChoice("sqlite", Cut), store_options=module.SqliteOptions())
    site.end()
    Cut.is_cut = True
    with pytest.raises(Killed):
        site.lifecycle.delete(site.volume)
    Cut.is_cut = False
    if is_kept:
        site.lifecycle.create(site.volume)
        for name, member in site.members.items():
            assert record(site, member.folder, name).promised == NO_BALLOT
    else:
        site.lifecycle.delete(site.volume)
        assert not any(member.folder.exists() for member in site.members.values())


def test_what_says_that_it_is_emptied_is_not_taken_back_though_bytes_are_there(
    tmp_path: Path, module: ModuleType
) -> None:
    class Stuck(module.SqliteStore):  # type: ignore[name-defined,misc]
        @classmethod
        def destroy(cls, context: StoreContext) -> None:
            if (context.folder / "deleted.json").exists():
                raise OSError("not now")

    site = Site(tmp_path, store=StoreChoice("sqlite", Stuck), store_options=module.SqliteOptions())
    site.end()
    site.lifecycle.condemn(site.volume, ())
    with pytest.raises(OSError, match="not now"):
        site.lifecycle.empty(site.volume, ())
    with pytest.raises(UsageError, match="the bytes of replica-1 are gone"):
        site.lifecycle.spare(site.volume)


def test_a_volume_is_adopted_by_the_engine_whose_store_has_its_bytes(
    site: Site, registry: Registry
) -> None:
    folders = tuple(member.folder for member in site.members.values())
    own, other = (lifecycle_of(registry, engine) for engine in ("jiva-sqlite", "jiva"))
    assert isinstance(own, MemberLifecycle)
    assert isinstance(other, MemberLifecycle)
    findings = tuple(Finding(folder, own.adopt_member(folder)) for folder in folders)
    assert own.adopt_found(findings, ())["uuid"] == "00ff"
    # The records, which this store keeps, are read where a replica is lost.
    assert "replica-3 is lost" in own.adopt_found(findings[:2], ("replica-3",))["loss"]
    with pytest.raises(FormatError, match="kept by the store sqlite, not sparse-file"):
        other.adopt_member(folders[0])


def test_a_failed_flush_fails_until_the_store_is_renewed(site: Site) -> None:
    site.stop("replica-1")
    store: Any = site.store.kind.open(context(site, "replica-1"))
    store.write(0, memoryview(b"x" * 1024))
    failure = OSError("planned")
    store._failed = failure
    with pytest.raises(OSError, match="planned"):
        store.flush()
    store.reopen()
    store.flush()
    store.close()
    site.start("replica-1")


def test_an_engine_of_two_words_takes_its_options_and_lifecycle_from_the_replicator(
    registry: Registry, module: ModuleType
) -> None:
    engine = registry.engines["jiva-sqlite"]
    assert engine.options is JivaOptions
    lifecycle = lifecycle_of(registry, "jiva-sqlite")
    assert isinstance(lifecycle, MistrustedLifecycle)
    assert isinstance(lifecycle.inner, JivaLifecycle)
    choice = StoreChoice("sqlite", module.SqliteStore, module.SqliteOptions)
    assert store_of(registry, "sqlite") == choice


def volume(registry: Registry, **more: object) -> Any:
    values = {
        "name": "demo",
        "size": 1 << 20,
        "engine": "jiva-sqlite",
        "options": {"replicas": [{"folder": "/a"}]},
        "frontend": "iscsi",
    }
    return volume_from_mapping(values | more, registry, base=Path("/"), origin="here")


def test_a_stores_options_are_parsed_like_an_engines(registry: Registry) -> None:
    assert volume(registry).store_options.cache_pages == 500
    found = volume(registry, store_options={"cache_pages": 20})
    assert found.store_options.cache_pages == 20
    kept = volume_to_mapping(found)
    assert kept["store_options"] == {"cache_pages": 20}
    assert volume_from_mapping(kept, registry, base=Path("/"), origin="state") == found
    with pytest.raises(ConfigError, match=r"store_options.cache_pages"):
        volume(registry, store_options={"cache_pages": 1})
    with pytest.raises(ConfigError, match="cache_pagse"):
        volume(registry, store_options={"cache_pagse": 20})
    assert "store_options" not in volume_to_mapping(volume(registry, engine="jiva"))


class Lean(tierce.Store):
    """All that a store must have, and none of it done."""

    @classmethod
    def create(cls, context: StoreContext) -> None: ...

    @classmethod
    def destroy(cls, context: StoreContext) -> None: ...

    @classmethod
    def open(cls, context: StoreOpenContext) -> Lean:
        return cls()

    def write(self, offset: int, data: memoryview) -> None: ...

    def read(self, offset: int, buffer: memoryview) -> None: ...

    def flush(self) -> None: ...

    def reopen(self) -> None: ...

    def close(self) -> None: ...


def test_what_a_store_lacks_is_named_before_it_makes_anything(module: ModuleType) -> None:
    class Half(tierce.Store):
        pass

    module.Half = Half  # type: ignore[attr-defined]
    description = tierce.StoreDescription(
        name="half", summary="Half.", factory="tierce_store_sqlite:Half", contract=2
    )
    registry = Registry.build([("half", stores_of(description), "")])
    with pytest.raises(tierce.PluginError, match="lacks the methods close, create, destroy"):
        store_of(registry, "half")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (tierce.StoreCapability.NONE, "it has a scrub of its own, and does not declare SCRUB"),
        (
            tierce.StoreCapability.SCRUB | tierce.StoreCapability.USAGE,
            "it declares USAGE, and has no usage of its own",
        ),
    ],
)
def test_a_store_that_says_one_thing_and_is_another_is_refused_by_name(
    module: ModuleType, said: tierce.StoreCapability, why: str
) -> None:
    class Scrubs(Lean):
        def scrub(self, offset: int, length: int) -> list[tuple[int, int]]:
            raise AssertionError("nobody asks")

    module.Scrubs = Scrubs  # type: ignore[attr-defined]
    description = tierce.StoreDescription(
        name="scrubs",
        summary="Scrubs.",
        factory="tierce_store_sqlite:Scrubs",
        capabilities=said,
        contract=2,
    )
    registry = Registry.build([("scrubs", stores_of(description), "")])
    with pytest.raises(tierce.PluginError, match=f"plugin 'scrubs'.*{why}"):
        store_of(registry, "scrubs")


# -- what it can do beside keeping bytes, which no replicator asks yet -----------------------------


def alone(site: Site) -> Any:
    """Return the open store of a replica that is not running."""
    site.stop("replica-1")
    return site.store.kind.open(context(site, "replica-1"))


def held(store: Any, offset: int, length: int = 512) -> bytes:
    buffer = memoryview(bytearray(length))
    store.read(offset, buffer)
    return bytes(buffer)


def test_a_snapshot_keeps_what_was_there_and_the_store_goes_back_to_it(site: Site) -> None:
    store = alone(site)
    store.write(0, memoryview(b"A" * 1024))
    store.snapshot("monday")
    store.write(512, memoryview(b"B" * 1024))
    store.snapshot("tuesday")
    store.discard(0, 2048)
    store.revert("monday")
    assert held(store, 0, 2048) == b"A" * 1024 + bytes(1024)
    store.revert("tuesday")
    assert held(store, 0, 2048) == b"A" * 512 + b"B" * 1024 + bytes(512), "it has stayed"
    store.delete_snapshot("monday")
    store.delete_snapshot("monday")
    store.revert("tuesday")
    assert held(store, 0) == b"A" * 512
    store.close()


def test_a_clone_begins_as_a_snapshot_and_goes_its_own_way(site: Site, tmp_path: Path) -> None:
    store = alone(site)
    store.write(0, memoryview(b"A" * 512))
    store.snapshot("monday")
    store.write(0, memoryview(b"B" * 512))
    folder = tmp_path / "clone"
    folder.mkdir()
    place = attrs.evolve(context(site, "replica-1"), folder=folder, member="replica-9")
    site.store.kind.clone(place, context(site, "replica-1"), "monday")
    clone: Any = site.store.kind.open(place)
    assert held(clone, 0) == b"A" * 512
    clone.write(0, memoryview(b"C" * 512))
    assert held(store, 0) == b"B" * 512
    clone.close()
    store.close()


def test_a_store_that_is_made_larger_has_zeroes_there_and_is_opened_as_such(site: Site) -> None:
    store = alone(site)
    store.resize(2 * SIZE)
    store.write(2 * SIZE - 512, memoryview(b"A" * 512))
    store.close()
    with pytest.raises(FormatError, match="holds the bytes of"):
        site.store.kind.open(context(site, "replica-1"))
    larger = attrs.evolve(context(site, "replica-1"), size_bytes=2 * SIZE)
    again: Any = site.store.kind.open(larger)
    assert held(again, SIZE) == bytes(512)
    assert held(again, 2 * SIZE - 512) == b"A" * 512
    again.close()


def stores_of(*descriptions: tierce.StoreDescription) -> object:
    class Plugin:
        @tierce.hookimpl
        def tierce_stores(self) -> list[tierce.StoreDescription]:
            return list(descriptions)

    return Plugin()
