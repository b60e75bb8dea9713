"""One replica as a state machine: frames in, actions out. No socket, no clock, no thread.

Rules that it keeps (numbers are those of the replication rules in docs/explanation/replication.md):

- It takes frames and votes only in the ballot it has promised, and only on the connection on
  which it promised it (2). A new promise ends the connection of the old one: what that had sent
  was applied when it arrived, the rest is never read (1).
- A promise and a vote are durable before they are reported (2). In memory they hold at once, so
  that nothing of a lower ballot slips in while the disk works.
- BATCH entries are applied in order, on arrival (1); FLUSH is answered after an fdatasync that
  began after the FLUSH arrived (4). A failed fdatasync is never retried as success: the record
  says *suspect* until what it put in doubt has been written again and flushed.
- What is marked when its process starts is in doubt: a sync may have failed without the record of
  it. It says so when it promises, until it is told that all of that was written again (4).
- It answers only for its own volume and name, and says whether its head is the file that it was
  (9).

The record can't be saved, or bytes are missing at the head's end: the replica stops (`Stop`). It
comes back with what was durable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from tierce import Code, ProtocolError
from tierce_jiva.ballot import Ballot, Membership, Order, Record
from tierce_jiva.file_identity import is_same
from tierce_jiva.regions import Regions
from tierce_jiva.replica_actions import (
    Action,
    DigestExtents,
    Fetch,
    Hangup,
    Renew,
    Report,
    Save,
    Send,
    Stop,
    Store,
    Sync,
)
from tierce_jiva.replica_data import apply_batch, encode_data, extents_of, failure_code
from tierce_jiva.wire import (
    BATCH_BYTES_MAX,
    Frame,
    Kind,
    encode,
    encode_ack,
    encode_control,
)


@attrs.define(eq=False)
class _Connection:
    has_greeted: bool = False


class Replica:
    """One replica.

    Args:
        name: Its name.
        uuid: The volume's uuid.
        size_bytes: The volume's size in bytes.
        record: What it has promised and accepted, as read from its folder.
        store: Its bytes.
        boot_id: Changes whenever the page cache was lost.
        head: Which file holds its bytes now.
        facts: What else WELCOME tells: where the head file lies, the process's incarnation.
    """

    def __init__(
        self,
        *,
        name: str,
        uuid: str,
        size_bytes: int,
        record: Record,
        store: Store,
        boot_id: str,
        head: str,
        facts: dict[str, Any],
    ) -> None:
        self.name = name
        self.record = record
        self._regions = Regions(size_bytes)
        self._head = head
        #: Marked at the start of this process, and not written again since.
        self._inherited = record.marks
        self._uuid = uuid
        self._size_bytes = size_bytes
        self._store = store
        self._boot_id = boot_id
        self._facts = facts
        self._connections: dict[int, _Connection] = {}
        #: The connection on which the promised ballot was promised.
        self._writer: int | None = None
        self._actions: list[Action] = []
        #: The store was opened anew after the flush that failed.
        self._is_renewed = False
        #: A sync has failed, and nobody was told yet: what is read may be what the disk had before.
        self._is_failing = False
        #: Kinds of failure that operators were told of, until an operation succeeds.
        self._told: set[Code] = set()
        #: Answers that wait for the record to be durable: those of the save under way, and those
        #: of the next one.
        self._saving: list[Callable[[], None]] | None = None
        self._to_save: list[Callable[[], None]] = []
        #: (connection, sequence) of the flushes that the sync under way answers, and of those that
        #: arrived after it began.
        self._syncing: list[tuple[int, int]] | None = None
        self._to_sync: list[tuple[int, int]] = []

    # -- what happens ------------------------------------------------------------------------------

    def connected(self, connection: int) -> None:
        """A target, or somebody, has connected."""
        self._connections[connection] = _Connection()

    def disconnected(self, connection: int) -> None:
        """The connection is gone; what it still waits for is dropped."""
        self._connections.pop(connection, None)
        if connection == self._writer:
            self._writer = None

    def received(self, connection: int, frames: list[Frame]) -> list[Action]:
        """Take what has arrived on a connection. What breaks the protocol ends the connection;
        what came before it is applied and answered."""
        answers: list[bytes] = []
        try:
            for frame in frames:
                if connection not in self._connections:
                    break
                if frame.kind is Kind.CONTROL:
                    self._control(connection, frame)
                elif connection != self._writer or frame.ballot != self.record.promised:
                    self._refuse(connection, frame.sequence, "ballot")
                    break
                elif frame.kind is Kind.BATCH:
                    failures = self._apply(frame)
                    answers.append(encode_ack(frame.sequence, self.record.promised, failures))
                else:
                    self._ask(connection, frame)
        except ProtocolError as error:
            self._actions.append(Hangup(connection, str(error)))
            self.disconnected(connection)
        if answers:
            self._actions.insert(0, Send(connection, b"".join(answers)))
        return self._take_actions()

    def _apply(self, frame: Frame) -> list[tuple[int, Code]]:
        """Apply a batch, unless bytes are missing: then nothing that is written may hide that."""
        try:
            self._store.check()
        except OSError as error:
            self._actions.append(Stop(f"{error}; a file that was cut short can't be trusted"))
            return [(index, Code.WRITE_ERROR) for index in range(frame.count)]
        failures = apply_batch(self._store, frame, self._size_bytes)
        if failures or self._told:
            self._tell(failures[0][1] if failures else None, "write")
        return failures

    def _tell(self, failure: Code | None, what: str) -> None:
        """Tell operators of the first failure of its kind."""
        if failure is None:
            self._told.clear()
        elif failure not in self._told:
            self._told.add(failure)
            why = "its disk is full" if failure is Code.NO_SPACE else "its disk failed"
            self._actions.append(
                Report(f"jiva.replica.{what}-failed", f"can't {what}: {why}", "error")
            )

    def saved(self) -> list[Action]:
        """The last `Save` is durable."""
        assert self._saving is not None
        done, self._saving = self._saving, None
        for answer in done:
            answer()
        if self._to_save:
            self._begin_save()
        return self._take_actions()

    def save_failed(self, reason: str) -> list[Action]:
        """The last `Save` failed: nothing that was to be reported is."""
        return [Stop(f"replica {self.name} can't make its record durable: {reason}")]

    def synced(self, error: OSError | None) -> list[Action]:
        """The last `Sync` has ended."""
        assert self._syncing is not None
        done, self._syncing = self._syncing, None
        if error is None:
            for connection, sequence in done:
                self._answer(connection, encode_ack(sequence, self.record.promised))
        else:
            self._sync_failed(done, failure_code(error, Code.WRITE_ERROR))
        if self._to_sync:
            self._begin_sync()
        return self._take_actions()

    def fetched(self, fetch: Fetch, error: OSError | None) -> list[Action]:
        """The bytes of a `Fetch` are in its buffer, or can't be had."""
        if error is not None:
            self._read_failed()
        self._answer_read(fetch, failed=error is not None)
        return self._take_actions()

    def digested(
        self, wanted: DigestExtents, digests: list[bytes], error: OSError | None
    ) -> list[Action]:
        """The digests of a `DigestExtents` are there, or can't be had."""
        promised = self.record.promised
        if error is None:
            frame = encode(
                Kind.DIGESTS,
                wanted.sequence,
                promised,
                table=b"".join(digests),
                count=len(digests),
            )
        else:
            self._read_failed()
            frame = encode_ack(wanted.sequence, promised, [(0, Code.READ_ERROR)])
        self._answer_reader(wanted.connection, frame)
        return self._take_actions()

    def renewed(self, renew: Renew, error: OSError | None) -> list[Action]:
        """The store was opened anew, or can't be."""
        if error is not None:
            return [Stop(f"replica {self.name} can't open its bytes anew: {error}")]
        self._is_renewed = True
        self._say(renew.connection, renew.sequence, {"kind": "renewed"})
        return self._take_actions()

    # -- data --------------------------------------------------------------------------------------

    def _ask(self, connection: int, frame: Frame) -> None:
        if frame.kind is Kind.FLUSH and self.record.suspect and not self._is_renewed:
            failed = encode_ack(frame.sequence, frame.ballot, [(0, Code.WRITE_ERROR)])
            self._answer(connection, failed)
        elif frame.kind is Kind.FLUSH:
            self._to_sync.append((connection, frame.sequence))
            if self._syncing is None:
                self._begin_sync()
        elif frame.kind is Kind.READ:
            extents = extents_of(frame, self._size_bytes)
            if sum(length for _, length in extents) > BATCH_BYTES_MAX:
                raise ProtocolError(f"a READ asks for more than {BATCH_BYTES_MAX} bytes")
            self._read(connection, frame.sequence, extents)
        elif frame.kind is Kind.DIGEST:
            wanted = DigestExtents(connection, frame.sequence, extents_of(frame, self._size_bytes))
            self._actions.append(wanted)
        else:
            raise ProtocolError(f"a replica is not asked {frame.kind.name}")

    def _read(self, connection: int, sequence: int, extents: tuple[tuple[int, int], ...]) -> None:
        fetch = Fetch(
            connection, sequence, extents, bytearray(sum(length for _, length in extents))
        )
        view, position = memoryview(fetch.buffer), 0
        try:
            for offset, length in extents:
                if not self._store.read_cached(offset, view[position : position + length]):
                    self._actions.append(fetch)
                    return
                position += length
        except OSError:
            self._read_failed()
            self._answer_read(fetch, failed=True)
            return
        self._answer_read(fetch, failed=False)

    def _read_failed(self) -> None:
        """Tell, and stop if it is because bytes are missing."""
        try:
            self._store.check()
        except OSError as error:
            self._actions.append(Stop(f"{error}; a file that was cut short can't be trusted"))
        else:
            self._tell(Code.READ_ERROR, "read")

    def _answer_read(self, fetch: Fetch, *, failed: bool) -> None:
        promised = self.record.promised
        if failed:
            frame = encode_ack(fetch.sequence, promised, [(0, Code.READ_ERROR)])
        else:
            frame = encode_data(fetch, promised)
        self._answer_reader(fetch.connection, frame)

    def _answer_reader(self, connection: int, frame: bytes) -> None:
        """Answer what was read, behind the news of a failed sync if there are such: who gets it
        then knows what it is worth."""
        if self._is_failing:
            self._save_then(lambda: self._answer(connection, frame))
        else:
            self._answer(connection, frame)

    def _begin_sync(self) -> None:
        self._syncing, self._to_sync = self._to_sync, []
        self._actions.append(Sync())

    def _sync_failed(self, flushes: list[tuple[int, int]], code: Code) -> None:
        """Say so, but only once it is durable that the cache can't be trusted any more."""
        self.record = attrs.evolve(self.record, suspect=True)
        self._is_renewed = False
        self._is_failing = True

        def answer() -> None:
            self._is_failing = False
            for connection, sequence in flushes:
                self._answer(connection, encode_ack(sequence, self.record.promised, [(0, code)]))

        self._save_then(answer)

    # -- control -----------------------------------------------------------------------------------

    def _control(self, connection: int, frame: Frame) -> None:
        message = frame.control()
        kind = message.get("kind")
        sequence = frame.sequence
        if kind == "hello":
            self._hello(connection, sequence, message)
        elif not self._connections[connection].has_greeted:
            raise ProtocolError(f"{kind!r} before hello")
        elif kind == "prepare":
            self._prepare(connection, sequence, frame.ballot)
        elif connection != self._writer or frame.ballot != self.record.promised:
            self._refuse(connection, sequence, "ballot")
        elif kind == "accept":
            self._accept(connection, sequence, message)
        elif kind == "mark":
            self._mark(connection, sequence, message)
        elif kind == "renew":
            self._renew(connection, sequence)
        elif kind == "redone":
            self._redone(connection, sequence)
        else:
            raise ProtocolError(f"unknown control message {kind!r}")

    def _hello(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        if (message.get("uuid"), message.get("replica")) != (self._uuid, self.name):
            self._refuse(connection, sequence, "identity")
            return
        self._connections[connection].has_greeted = True
        self._say(
            connection,
            sequence,
            self._facts
            | {
                "kind": "welcome",
                "promised": self.record.promised.to_json(),
                "boot_id": self._boot_id,
                "size_bytes": self._size_bytes,
            },
        )

    def _prepare(self, connection: int, sequence: int, ballot: Ballot) -> None:
        if ballot < self.record.promised:
            self._refuse(connection, sequence, "ballot")
            return
        if self._writer is not None and self._writer != connection:
            self._actions.append(Hangup(self._writer, "superseded"))
            del self._connections[self._writer]
        self._writer = connection

        def answer() -> None:
            record = self.record
            self._say(
                connection,
                sequence,
                {
                    "kind": "promise",
                    "accepted": record.accepted.to_json(),
                    "counts": record.counts(self._boot_id),
                    "marks": self._regions.to_hex(record.marks),
                    "order": record.order.to_json(),
                    "settled": record.settled.to_json(),
                    "suspect": record.suspect,
                    "doubt": self._regions.to_hex(self._doubt()),
                    "copied": not is_same(record.head, self._head),
                },
            )

        if ballot == self.record.promised and self._saving is None:
            answer()
        else:
            self.record = attrs.evolve(self.record, promised=ballot)
            self._save_then(answer)

    def _accept(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        try:
            membership = Membership.from_json(message["membership"])
            let_in = message["let_in"]
            is_let_in = isinstance(let_in, list) and self.name in let_in
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"accept without a membership: {error}") from error
        if membership.ballot != self.record.promised:
            raise ProtocolError("a membership of another ballot than the frame's")
        if membership.rank < self.record.accepted.rank:
            self._refuse(connection, sequence, "sequence")
            return
        record = attrs.evolve(self.record, accepted=membership)
        if is_let_in:
            record = attrs.evolve(record, let_in_boot=self._boot_id, head=self._head)
        self.record = record
        self._save_then(lambda: self._say(connection, sequence, {"kind": "accepted"}))

    def _mark(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        """Hold exactly these marks."""
        record = self.record
        try:
            order = Order(record.promised, int(message["order"]))
            settled = Order(record.promised, int(message["settled"]))
            marks = self._regions.from_hex(message["marks"])
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"an order about marks that is none: {error}") from error
        if not 0 <= settled.number <= order.number:
            raise ProtocolError(
                f"order {order.number} about marks says that {settled.number} is settled"
            )
        if order < record.order:
            raise ProtocolError(f"order {order.number} about marks after {record.order.number}")
        if marks and not record.marks:
            # Nothing was in doubt until now: it is this boot's memory that counts.
            record = attrs.evolve(record, let_in_boot=self._boot_id)
        settled = max(settled, record.settled) if settled.number else record.settled
        self._inherited &= marks
        self.record = attrs.evolve(record, marks=marks, order=order, settled=settled)
        self._save_then(
            lambda: self._say(connection, sequence, {"kind": "marked", "order": order.number})
        )

    def _renew(self, connection: int, sequence: int) -> None:
        """Before what a failed flush put in doubt is written again: begin with a descriptor that
        can flush. It waits behind a flush under way."""
        self._actions.append(Renew(connection, sequence))

    def _redone(self, connection: int, sequence: int) -> None:
        """All that was in doubt has been written again, and flushed; unless that failed since."""
        is_done = not self.record.suspect or self._is_renewed
        message = {"kind": "redone", "done": is_done}
        if is_done:
            self._inherited = frozenset()
        if is_done and self.record.suspect:
            self.record = attrs.evolve(self.record, suspect=False)
            self._save_then(lambda: self._say(connection, sequence, message))
        else:
            self._say(connection, sequence, message)

    def _doubt(self) -> frozenset[int]:
        """Return the regions in which what is read may not be what a loss of power leaves."""
        return self.record.marks if self.record.suspect else self._inherited

    def _refuse(self, connection: int, sequence: int, why: str) -> None:
        """Say why not. The connection stays: the target decides what that means for it."""
        self._say(
            connection,
            sequence,
            {"kind": "refused", "why": why, "promised": self.record.promised.to_json()},
        )

    def _save_then(self, answer: Callable[[], None]) -> None:
        self._to_save.append(answer)
        if self._saving is None:
            self._begin_save()

    def _begin_save(self) -> None:
        self._saving, self._to_save = self._to_save, []
        self._actions.append(Save(self.record))

    def _say(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        self._answer(connection, encode_control(sequence, self.record.promised, message))

    def _answer(self, connection: int, frame: bytes) -> None:
        if connection in self._connections:
            self._actions.append(Send(connection, frame))

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions
