"""A replica's process: the shell around `Replica`. It moves bytes and runs what waits on worker
threads; it decides nothing."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import tierce
from tierce import (
    READABLE,
    Address,
    BatchEntry,
    ConflictError,
    Event,
    Extent,
    Job,
    MemberContext,
    Op,
    Opening,
    Store,
    StoreOpenContext,
    TemporaryError,
    TierceError,
)
from tierce_jiva.files import OsFiles
from tierce_jiva.folder import ReplicaFolder
from tierce_jiva.frame_head import Asking
from tierce_jiva.removing import take_back
from tierce_jiva.replica import Replica
from tierce_jiva.replica_actions import (
    Action,
    DigestExtents,
    Fetch,
    FindExtents,
    Hangup,
    Log,
    Pause,
    Reopen,
    Report,
    Resume,
    Save,
    Send,
    Stop,
    Sync,
)
from tierce_jiva.socket_link import SocketLink, listen
from tierce_jiva.store_jobs import StoreJobs, actions_of
from tierce_jiva.stored import kind_of
from tierce_jiva.waiting_store import WaitingStore
from tierce_jiva.watched import ids_of
from tierce_jiva.wire import BATCH_BYTES_MAX, Frame, Kind

if TYPE_CHECKING:
    from tierce import Stage

T = TypeVar("T")

#: Connections beyond this are closed at once: one target, its successor, and a few strangers.
CONNECTION_COUNT_MAX = 16
#: What a connection may leave unread before nothing more is taken from it: a few of the largest
#: answers, so that a target that is merely busy is not slowed down.
OUTGOING_BYTES_MAX = 4 * BATCH_BYTES_MAX


class ReplicaProcess:
    """One replica, served on TCP.

    Args:
        context: What core starts the member with.

    Raises:
        FormatError: The folder is missing, damaged, or another volume's or replica's.
        ConflictError: Another process has the folder, or the address.
    """

    def __init__(self, context: MemberContext) -> None:
        self._context = context
        self._reactor = context.reactor
        self._links: dict[int, SocketLink] = {}
        self._connection_number = 0
        self._offloaded = 0
        self._closed: Callable[[], None] | None = None
        self._is_closing = False
        #: While its store is being opened; what comes of that is there afterwards.
        self._waiting: WaitingStore | None = None
        take_back(self._place(), context.store, OsFiles())
        self._folder = ReplicaFolder(context.member.folder, open_record=None)
        opened: Store | Opening[Store] | None = None
        try:
            self._kind = kind_of(context, self._folder.identity)
            opened = self._kind.open(self._place())
            if not isinstance(opened, Opening):
                self._begin(opened)
            self._listener = self._listen(context.member.address)
        except BaseException:
            if isinstance(opened, Opening):
                opened.end(self._folder.let_go)
            else:
                self._folder.let_go(opened)
            raise
        if isinstance(opened, Opening):
            self._waiting = WaitingStore(self._folder.identity.store, opened, context, self._emit)
            opened.wait(self._opened)

    def _opened(self, store: Store | None, error: BaseException | None) -> None:
        """The store has opened later than the process was started, or can't be."""
        waiting = self._waiting
        assert waiting is not None, "it is settled once"
        if not isinstance(store, Store):
            waiting.failed()
            raise error or TypeError(f"{self._kind.__name__} has settled its opening by {store!r}")
        try:
            self._begin(store)
        except BaseException:
            store.close()
            raise
        waiting.opened()
        self._waiting = None
        # Those that came meanwhile were sent away.
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _begin(self, store: Store) -> None:
        """Serve from an open store. The path must lead to the folder that is locked: the store was
        opened by path."""
        context, place = self._context, self._place()
        self._folder.load(self._kind.open_record(place))
        head = self._kind.identify(place)
        if not self._folder.is_at_path():
            raise ConflictError(f"{self._folder.path} was exchanged while it was being opened")
        self._store = store
        where = self._where()
        self._apply: Stage = context.stage("replica.apply")
        self._read: Stage = context.stage("replica.read")
        self._sync: Stage = context.stage("replica.sync")
        self._replica = Replica(
            name=context.member.name,
            uuid=context.volume_uuid,
            size_bytes=context.size_bytes,
            record=self._folder.record,
            store=store,
            boot_id=context.boot_id,
            head=head,
            facts={"incarnation": secrets.randbits(63), "pid": os.getpid(), **where},
            admit=self._admit if type(store).admit is not Store.admit else None,
            clock=time.perf_counter_ns,
        )
        self._jobs = StoreJobs(store, context, self._offload)

    def actions(self) -> tuple[tierce.Action, ...]:
        """Name what its store can be asked for."""
        return actions_of(self._kind if self._waiting else type(self._store))

    def manage(self, action: str, arguments: Any, job: Job) -> None:
        """Ask its store."""
        if self._waiting is not None:
            job.fail(TemporaryError(self._waiting.why))
        else:
            self._jobs.manage(action, arguments, job)

    def close(self, closed: Callable[[], None]) -> None:
        """Stop listening and let the folder go once nothing runs on a worker thread."""
        self._closed = closed
        self._is_closing = True
        if self._waiting is not None:
            self._waiting.end(self._folder.let_go)
        else:
            self._jobs.end()
        self._reactor.unwatch(self._listener.fileno())
        self._listener.close()
        for link in list(self._links.values()):
            link.close()
        self._links.clear()
        self._end_if_idle()

    def _place(self) -> StoreOpenContext:
        context = self._context
        return StoreOpenContext(
            options=context.store_options,
            folder=context.member.folder,
            size_bytes=context.size_bytes,
            block_size=context.block_size,
            uuid=context.volume_uuid,
            member=context.member.name,
            reactor=context.reactor,
            stage=context.stage,
            emit=context.emit,
        )

    def _where(self) -> dict[str, Any]:
        """Say where another process of this machine may read the bytes, and by what it knows that
        it has found them; nothing if they can't be read so."""
        path = self._store.local_path()
        if path is None:
            return {}
        status = os.stat(path)
        return {"head": str(path), "device": status.st_dev, "inode": status.st_ino}

    def _listen(self, address: str) -> socket.socket:
        try:
            listener = listen(address)
        except OSError as error:
            raise ConflictError(
                f"replica {self._context.member.name} can't listen on {address}: {error.strerror}"
            ) from error
        self._reactor.watch(listener.fileno(), READABLE, self._accept)
        self._context.announce(str(Address(*listener.getsockname()[:2])))
        return listener

    def _accept(self, _events: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # It was reset before it was accepted.
        if len(self._links) >= CONNECTION_COUNT_MAX:
            connection.close()
            return
        self._connection_number += 1
        number = self._connection_number
        received = self._received
        if self._waiting is None:
            self._replica.connected(number)
        else:
            received = self._received_early
        self._links[number] = SocketLink(
            connection,
            self._reactor,
            received=partial(received, number),
            closed=partial(self._lost, number),
            outgoing_bytes_max=OUTGOING_BYTES_MAX,
            ends_at_hangup=True,
        )

    def _received(self, number: int, frames: list[Frame]) -> None:
        began = time.perf_counter_ns()
        self._carry_out(self._replica.received(number, frames, began))
        count = length = 0
        for frame in frames:
            if frame.kind is Kind.BATCH:
                count += frame.count
                length += len(frame.payload)
        if count:
            self._apply.add(Op.WRITE, count, length, time.perf_counter_ns() - began)

    def _received_early(self, number: int, frames: list[Frame]) -> None:
        assert self._waiting is not None, "these connections end when it does"
        self._links[number].send([self._waiting.refuse(frame) for frame in frames])

    def _lost(self, number: int, _reason: str) -> None:
        self._links.pop(number, None)
        if self._waiting is None:
            self._replica.disconnected(number)

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                link = self._links.get(action.connection)
                if link is not None:
                    link.send([action.data])
            elif isinstance(action, Save):
                self._offload(partial(self._folder.save, action.record), self._saved)
            elif isinstance(action, Sync):
                began = self._reactor.now()
                self._offload(self._store.flush, partial(self._synced, began))
            elif isinstance(action, Fetch):
                self._offload(
                    partial(self._fetch, action),
                    partial(self._fetched, self._reactor.now(), action),
                )
            elif isinstance(action, DigestExtents):
                self._offload(partial(self._digest, action), partial(self._digested, action))
            elif isinstance(action, FindExtents):
                find = partial(self._store.find_extents, action.offset, action.length)
                self._offload(find, partial(self._found, action))
            elif isinstance(action, Reopen):
                self._offload(self._store.reopen, partial(self._reopened, action))
            elif isinstance(action, Hangup):
                self._hang_up(action)
            elif isinstance(action, Pause | Resume):
                self._hold(action)
            elif isinstance(action, Report):
                self._emit(action.code, action.message, action.severity, action.asking)
            elif isinstance(action, Log):
                self._context.logger.info(action.message, extra=ids_of(action.asking))
            else:
                self._stop(action)

    def _admit(self, number: int, entries: list[BatchEntry]) -> bool:
        """Ask the store; that it is ready is told from the loop, also where it says so at once."""

        def ready(error: OSError | None) -> None:
            self._reactor.call_soon(partial(self._admitted, number, error))

        try:
            return self._store.admit(entries, ready)
        except OSError as error:
            ready(error)
            return False

    def _admitted(self, number: int, error: OSError | None) -> None:
        if not self._is_closing:
            self._carry_out(self._replica.admitted(number, error))

    def _hold(self, action: Pause | Resume) -> None:
        link = self._links.get(action.connection)
        if link is None:
            return
        if isinstance(action, Pause):
            link.pause()
        else:
            link.resume()

    def _hang_up(self, action: Hangup) -> None:
        link = self._links.pop(action.connection, None)
        if link is not None:
            link.close()
            self._emit("jiva.replica.hung-up", f"closed a connection: {action.reason}")

    def _stop(self, action: Stop) -> None:
        self._emit("jiva.replica.stopped", action.reason, severity="error")
        raise TierceError(action.reason)

    def _emit(
        self, code: str, message: str, severity: str = "warning", asking: Asking | None = None
    ) -> None:
        context, name = self._context, self._context.member.name
        subject = f"volume/{context.volume_name}/{name}"
        context.emit(Event(code, f"{name} {message}", subject, severity, ids_of(asking)))

    def _offload(
        self, work: Callable[[], T], done: Callable[[T | None, OSError | None], None]
    ) -> None:
        """Run what waits; an error other than of the medium is our bug and ends the process."""
        self._offloaded += 1

        def finish(result: T | None, error: BaseException | None) -> None:
            self._offloaded -= 1
            if error is not None and not isinstance(error, OSError):
                raise error
            done(result, error)
            self._end_if_idle()

        self._reactor.offload(work, finish)

    def _end_if_idle(self) -> None:
        if self._closed is not None and not self._offloaded:
            closed, self._closed = self._closed, None
            if self._waiting is None:
                self._folder.let_go(self._store)
            closed()

    def _saved(self, _result: None, error: OSError | None) -> None:
        if error is None:
            self._carry_out(self._replica.saved())
        else:
            self._carry_out(self._replica.save_failed(error.strerror or str(error)))

    def _synced(self, began: float, _result: None, error: OSError | None) -> None:
        elapsed_ns = int((self._reactor.now() - began) * 1e9)
        self._sync.add(Op.FLUSH, 1, 0, elapsed_ns)
        if error is not None:
            self._sync.fail(Op.FLUSH)
        self._carry_out(self._replica.synced(error))

    def _reopened(self, reopen: Reopen, _result: None, error: OSError | None) -> None:
        self._carry_out(self._replica.reopened(reopen, error))

    def _fetch(self, fetch: Fetch) -> None:
        view, position = memoryview(fetch.buffer), 0
        for offset, length in fetch.extents:
            self._store.read(offset, view[position : position + length])
            position += length

    def _fetched(self, began: float, fetch: Fetch, _result: None, error: OSError | None) -> None:
        elapsed_ns = int((self._reactor.now() - began) * 1e9)
        self._read.add(Op.READ, len(fetch.extents), len(fetch.buffer), elapsed_ns)
        if error is not None:
            self._read.fail(Op.READ, len(fetch.extents))
        self._carry_out(self._replica.fetched(fetch, error))

    def _digest(self, wanted: DigestExtents) -> list[bytes]:
        return [self._store.digest(offset, length) for offset, length in wanted.extents]

    def _digested(
        self, wanted: DigestExtents, digests: list[bytes] | None, error: OSError | None
    ) -> None:
        self._carry_out(self._replica.digested(wanted, digests or [], error))

    def _found(
        self, wanted: FindExtents, extents: list[Extent] | None, error: OSError | None
    ) -> None:
        self._carry_out(self._replica.found(wanted, extents or [], error))
