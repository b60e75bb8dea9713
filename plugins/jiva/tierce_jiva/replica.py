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

from tierce import Extent, ProtocolError
from tierce_jiva.ballot import BID_COUNT_MAX, Ballot, Membership, Order, Record, Start
from tierce_jiva.file_identity import is_same
from tierce_jiva.held_frames import Admit, HeldFrames
from tierce_jiva.record_keeper import RecordKeeper
from tierce_jiva.regions import Regions
from tierce_jiva.replica_actions import (
    Action,
    DigestExtents,
    Fetch,
    FindExtents,
    Hangup,
    Pause,
    Reopen,
    Resume,
    Send,
    Stop,
    Store,
)
from tierce_jiva.replica_bytes import ReplicaBytes
from tierce_jiva.wire import KNOWN, Frame, Kind, encode_ack, encode_control

#: Why it does not agree to a set that it is in.
_SUSPECT = "its last sync has failed"


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
        admit: Asks the store before each batch; None if the store lets none wait.
        clock: Returns nanoseconds, for how long it has what it is to time; nothing depends on it.
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
        admit: Admit | None = None,
        clock: Callable[[], int] = lambda: 0,
    ) -> None:
        self.name = name
        self._actions: list[Action] = []
        self._keeper = RecordKeeper(record, self._actions)
        self._bytes = ReplicaBytes(
            store, size_bytes, self._keeper, self._actions, self._answer, clock
        )
        self._regions = Regions(size_bytes)
        self._head = head
        #: Marked at the start of this process, and not written again since.
        self._inherited = record.marks
        self._began = Start(record.promised)
        self._uuid = uuid
        self._size_bytes = size_bytes
        self._boot_id = boot_id
        self._facts = facts
        self._held = None if admit is None else HeldFrames(admit, size_bytes)
        #: Connection -> whether it has said hello.
        self._connections: dict[int, bool] = {}
        #: The connection on which the promised ballot was promised.
        self._writer: int | None = None

    @property
    def record(self) -> Record:
        """What it has promised and accepted, in memory."""
        return self._keeper.record

    # -- what happens ------------------------------------------------------------------------------

    def connected(self, connection: int) -> None:
        """A target, or somebody, has connected."""
        self._connections[connection] = False

    def disconnected(self, connection: int) -> None:
        """The connection is gone; what it still waits for is dropped."""
        self._connections.pop(connection, None)
        if connection == self._writer:
            self._writer = None
        if self._held is not None:
            self._held.drop(connection)

    def received(self, connection: int, frames: list[Frame], arrived_ns: int = 0) -> list[Action]:
        """Take what has arrived on a connection, and when. What breaks the protocol ends the
        connection; what came before it is applied and answered."""
        answers: list[bytes] = []
        keeper, batch, held = self._keeper, Kind.BATCH, self._held
        try:
            for frame in frames:
                if connection not in self._connections:
                    break
                if frame.kind is Kind.CONTROL:
                    self._control(connection, frame)
                    continue
                promised = keeper.record.promised
                # Not as `frame.ballot`, whose making costs half a microsecond a batch.
                if (
                    connection != self._writer
                    or frame.ballot_number != promised.number
                    or frame.ballot_target != promised.target
                ):
                    self._refuse(connection, frame.sequence, "ballot")
                    break
                if frame.kind is batch:
                    if held is not None and held.must_wait(connection, frame, frames, arrived_ns):
                        self._actions.append(Pause(connection))
                        break
                    if frame.extension is None:
                        failures = self._bytes.apply(frame)
                        answers.append(encode_ack(frame.sequence, promised, failures))
                    else:
                        answers.append(self._bytes.apply_watched(frame, arrived_ns))
                else:
                    self._bytes.ask(connection, frame, arrived_ns)
        except ProtocolError as error:
            self._actions.append(Hangup(connection, str(error)))
            self.disconnected(connection)
        if answers:
            self._actions.insert(0, Send(connection, b"".join(answers)))
        return self._take_actions()

    def admitted(self, number: int, error: OSError | None = None) -> list[Action]:
        """The store has admitted a batch that it let wait, or can't take it."""
        held = self._held.release(number) if self._held is not None else None
        if held is None:
            return []  # Its connection has ended.
        connection, frames = held.connection, held.frames
        if error is not None:
            batch, *frames = frames
            failures = self._bytes.refuse(batch, error)
            self._answer(connection, encode_ack(batch.sequence, self._keeper.promised, failures))
        actions = self._take_actions() + self.received(connection, frames, held.arrived_ns)
        return actions if self._held else [*actions, Resume(connection)]

    def saved(self) -> list[Action]:
        """The last `Save` is durable."""
        self._keeper.saved()
        return self._take_actions()

    def save_failed(self, reason: str) -> list[Action]:
        """The last `Save` failed: nothing that was to be reported is."""
        return [Stop(f"can't make its record durable: {reason}")]

    def synced(self, error: OSError | None) -> list[Action]:
        """The last `Sync` has ended."""
        if error is not None:
            self._withdraw_vote()
        self._bytes.synced(error)
        return self._take_actions()

    def fetched(self, fetch: Fetch, error: OSError | None) -> list[Action]:
        """The bytes of a `Fetch` are in its buffer, or can't be had."""
        self._bytes.fetched(fetch, error)
        return self._take_actions()

    def digested(
        self, wanted: DigestExtents, digests: list[bytes], error: OSError | None
    ) -> list[Action]:
        """The digests of a `DigestExtents` are there, or can't be had."""
        self._bytes.digested(wanted, digests, error)
        return self._take_actions()

    def found(
        self, wanted: FindExtents, extents: list[Extent], error: OSError | None
    ) -> list[Action]:
        """The extents of a `FindExtents` are there, or can't be had."""
        self._bytes.found(wanted, extents, error)
        return self._take_actions()

    def reopened(self, reopen: Reopen, error: OSError | None) -> list[Action]:
        """The store was opened anew, or can't be."""
        if error is not None:
            return [Stop(f"can't open its bytes anew: {error.strerror}")]
        self._bytes.is_reopened = True
        self._say(reopen.connection, reopen.sequence, {"kind": "renewed"})
        return self._take_actions()

    # -- control -----------------------------------------------------------------------------------

    def _control(self, connection: int, frame: Frame) -> None:
        message = frame.control()
        kind = message.get("kind")
        sequence = frame.sequence
        if kind == "hello":
            self._hello(connection, sequence, message)
        elif not self._connections[connection]:
            raise ProtocolError(f"{kind!r} before hello")
        elif kind in ("prepare", "accept", "mark") and self._bytes.is_cut():
            return
        elif kind == "prepare":
            is_again = message.get("again") is True
            self._prepare(connection, sequence, frame.ballot, is_again=is_again)
        elif connection != self._writer or frame.ballot != self.record.promised:
            self._refuse(connection, sequence, "ballot")
        elif kind == "accept":
            self._accept(connection, sequence, message)
        elif kind == "mark":
            self._mark(connection, sequence, message)
        elif kind == "renew":
            self._reopen(connection, sequence)
        elif kind == "redone":
            self._redone(connection, sequence)
        else:
            raise ProtocolError(f"unknown control message {kind!r}")

    def _hello(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        if (message.get("uuid"), message.get("replica")) != (self._uuid, self.name):
            self._refuse(connection, sequence, "identity")
            return
        self._connections[connection] = True
        message = {
            "kind": "welcome",
            "promised": self.record.promised.to_json(),
            "boot_id": self._boot_id,
            "size_bytes": self._size_bytes,
            "knows": KNOWN,
        }
        self._say(connection, sequence, self._facts | message)

    def _prepare(self, connection: int, sequence: int, ballot: Ballot, *, is_again: bool) -> None:
        if ballot < self.record.promised:
            self._refuse(connection, sequence, "ballot")
            return
        if self._writer is not None and self._writer != connection:
            self._actions.append(Hangup(self._writer, "superseded"))
            self.disconnected(self._writer)
        self._writer = connection
        self._began = self._began.joining(ballot, sequence)
        joined = [bid for bid in self.record.bids if bid != ballot]

        def answer() -> None:
            record = self.record
            message = {
                "kind": "promise",
                "accepted": record.accepted.to_json(),
                "bids": [bid.to_json() for bid in joined],
                "counts": record.counts(self._boot_id),
                "marks": self._regions.to_hex(record.marks),
                "order": record.order.to_json(),
                "settled": record.settled.to_json(),
                "suspect": record.suspect,
                "doubt": self._regions.to_hex(self._doubt()),
                "copied": not is_same(record.head, self._head),
            }
            self._say(connection, sequence, message | self._began.to_json())

        if ballot == self.record.promised and not self._keeper.is_saving:
            answer()
        else:
            self._keeper.replace(self.record.promise(ballot, is_again=is_again))
            self._keeper.then(answer)

    def _accept(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        try:
            membership = Membership.from_json(message["membership"])
            let_in = message["let_in"]
            is_let_in = isinstance(let_in, dict) and self.name in let_in
            is_known = message["suspect"] is True
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"accept without a membership: {error}") from error
        if membership.ballot != self.record.promised:
            raise ProtocolError("a membership of another ballot than the frame's")
        if membership.rank < self.record.accepted.rank:
            self._refuse(connection, sequence, "sequence")
            return
        if self.record.suspect and not is_known and self.name in membership.in_sync:
            self._refuse(connection, sequence, _SUSPECT)
            return
        if is_let_in and let_in[self.name] != self._facts["incarnation"]:
            self._refuse(connection, sequence, "it has restarted since it was found fit")
            return
        self._keeper.replace(self.record.accept(membership))
        if is_let_in:
            self._keeper.change(let_in_boot=self._boot_id, head=self._head)
        self._keeper.then(lambda: self._accepted(connection, sequence, membership))

    def _withdraw_vote(self) -> None:
        """A sync has failed: a set that it has agreed to be in, as one that none had failed of, it
        does not agree to, if nothing of that is on its way to the disk. Who leaves by that vote may
        hold what is lost here."""
        begun, record = self._keeper.begun, self.record
        if record.suspect or self.name not in record.accepted.in_sync:
            return
        if begun.accepted != record.accepted:
            bids = (*begun.bids, *record.bids)[-BID_COUNT_MAX:]
            self._keeper.change(accepted=begun.accepted, bids=bids, head=begun.head)

    def _accepted(self, connection: int, sequence: int, membership: Membership) -> None:
        """The record is durable with its vote, unless that was withdrawn."""
        if membership.rank > self._keeper.begun.accepted.rank:
            self._refuse(connection, sequence, _SUSPECT)
        else:
            self._say(connection, sequence, {"kind": "accepted"})

    def _mark(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        """Hold exactly these marks."""
        record = self.record
        try:
            order = Order.from_json([*record.promised.to_json(), message["order"]])
            settled = Order.from_json([*record.promised.to_json(), message["settled"]])
            marks = self._regions.from_hex(message["marks"])
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"an order about marks that is none: {error}") from error
        if settled > order:
            raise ProtocolError(
                f"order {order.number} about marks says that {settled.number} is settled"
            )
        if order < record.order:
            raise ProtocolError(f"order {order.number} about marks after {record.order.number}")
        if marks and not record.marks:
            # Nothing was in doubt until now: it is this boot's memory that counts.
            self._keeper.change(let_in_boot=self._boot_id)
        settled = max(settled, record.settled) if settled.number else record.settled
        self._inherited &= marks
        self._keeper.change(marks=marks, order=order, settled=settled)
        self._keeper.then(
            lambda: self._say(connection, sequence, {"kind": "marked", "order": order.number})
        )

    def _reopen(self, connection: int, sequence: int) -> None:
        """Before what a failed flush put in doubt is written again: begin with a descriptor that
        can flush. It waits behind a flush under way."""
        self._actions.append(Reopen(connection, sequence))

    def _redone(self, connection: int, sequence: int) -> None:
        """All that was in doubt has been written again, and flushed; unless that failed since."""
        is_done = not self.record.suspect or self._bytes.is_reopened
        message = {"kind": "redone", "done": is_done}
        if is_done:
            self._inherited = frozenset()
        if is_done and self.record.suspect:
            self._keeper.change(suspect=False)
            self._keeper.then(lambda: self._say(connection, sequence, message))
        else:
            self._say(connection, sequence, message)

    def _doubt(self) -> frozenset[int]:
        """Return the regions in which what is read may not be what a loss of power leaves."""
        return self.record.marks if self.record.suspect else self._inherited

    def _refuse(self, connection: int, sequence: int, why: str) -> None:
        """Say why not. The connection stays: the target decides what that means for it."""
        promised = self.record.promised.to_json()
        self._say(connection, sequence, {"kind": "refused", "why": why, "promised": promised})

    def _say(self, connection: int, sequence: int, message: dict[str, Any]) -> None:
        self._answer(connection, encode_control(sequence, self.record.promised, message))

    def _answer(self, connection: int, frame: bytes) -> None:
        if connection in self._connections:
            self._actions.append(Send(connection, frame))

    def _take_actions(self) -> list[Action]:
        actions = self._actions.copy()
        self._actions.clear()
        return actions
