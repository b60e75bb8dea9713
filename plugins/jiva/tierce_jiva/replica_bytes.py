"""What a replica does with its bytes, and what it tells of them: batches, flushes, reads, digests,
holes.

- BATCH entries are applied in order, on arrival, unless bytes are missing at the file's end.
- FLUSH is answered after a sync that began after the FLUSH arrived. A failed sync is never retried
  as success: the record says *suspect* until what it put in doubt has been written again.
- What is read while a failed sync has not been told yet is answered behind that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tierce import Code, Extent, ProtocolError, Status
from tierce_jiva.frame_head import Asking, Stages
from tierce_jiva.record_keeper import RecordKeeper
from tierce_jiva.replica_actions import (
    Action,
    DigestExtents,
    Fetch,
    FindExtents,
    Log,
    Report,
    Stop,
    Store,
    Sync,
)
from tierce_jiva.replica_data import (
    apply_batch,
    encode_data,
    extents_of,
    name_extents,
    refuse_batch,
    unread_of,
)
from tierce_jiva.watched import Watched, asking_of
from tierce_jiva.wire import (
    BATCH_BYTES_MAX,
    STATUS_BYTES_MAX,
    Frame,
    Kind,
    encode,
    encode_ack,
    encode_found,
    encode_unread,
)

#: So many unreadable extents are told of, until the process starts anew.
TOLD_COUNT_MAX = 1000


#: A flush: its connection, its sequence, and how it is watched.
_Flush = tuple[int, int, Watched | None]


class ReplicaBytes:
    """The bytes of one replica.

    Args:
        store: Where they are.
        size_bytes: The volume's size in bytes.
        keeper: The replica's record.
        actions: Where what waits is asked for.
        answer: Sends a frame on a connection, if that is still there.
        clock: Returns nanoseconds, for durations.
    """

    def __init__(
        self,
        store: Store,
        size_bytes: int,
        keeper: RecordKeeper,
        actions: list[Action],
        answer: Callable[[int, bytes], None],
        clock: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self._size_bytes = size_bytes
        self._keeper = keeper
        self._actions = actions
        self._answer = answer
        self._clock = clock
        #: The store was opened anew after the sync that failed.
        self.is_reopened = False
        #: A sync has failed, and nobody was told yet: what is read may be what the disk had before.
        self._is_failing = False
        #: What operators were told of, until the same succeeds: operation -> how it failed.
        self._told: dict[str, Code] = {}
        #: Extents that they were told of as unreadable.
        self._told_unread: set[tuple[int, int]] = set()
        #: The flushes that the sync under way answers, and those that arrived after it began.
        self._syncing: list[_Flush] | None = None
        self._to_sync: list[_Flush] = []

    def apply(self, frame: Frame) -> list[tuple[int, Code]]:
        """Apply a batch; return the index of each entry that failed, and what happened to it.

        Raises:
            ProtocolError: An entry is damaged, unknown or not in the volume.
        """
        if self.is_cut():
            return [(index, Code.WRITE_ERROR) for index in range(frame.count)]
        failures = apply_batch(self._store, frame, self._size_bytes)
        if failures:
            extension = frame.extension
            self._tell("write", failures[0][1], extension.asking if extension else None)
        elif self._told:
            self._told.pop("write", None)
        return failures

    def apply_watched(self, frame: Frame, arrived_ns: int) -> bytes:
        """Apply a batch that came with an extension; return its answer.

        Raises:
            ProtocolError: As `apply`.
        """
        assert frame.extension is not None
        watched = Watched(frame.extension, arrived_ns, self._clock())
        failures = self.apply(frame)
        self._end(watched, f"apply {frame.count} operations")
        ack = encode_ack(frame.sequence, self._keeper.promised, failures)
        return watched.tell(ack, Stages.QUEUE_APPLY)

    def refuse(self, frame: Frame, error: OSError) -> list[tuple[int, Code]]:
        """Fail every entry of a batch that the store has not admitted."""
        failures = refuse_batch(frame, error)
        self._tell("write", failures[0][1])
        return failures

    def ask(self, connection: int, frame: Frame, arrived_ns: int = 0) -> None:
        """Take a FLUSH, READ, DIGEST or STATUS, which came at that time.

        Raises:
            ProtocolError: It is something else, or asks for what is not there.
        """
        if frame.kind is Kind.FLUSH:
            self._flush(connection, frame, arrived_ns)
        elif frame.kind is Kind.READ:
            extents = extents_of(frame, self._size_bytes)
            if sum(length for _, length in extents) > BATCH_BYTES_MAX:
                raise ProtocolError(f"a READ asks for more than {BATCH_BYTES_MAX} bytes")
            self._read(connection, frame, extents, arrived_ns)
        elif frame.kind is Kind.DIGEST:
            wanted = DigestExtents(connection, frame.sequence, extents_of(frame, self._size_bytes))
            self._actions.append(wanted)
        elif frame.kind is Kind.STATUS:
            extents = extents_of(frame, self._size_bytes)
            if len(extents) != 1 or extents[0][1] > STATUS_BYTES_MAX:
                raise ProtocolError(
                    f"a STATUS asks about {len(extents)} extents, or more than {STATUS_BYTES_MAX} "
                    "bytes: one of at most that is allowed"
                )
            self._actions.append(FindExtents(connection, frame.sequence, *extents[0]))
        else:
            raise ProtocolError(f"a replica is not asked {frame.kind.name}")

    def synced(self, error: OSError | None) -> None:
        """The last `Sync` has ended."""
        assert self._syncing is not None
        done, self._syncing = self._syncing, None
        for _, _, watched in done:
            if watched is not None:
                self._end(watched, "flush")
        if error is None:
            self._told.pop("flush", None)
            for flush in done:
                self._answer_flush(flush, ())
        else:
            self._sync_failed(done, Status.from_oserror(error, Code.WRITE_ERROR).code)
        if self._to_sync:
            self._begin_sync()

    def fetched(self, fetch: Fetch, error: OSError | None) -> None:
        """The bytes of a `Fetch` are in its buffer, or can't be had."""
        promised = self._keeper.promised
        if fetch.watched is not None:
            self._end(fetch.watched, f"read {len(fetch.buffer)} bytes")
        frame = encode_data(fetch, promised) if error is None else self._unread(fetch, error)
        self._answer_reader(fetch.connection, frame)

    def digested(self, wanted: DigestExtents, digests: list[bytes], error: OSError | None) -> None:
        """The digests of a `DigestExtents` are there, or can't be had."""
        sequence, promised = wanted.sequence, self._keeper.promised
        if error is None:
            table, count = b"".join(digests), len(digests)
            frame = encode(Kind.DIGESTS, sequence, promised, table=table, count=count)
        else:
            frame = self._unread(wanted, error)
        self._answer_reader(wanted.connection, frame)

    def found(self, wanted: FindExtents, extents: list[Extent], error: OSError | None) -> None:
        """The extents of a `FindExtents` are there, or can't be had."""
        sequence, promised = wanted.sequence, self._keeper.promised
        if error is None:
            frame = encode_found(sequence, promised, extents)
        else:
            self._read_failed([])
            frame = encode_unread(sequence, promised)
        self._answer_reader(wanted.connection, frame)

    # -- flushes -----------------------------------------------------------------------------------

    def _flush(self, connection: int, frame: Frame, arrived_ns: int) -> None:
        if self._keeper.record.suspect and not self.is_reopened:
            failed = encode_ack(frame.sequence, frame.ballot, [(0, Code.WRITE_ERROR)])
            self._answer(connection, failed)
            return
        extension = frame.extension
        watched = None if extension is None else Watched(extension, arrived_ns)
        self._to_sync.append((connection, frame.sequence, watched))
        if self._syncing is None:
            self._begin_sync()

    def _begin_sync(self) -> None:
        self._syncing, self._to_sync = self._to_sync, []
        for _, _, watched in self._syncing:
            if watched is not None:
                watched.began_ns = self._clock()
        self._actions.append(Sync())

    def _answer_flush(self, flush: _Flush, failures: Iterable[tuple[int, Code]]) -> None:
        connection, sequence, watched = flush
        frame = encode_ack(sequence, self._keeper.promised, failures)
        if watched is not None:
            frame = watched.tell(frame, Stages.SYNC_WAIT_SYNC)
        self._answer(connection, frame)

    def _sync_failed(self, flushes: list[_Flush], code: Code) -> None:
        """Say so, but only once it is durable that the cache can't be trusted any more."""
        self._tell("flush", code, asking_of([watched for _, _, watched in flushes]))
        self._keeper.change(suspect=True)
        self.is_reopened = False
        self._is_failing = True

        def answer() -> None:
            self._is_failing = False
            for flush in flushes:
                self._answer_flush(flush, [(0, code)])

        self._keeper.then(answer)

    # -- reads -------------------------------------------------------------------------------------

    def _read(
        self,
        connection: int,
        frame: Frame,
        extents: tuple[tuple[int, int], ...],
        arrived_ns: int,
    ) -> None:
        length, watched = sum(length for _, length in extents), None
        if frame.extension is not None:
            watched = Watched(frame.extension, arrived_ns, self._clock())
        fetch = Fetch(connection, frame.sequence, extents, bytearray(length), watched)
        view, position = memoryview(fetch.buffer), 0
        try:
            for offset, length in extents:
                if not self._store.read_cached(offset, view[position : position + length]):
                    self._actions.append(fetch)
                    return
                position += length
        except OSError as error:
            self.fetched(fetch, error)
        else:
            self.fetched(fetch, None)

    def _answer_reader(self, connection: int, frame: bytes) -> None:
        """Answer what was read, behind word of a failed sync if there is any: who gets it
        then knows what it is worth."""
        if self._is_failing:
            self._keeper.then(lambda: self._answer(connection, frame))
        else:
            self._answer(connection, frame)

    # -- failures ----------------------------------------------------------------------------------

    def _unread(self, asked: Fetch | DigestExtents, error: OSError) -> bytes:
        parts = unread_of(error, asked.extents)
        watched = asked.watched if isinstance(asked, Fetch) else None
        self._read_failed(parts, watched.asking if watched else None)
        frame = encode_unread(asked.sequence, self._keeper.promised, parts)
        return watched.tell(frame, Stages.QUEUE_READ) if watched else frame

    def _end(self, watched: Watched, what: str) -> None:
        """It is done."""
        watched.ended_ns = self._clock()
        if watched.is_slow:
            assert watched.asking is not None
            waited_ms = max(watched.began_ns - watched.arrived_ns, 0) / 1e6
            took_ms = (watched.ended_ns - watched.began_ns) / 1e6
            message = f"waited {waited_ms:.1f} ms and took {took_ms:.1f} ms to {what}"
            self._actions.append(Log(message, watched.asking))

    def _read_failed(self, parts: list[tuple[int, int]], asking: Asking | None = None) -> None:
        if self.is_cut():
            return
        fresh = [part for part in parts if part not in self._told_unread]
        if not parts:
            self._tell("read", Code.READ_ERROR, asking)
        elif fresh and len(self._told_unread) < TOLD_COUNT_MAX:
            self._told_unread.update(fresh)
            message = f"can't read {name_extents(fresh)}: its disk failed"
            self._actions.append(Report("jiva.replica.read-failed", message, "error", asking))

    def is_cut(self) -> bool:
        """True if bytes are missing: then the replica stops, and nothing is written that would
        hide it."""
        try:
            self._store.check()
        except OSError as error:
            reason = error.strerror or str(error)
            self._actions.append(Stop(f"{reason}: a file that was cut short can't be trusted"))
            return True
        return False

    def _tell(self, what: str, failure: Code, asking: Asking | None = None) -> None:
        """Tell operators of a failure, and not again of the same until it has gone well once."""
        if self._told.get(what) is not failure:
            self._told[what] = failure
            why = "its disk is full" if failure is Code.NO_SPACE else "its disk failed"
            self._actions.append(
                Report(f"jiva.replica.{what}-failed", f"can't {what}: {why}", "error", asking)
            )
