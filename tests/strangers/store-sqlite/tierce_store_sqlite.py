"""Keeps one replica's bytes in an SQLite database: one row for each block that is not zero, and one
for the replica's record, which so lies where the bytes do."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

import attrs

import tierce

FILE = "blocks.db"
#: What SQLite makes beside the file.
BESIDE = ("", "-wal", "-shm", "-journal")


@attrs.frozen
class SqliteOptions:
    """A volume's `store_options:`."""

    cache_pages: int = tierce.option(default=500, minimum=10, doc="Pages that SQLite caches.")


@tierce.hookimpl
def tierce_stores() -> list[tierce.StoreDescription]:
    """Name the store."""
    return [
        tierce.StoreDescription(
            name="sqlite",
            summary="An SQLite database per replica.",
            factory="tierce_store_sqlite:SqliteStore",
            options=SqliteOptions,
            capabilities=~tierce.StoreCapability.NONE,
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Pair it with the replicator that comes with Tierce."""
    return [
        tierce.EngineDescription(
            name="jiva-sqlite",
            summary="A replicated volume: each replica an SQLite database.",
            replicator="jiva",
            store="sqlite",
            contract=2,
        )
    ]


@contextlib.contextmanager
def medium() -> Iterator[None]:
    """Say an error of SQLite as one of the medium."""
    try:
        yield
    except sqlite3.Error as error:
        is_full = "full" in str(error)
        raise OSError(errno.ENOSPC if is_full else errno.EIO, f"SQLite: {error}") from error


def checkpoint(connection: sqlite3.Connection) -> None:
    """Sync the log, move it into the database, sync that. A write that is under way may keep the
    last pages in the log: those are not asked for twice in vain, since it ends without waiting for
    us. Another checkpoint is waited for."""
    busy, logged, moved = 0, 1, 0
    while busy or logged != moved:
        with medium():
            busy, logged, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy:
            time.sleep(0.001)


class SqliteRecord(tierce.RecordPlace):
    """The replica's record: the one row of a table beside the blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The file, not the name: SQLite would make one that is not there.
        self._open = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            with self._told():
                self._open.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            self._open.close()
            raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with medium():
                yield
        except OSError as error:
            is_passing = isinstance(error.__cause__, sqlite3.OperationalError)
            if is_passing and "no such table" not in str(error):
                raise
            raise tierce.FormatError(error.strerror or "", path=self._path) from error

    def load(self) -> bytes | None:
        """Return the row, or that there is none."""
        with self._told():
            found = self._open.execute("SELECT data FROM record").fetchone()
        return None if found is None else bytes(found[0])

    def keep(self, data: bytes) -> None:
        """Replace the row; the commit waits for no disk, so that no write waits for it."""
        with medium():
            self._open.execute("INSERT OR REPLACE INTO record VALUES (0, ?)", (data,))
        checkpoint(self._open)

    def remove(self) -> None:
        """Remove the row."""
        with self._told():
            self._open.execute("DELETE FROM record")
        checkpoint(self._open)

    def close(self) -> None:
        """Let the database go."""
        self._open.close()


class SqliteStore(tierce.Store):
    """An open database. Two connections: of the data thread, and of the workers in turn."""

    def __init__(self, context: tierce.StoreOpenContext) -> None:
        self._path = context.folder / FILE
        self._block = context.block_size
        self._cache = context.options.cache_pages
        self._workers = threading.Lock()
        self._failed: OSError | None = None
        self._writer = self._connect()
        self._reader = self._connect()
        found = self._reader.execute("SELECT size, uuid, member FROM whose").fetchone()
        if found != (context.size_bytes, context.uuid, context.member):
            self.close()
            raise tierce.FormatError(f"holds the bytes of {found}", path=self._path)

    @classmethod
    def create(cls, context: tierce.StoreContext) -> None:
        """Make an empty database: every block is zeroes."""
        cls.destroy(context)
        whose = (context.size_bytes, context.uuid, context.member)
        with medium(), contextlib.closing(sqlite3.connect(context.folder / FILE)) as made:
            made.execute("PRAGMA journal_mode = WAL")
            made.execute("CREATE TABLE blocks (number INTEGER PRIMARY KEY, bytes, sum)")
            made.execute("CREATE TABLE kept (snapshot TEXT, number INTEGER, bytes, sum)")
            made.execute("CREATE TABLE record (one INTEGER PRIMARY KEY, data BLOB)")
            made.execute("CREATE TABLE whose (size INTEGER, uuid TEXT, member TEXT)")
            made.execute("INSERT INTO whose VALUES (?, ?, ?)", whose)
            made.commit()
        tierce.sync_folder(context.folder)

    @classmethod
    def destroy(cls, context: tierce.StoreContext) -> None:
        """Remove the database, and what SQLite left beside it."""
        for suffix in BESIDE:
            tierce.remove_file(context.folder / f"{FILE}{suffix}")

    @classmethod
    def identify(cls, context: tierce.StoreContext) -> str:
        """Return which file it is."""
        path = context.folder / FILE
        if not path.exists():
            raise tierce.FormatError("is missing", path=path)
        return f"{path.stat().st_ino}:"

    @classmethod
    def open_record(cls, context: tierce.StoreContext) -> SqliteRecord:
        """Keep the record in the database."""
        cls.identify(context)
        return SqliteRecord(context.folder / FILE)

    @classmethod
    def open(cls, context: tierce.StoreOpenContext) -> SqliteStore:
        """Open the database; SQLite would make one that is not there."""
        cls.identify(context)
        try:
            return cls(context)
        except sqlite3.Error as error:
            raise tierce.FormatError(f"SQLite: {error}", path=context.folder / FILE) from error

    def _connect(self) -> sqlite3.Connection:
        """Each statement is a transaction that the end of the process can't take back."""
        made = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for setting in ("synchronous = NORMAL", "wal_autocheckpoint = 0"):
            made.execute(f"PRAGMA {setting}")
        made.execute(f"PRAGMA cache_size = {self._cache}")
        return made

    def write(self, offset: int, data: memoryview) -> None:
        """Store whole blocks, all or none."""
        first = offset // self._block
        blocks = range(0, len(data), self._block)
        pieces = [bytes(data[at : at + self._block]) for at in blocks]
        rows = [(number, piece, crc32(piece)) for number, piece in enumerate(pieces, first)]
        self._change("INSERT OR REPLACE INTO blocks VALUES (?, ?, ?)", rows)

    def discard(self, offset: int, length: int) -> None:
        """Forget whole blocks."""
        first = offset // self._block
        last = (offset + length) // self._block - 1
        self._change("DELETE FROM blocks WHERE number BETWEEN ? AND ?", [(first, last)])

    def _change(
        self, statement: str, rows: Sequence[tuple[int, ...] | tuple[int, bytes, int]]
    ) -> None:
        with medium(), self._writer as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.executemany(statement, rows)

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill from the blocks that there are; name those that are not as they were written."""
        block, first = self._block, offset // self._block
        last = first + len(buffer) // block - 1
        buffer[:] = bytes(len(buffer))
        query = "SELECT number, bytes, sum FROM blocks WHERE number BETWEEN ? AND ?"
        rotten = []
        with medium(), self._workers:
            for number, data, wanted in self._reader.execute(query, (first, last)):
                buffer[(number - first) * block : (number - first + 1) * block] = data
                if crc32(data) != wanted:
                    rotten.append((number * block, block))
        if rotten:
            raise tierce.UnreadableError(rotten, "its checksum is another")

    def usage(self) -> tierce.StoreUsage:
        """Return what the database and its log take."""
        files = [self._path.with_name(f"{FILE}{suffix}") for suffix in BESIDE]
        used = sum(file.stat().st_blocks * 512 for file in files if file.exists())
        return tierce.StoreUsage(used_bytes=used)

    def scrub(self, offset: int, length: int) -> list[tuple[int, int]]:
        """Hold the blocks that there are against their checksums."""
        try:
            self.read(offset, memoryview(bytearray(length)))
        except tierce.UnreadableError as error:
            return list(error.extents)
        return []

    def resize(self, size_bytes: int) -> None:
        """Note the size; what is added has no blocks."""
        self._change_durably("UPDATE whose SET size = ?", (size_bytes,))

    def snapshot(self, name: str) -> None:
        """Copy every block beside."""
        copy = "INSERT INTO kept SELECT ?, number, bytes, sum FROM blocks"
        self._change_durably(copy, (name,))

    def delete_snapshot(self, name: str) -> None:
        """Forget the copies."""
        self._change_durably("DELETE FROM kept WHERE snapshot = ?", (name,))

    def revert(self, name: str) -> None:
        """Put the copies in the place of all blocks, at once."""
        back = "INSERT INTO blocks SELECT number, bytes, sum FROM kept WHERE snapshot = ?"
        with medium(), self._workers, self._reader as reader:
            reader.execute("BEGIN IMMEDIATE")
            reader.execute("DELETE FROM blocks")
            reader.execute(back, (name,))
        checkpoint(self._reader)

    @classmethod
    def clone(
        cls, context: tierce.StoreContext, source: tierce.StoreContext, snapshot: str
    ) -> None:
        """Make a database that begins with the copies in another one."""
        cls.create(context)
        back = "INSERT INTO blocks SELECT number, bytes, sum FROM other.kept WHERE snapshot = ?"
        with medium(), contextlib.closing(sqlite3.connect(context.folder / FILE)) as made:
            made.execute("ATTACH ? AS other", (str(source.folder / FILE),))
            made.execute(back, (snapshot,))
            made.commit()

    def _change_durably(self, statement: str, values: tuple[object, ...]) -> None:
        with medium(), self._workers:
            self._reader.execute(statement, values)
        checkpoint(self._reader)

    def flush(self) -> None:
        """Sync the log, move it into the database, sync that."""
        with self._workers:
            if self._failed is not None:
                raise self._failed
            try:
                checkpoint(self._reader)
            except OSError as error:
                self._failed = error
                raise

    def reopen(self) -> None:
        """Connect anew: what SQLite knows of the failure goes with the old connections."""
        with medium(), self._workers:
            self._reader.close()
            self._reader = self._connect()
            # The data thread may use the old one now; it is closed when that lets it go.
            self._writer = self._connect()
            self._failed = None

    def close(self) -> None:
        """Let the database go."""
        self._writer.close()
        self._reader.close()
