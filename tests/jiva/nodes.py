"""The machines of a `Cluster`: each with one replica, its bytes, and what goes wrong with them;
and the connections to them."""

from __future__ import annotations

import errno
import itertools
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs

from jiva.shells import ReplicaShell
from tierce import EXTENT_COUNT_MAX, BatchEntry, Extent, UnreadableError
from tierce_jiva.ballot import Record
from tierce_jiva.digests import digest_state
from tierce_jiva.frame_head import Asking
from tierce_jiva.replica import Replica
from tierce_jiva.replica_actions import Action, Hangup, Log, Pause, Report, Resume, Save, Send, Stop
from tierce_jiva.wire import FrameReader

if TYPE_CHECKING:
    from jiva.cluster import Cluster

PAGE_BYTES = 4096
#: What a sync that has begun will make durable: page -> its bytes.
Pages = dict[int, bytes]


class MemoryStore:
    """Bytes with a page cache: `cached` is what reads see, `durable` what a power loss leaves.

    As in Linux, a sync that fails takes its pages for clean all the same: later syncs leave them
    out, and the cache may lose them at any time (`evict`). As in `SparseFileStore`, nothing is
    synced any more after a failure until the file is opened anew.
    """

    def __init__(self, size_bytes: int) -> None:
        self.cached = bytearray(size_bytes)
        self.durable = bytearray(size_bytes)
        self.fail_write: OSError | None = None
        #: A write that fails leaves its first half.
        self.tears = False
        #: Only what has its space already can be written.
        self.is_full = False
        self.fail_read: OSError | None = None
        #: Pages that can't be read until they are written.
        self.bad: set[int] = set()
        #: It says which these are.
        self.names_bad = False
        #: Syncs fail while this is set.
        self.fail_sync: OSError | None = None
        #: So many syncs fail, and those after them don't.
        self.syncs_to_fail = 0
        self.renewals = 0
        #: So often it was written to.
        self.write_count = 0
        self.is_cut = False
        #: Nothing is read without waiting.
        self.is_cold = False
        self._dirty: set[int] = set()
        self._allocated: set[int] = set()
        self._sync_failed: OSError | None = None

    def check(self) -> None:
        if self.is_cut:
            raise OSError(errno.EIO, "the head is shorter than the volume")

    def write(self, offset: int, data: memoryview) -> None:
        self.write_count += 1
        if self.fail_write is not None and not self.tears:
            raise self.fail_write
        length = len(data) if self.fail_write is None else len(data) // 2
        pages = _pages(offset, length)
        if self.is_full and not pages <= self._allocated:
            raise OSError(errno.ENOSPC, "no space left")
        self._allocated |= pages
        self._put(offset, data[:length], pages)
        if self.fail_write is not None:
            raise self.fail_write

    def discard(self, offset: int, length: int) -> None:
        if self.fail_write is not None:
            raise self.fail_write
        pages = _pages(offset, length)
        self._put(offset, memoryview(bytes(length)), pages)

    def _put(self, offset: int, data: memoryview, pages: set[int]) -> None:
        self.cached[offset : offset + len(data)] = data
        self._dirty |= pages
        self.bad -= pages

    def read_cached(self, offset: int, buffer: memoryview) -> bool:
        if self.is_cold:
            return False
        self.read(offset, buffer)
        return True

    def read(self, offset: int, buffer: memoryview) -> None:
        self._check_medium(offset, len(buffer))
        buffer[:] = self.cached[offset : offset + len(buffer)]

    def _check_medium(self, offset: int, length: int) -> None:
        if self.fail_read is not None:
            raise self.fail_read
        bad = self.bad & _pages(offset, length)
        if bad and self.names_bad:
            parts = [(page * PAGE_BYTES, PAGE_BYTES) for page in sorted(bad)]
            raise UnreadableError(parts, "bad sector")
        if bad:
            raise OSError(errno.EIO, "bad sector")

    def digest(self, offset: int, length: int) -> bytes:
        self._check_medium(offset, length)
        state = digest_state()
        state.update(self.cached[offset : offset + length])
        return state.digest()

    def find_extents(self, offset: int, length: int) -> list[Extent]:
        """As few as there can be: whatever reads as zeroes is a hole."""
        self._check_medium(offset, length)
        self.check()
        pages = [max(page * PAGE_BYTES, offset) for page in sorted(_pages(offset, length))]
        found = []
        for is_hole, run in itertools.groupby(pages, self._is_zero):
            first, *rest = run
            last = rest[-1] if rest else first
            stop = min((last // PAGE_BYTES + 1) * PAGE_BYTES, offset + length)
            found.append(Extent(first, stop - first, is_hole))
        return found[:EXTENT_COUNT_MAX]

    def _is_zero(self, at: int) -> bool:
        return not any(self._page(self.cached, at // PAGE_BYTES))

    def begin_sync(self) -> Pages:
        """Return what the sync covers that begins now."""
        return {page: self._page(self.cached, page) for page in self._dirty}

    def end_sync(self, pages: Pages) -> None:
        """Make it durable, or fail."""
        if self.syncs_to_fail and self._sync_failed is None:
            self.syncs_to_fail -= 1
            self._sync_failed = OSError(errno.EIO, "planned")
        elif self.fail_sync is not None:
            self._sync_failed = self.fail_sync
        for page, data in pages.items():
            if self._sync_failed is None:
                self.durable[page * PAGE_BYTES : page * PAGE_BYTES + len(data)] = data
            if self._page(self.cached, page) == data:
                self._dirty.discard(page)
        if self._sync_failed is not None:
            raise self._sync_failed

    def reopen(self) -> None:
        self.renewals += 1
        self._sync_failed = None

    def evict(self) -> None:
        """The cache loses every clean page; what is read again is what the disk has."""
        for page in range(len(self.cached) // PAGE_BYTES):
            if page not in self._dirty:
                at = page * PAGE_BYTES
                self.cached[at : at + PAGE_BYTES] = self._page(self.durable, page)

    def restart(self) -> None:
        """The process has ended: what it knew of failed syncs ends with it."""
        self._sync_failed = None

    def lose_power(self) -> None:
        self.restart()
        self.cached = bytearray(self.durable)
        self._dirty.clear()

    @staticmethod
    def _page(data: bytearray, page: int) -> bytes:
        return bytes(data[page * PAGE_BYTES : (page + 1) * PAGE_BYTES])


def _pages(offset: int, length: int) -> set[int]:
    return set(range(offset // PAGE_BYTES, (offset + length - 1) // PAGE_BYTES + 1))


@attrs.frozen
class FolderCopy:
    """A replica's folder as it was once."""

    record: Record
    data: bytes


@attrs.define(eq=False)
class Node:
    """A machine with one replica.

    Attributes:
        name: The replica.
        store: Its bytes.
        record: What its disk holds of its record.
        boot: Counts the machine's starts.
        head: Which file holds its bytes.
        incarnation: Of its process.
        replica: Its process's state machine, if there is one.
        process: What is around that.
        is_hung: Its process takes nothing.
        is_mute: What it answers does not arrive yet.
        fail_save: Its record can't be saved.
        is_slow: What its workers have read arrives only with `Cluster.release`.
        held: Kinds of actions that wait until `Cluster.release`.
        waiting: Those that do.
        must_admit: Its store lets batches wait, each until `Cluster.admit`; from its next start on.
        asked: Those of which it was asked: number and entries.
        reports: Codes of what it has reported.
        followed: What of that, and of its log, came of frames that are followed: code, or text,
            and whose they are.
        stops: Why its process has ended by itself.
    """

    name: str
    store: MemoryStore
    record: Record
    boot: int = 0
    head: str = "1:1"
    incarnation: int = 0
    replica: Replica | None = None
    process: NodeProcess | None = None
    is_hung: bool = False
    is_mute: bool = False
    fail_save: OSError | None = None
    is_slow: bool = False
    held: set[type[Action]] = attrs.field(factory=set)
    waiting: list[Callable[[], None]] = attrs.field(factory=list)
    must_admit: bool = False
    asked: list[tuple[int, list[BatchEntry]]] = attrs.field(factory=list)
    reports: list[str] = attrs.field(factory=list)
    followed: list[tuple[str, Asking]] = attrs.field(factory=list)
    stops: list[str] = attrs.field(factory=list)

    @property
    def boot_id(self) -> str:
        return f"{self.name}-boot-{self.boot}"

    def copy(self) -> FolderCopy:
        """Return what its disk holds now."""
        return FolderCopy(self.record, bytes(self.store.durable))

    def put_back(self, copy: FolderCopy, *, head: str = "") -> None:
        """Put an old copy of its folder in the place of the folder; its process is not running.

        Args:
            copy: The copy.
            head: Which file holds the bytes now; empty if it is the one that did: the whole disk
                was rolled back.
        """
        assert self.replica is None
        self.store.durable[:] = copy.data
        self.store.lose_power()
        self.record = copy.record
        self.head = head or self.head


class NodeProcess(ReplicaShell):
    """A replica's process: what is asked of workers is done at once, unless it is held."""

    def __init__(self, cluster: Cluster, node: Node, replica: Replica) -> None:
        self.replica = replica
        self._cluster = cluster
        self._node = node

    @property
    def medium(self) -> MemoryStore:
        return self._node.store

    @property
    def is_running(self) -> bool:
        return self._node.replica is self.replica

    def send(self, action: Send) -> None:
        pipe = self._pipe(action.connection)
        if pipe is not None:
            pipe.to_target.append(action.data)

    def hang_up(self, action: Hangup) -> None:
        if self._pipe(action.connection) is not None:
            self._cluster.break_pipe(self._node.name, action.reason)

    def hold(self, action: Pause | Resume) -> None:
        pipe = self._pipe(action.connection)
        if pipe is not None:
            pipe.is_paused = isinstance(action, Pause)

    def report(self, action: Report) -> None:
        self._node.reports.append(action.code)
        if action.asking is not None:
            self._node.followed.append((action.code, action.asking))

    def log(self, action: Log) -> None:
        self._node.followed.append((action.message, action.asking))

    def stop(self, action: Stop) -> None:
        self._node.stops.append(action.reason)
        self._cluster.kill_replica(self._node.name)

    def at_work(self, action: Action, work: Callable[[], None]) -> None:
        if type(action) in self._node.held:
            self._node.waiting.append(work)
        else:
            work()

    def when_told(self, _action: Action, tell: Callable[[], None]) -> None:
        if self._node.is_slow:
            self._node.waiting.append(tell)
        else:
            tell()

    def save(self, action: Save) -> str:
        if self._node.fail_save is not None:
            return str(self._node.fail_save)
        self._node.record = action.record
        return ""

    def begin_sync(self) -> Callable[[], OSError | None]:
        return partial(self._end_sync, self._node.store.begin_sync())

    def _end_sync(self, pages: Pages) -> OSError | None:
        try:
            self._node.store.end_sync(pages)
        except OSError as error:
            return error
        return None

    def _pipe(self, connection: int) -> Pipe | None:
        pipe = self._cluster.pipes.get(self._node.name)
        return pipe if pipe is not None and pipe.number == connection else None


@attrs.define(eq=False)
class Pipe:
    """One connection: bytes on their way, each way."""

    number: int
    is_paused: bool = False
    to_replica: deque[bytes] = attrs.field(factory=deque)
    to_target: deque[bytes] = attrs.field(factory=deque)
    at_replica: FrameReader = attrs.field(factory=FrameReader)
    at_target: FrameReader = attrs.field(factory=FrameReader)
