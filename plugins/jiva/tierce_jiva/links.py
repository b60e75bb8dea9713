"""The target's end of its connections to the replicas: who is there, and what was asked of whom.
Sans-I/O: what is to be sent lies in `Link.outgoing` until the shell takes it."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from tierce import ProtocolError, Stage, Tracer
from tierce_jiva.ballot import FIRST_START, NO_BALLOT, NO_ORDER, Ballot, Start, is_number
from tierce_jiva.batch import Batch, Buffer
from tierce_jiva.frame_head import Extension, extended
from tierce_jiva.promise import Promise
from tierce_jiva.regions import Extents, Regions
from tierce_jiva.timing import Timing
from tierce_jiva.trips import UNCOUNTED
from tierce_jiva.unrest import Unrest
from tierce_jiva.wire import Frame, Kind, encode, encode_control, encode_extents


class LinkState(enum.Enum):
    """How far a connection has come."""

    DOWN = "down"
    GREETING = "greeting"
    #: Greeted, and no ballot chosen yet.
    GREETED = "greeted"
    PREPARING = "preparing"
    #: The replica has promised this target's ballot.
    READY = "ready"


@attrs.frozen(eq=False)
class Head:
    """The file of a replica's bytes, as one process of it told on one connection.

    Attributes:
        path: Its path on the replica's machine.
        device: The device it lies on.
        inode: Its inode number.
        incarnation: Of the replica's process.
        connection: Which connection of this target told it.
    """

    path: str
    device: int
    inode: int
    incarnation: int
    connection: int

    @classmethod
    def from_json(cls, message: Mapping[str, Any], connection: int) -> Head | None:
        """Read what a WELCOME says of it; None if it tells of no file that others may read.

        Raises:
            KeyError: A field is missing.
            ValueError: One is not what it should be.
        """
        if not {"head", "device", "inode"} & message.keys():
            return None
        device, inode = message["device"], message["inode"]
        incarnation = message["incarnation"]
        if not (is_number(device) and is_number(inode) and is_number(incarnation)):
            raise ValueError("device, inode and incarnation are not all numbers")
        return cls(str(message["head"]), device, inode, incarnation, connection)


def control_of(frame: Frame, kind: str) -> dict[str, Any]:
    """Return the message of a control frame of that kind.

    Raises:
        ProtocolError: It is something else.
    """
    if frame.kind is not Kind.CONTROL:
        raise ProtocolError(f"{kind!r} was due, a frame of kind {frame.kind.name} came")
    message = frame.control()
    if message.get("kind") != kind:
        raise ProtocolError(f"{kind!r} was due, {message.get('kind')!r} came")
    return message


@attrs.define(eq=False)
class PendingCall:
    """Something else asked of a replica. `answer(None)` means that the link was lost."""

    answer: Callable[[Frame | None], None]
    asked_at: float
    is_flush: bool = False


class Link:
    """One replica as the target sees it.

    Attributes:
        name: The replica.
        bit: Its bit in masks.
        state: How far the connection has come.
        outgoing: Buffers to send, in order.
        writes: Batches it has not answered, by sequence, oldest first.
        flushes: The same for flushes.
        calls: Everything else asked of it, pending.
        connection: Counts its connections.
        boot_id: Of its machine, as of the last WELCOME.
        incarnation: Of its process, as of the last WELCOME; 0 before the first.
        is_restarted: It has changed, and what that means has not been seen to.
        head: Its file on its own machine, as of the last WELCOME.
        knows_status: It answers STATUS: its process is of no older release.
        welcomed: The ballot it had promised when it last said WELCOME.
        has_promised: The ballot of ours that it promised last.
        promised_elsewhere: It has promised a higher ballot to another target.
        promise: What it said when it promised.
        held: The marks that it has last answered to hold for all.
        kept: Regions that it is to hold marks of beside those: it is not equal there yet.
        asked_order: The number of the last order about marks that it was sent.
        order: The number of the last one that it has answered on this connection.
        answered: The last one that it has ever answered.
        accepted: Ballot and sequence of the last membership that it has answered to accept.
        doubt: Extents in which what it holds may not be what a loss of power leaves.
        is_unproved: Something was in doubt, and that it is durable now has not been proved.
        must_reopen: A sync of its failed: it must open its bytes anew before it can flush.
        has_failed_sync: What is in doubt is so because a sync of its failed.
        sync_failed: When that was last: the last write that it had answered before.
        is_older: It is a member, and its folder is an older copy, or was copied: it takes no part.
        is_current: What it owed was sent to it on this connection, so that newer things may follow.
        has_vote: Not if that was so, until it is let in anew: it may have forgotten votes.
        missed: Extents in which it may differ from the members, while it is not one.
        copied: Extents that it has not flushed, beside what every replica was sent since
            `flushed_epoch`: copied to it, or written to it before it was last voted out.
        flushed_epoch: What was written before that flush epoch is durable on it.
        fault: Why it must be voted out though it is connected; empty if it need not be.
        lost_at: When it was last ready, in seconds, if it is not.
        heard_at: When it last answered anything, in seconds.
        trouble: Why it is down or was voted out, for operators.
        patience_s: How long to wait before it may try again to be rebuilt.
        not_before: When it may try again, in seconds.
        in_since: When it was let in, in seconds.
        late_s: How long it waits if it is late again soon.
        answers: Where its answers are counted.
    """

    def __init__(self, name: str, bit: int, regions: Regions) -> None:
        self.name = name
        self.bit = bit
        self.state = LinkState.DOWN
        self.outgoing: list[Buffer] = []
        self.writes: dict[int, Batch] = {}
        self.flushes: dict[int, Batch] = {}
        self.calls: dict[int, PendingCall] = {}
        self.connection = 0
        self.boot_id = ""
        self.incarnation = 0
        self.is_restarted = False
        self.head: Head | None = None
        self.knows_status = False
        self.welcomed = NO_BALLOT
        self.has_promised = NO_BALLOT
        self.promised_elsewhere = False
        self.promise: Promise | None = None
        self.held: frozenset[int] = frozenset()
        self.kept: frozenset[int] = frozenset()
        self.asked_order = self.order = 0
        self.answered = NO_ORDER
        self.accepted = (NO_BALLOT, 0)
        self.doubt = Extents(regions)
        self.is_unproved = False
        self.must_reopen = self.has_failed_sync = False
        self.sync_failed = FIRST_START
        self.is_older = False
        self.is_current = False
        self.has_vote = True
        self.missed = Extents(regions, regions.every())
        self.copied = Extents(regions)
        self.flushed_epoch = 0
        self.fault = ""
        self.lost_at = self.heard_at = 0.0
        self.trouble = "not connected yet"
        self.patience_s = 0.0
        self.not_before = 0.0
        self.in_since = -math.inf
        self.late_s = 0.0
        self.answers: Stage = UNCOUNTED

    @property
    def is_ready(self) -> bool:
        """True if it has promised the ballot and is connected."""
        return self.state is LinkState.READY

    @property
    def is_in_doubt(self) -> bool:
        """True while it completes no flush, serves no read, and is no source if another can be."""
        return self.is_unproved

    @property
    def has_kept(self) -> bool:
        """True unless it has lost what it held since it was let in."""
        return not self.is_older and (self.promise is None or self.promise.counts)

    @property
    def began(self) -> Start:
        """When its process was started."""
        return FIRST_START if self.promise is None else self.promise.began

    @property
    def intact_since(self) -> Start:
        """Since when nothing can have been lost of it: its process was started then, or a sync of
        its failed."""
        return max(self.began, self.sync_failed) if self.has_failed_sync else self.began

    @property
    def is_sound(self) -> bool:
        """True if it is known to hold what a member holds."""
        return self.has_kept and not self.is_in_doubt

    @property
    def trust(self) -> int:
        """How far it can be trusted to hold what was acknowledged: 2 if it is sound, 1 if it has
        only restarted, 0 if a sync of its has failed, or it has lost what it held."""
        return self.is_sound + (self.has_kept and not self.has_failed_sync)

    @property
    def has_failed(self) -> bool:
        """True if it failed a write that is still under way."""
        return any(batch.failed & self.bit for batch in self.writes.values())

    def oldest(self, *, is_flush: bool) -> float | None:
        """Return when the oldest unanswered flush, or anything else, was asked, in seconds."""
        batch = next(iter((self.flushes if is_flush else self.writes).values()), None)
        call = next((item for item in self.calls.values() if item.is_flush is is_flush), None)
        return min((item.asked_at for item in (batch, call) if item), default=None)


class Links:
    """All of a volume's replicas, and the numbers that their frames share.

    Args:
        names: The replicas, in the order of the config.
        regions: The volume's division.
        timing: What replicas are to time.
    """

    def __init__(
        self, names: tuple[str, ...], regions: Regions, timing: Timing | None = None
    ) -> None:
        self.regions = regions
        self.timing = timing or Timing(Tracer())
        self.by_name = {name: Link(name, 1 << index, regions) for index, name in enumerate(names)}
        self.all = tuple(self.by_name.values())
        self.ballot: Ballot = NO_BALLOT
        self.now = 0.0
        self.unrest = Unrest(regions)
        #: The last frame's number.
        self.sequence = 0

    def __iter__(self) -> Iterator[Link]:
        return iter(self.all)

    def __getitem__(self, name: str) -> Link:
        return self.by_name[name]

    def ready(self) -> list[Link]:
        """Return those that have promised and are connected."""
        return [link for link in self if link.is_ready]

    def of(self, mask: int) -> list[Link]:
        """Return those whose bits are in `mask`."""
        return [link for link in self if link.bit & mask]

    def mask(self, names: set[str] | frozenset[str]) -> int:
        """Return the bits of the named links."""
        return sum(link.bit for link in self if link.name in names)

    def next_sequence(self) -> int:
        """Return the next frame's number."""
        self.sequence += 1
        return self.sequence

    def ask(
        self, link: Link, message: Mapping[str, Any], answer: Callable[[Frame | None], None]
    ) -> None:
        """Send a control message; `answer` gets the reply, or None if the link is lost."""
        sequence = self._begin_call(link, answer)
        if sequence:
            link.outgoing.append(encode_control(sequence, self.ballot, message))

    def ask_control(
        self, link: Link, message: Mapping[str, Any], kind: str, answer: Callable[[bool], None]
    ) -> None:
        """Send a control message that is answered with one of kind `kind`: True when that has
        come, False if the link is lost. Any other answer breaks the protocol."""

        def answered(frame: Frame | None) -> None:
            if frame is not None:
                control_of(frame, kind)
            answer(frame is not None)

        self.ask(link, message, answered)

    def ask_redone(self, link: Link, answer: Callable[[bool], None]) -> None:
        """Say that all that was in doubt was written again and flushed: True if it is agreed."""

        def answered(frame: Frame | None) -> None:
            answer(frame is not None and control_of(frame, "redone").get("done") is True)

        self.ask(link, {"kind": "redone"}, answered)

    def ask_extents(
        self,
        link: Link,
        kind: Kind,
        extents: list[tuple[int, int]],
        answer: Callable[[Frame | None], None],
        extension: Extension | None = None,
    ) -> None:
        """Send a READ, DIGEST or STATUS."""
        sequence = self._begin_call(link, answer)
        if sequence:
            frame = encode_extents(kind, sequence, self.ballot, extents)
            if extension is not None:
                frame = extended(frame, extension)
            link.outgoing.append(frame)

    def ask_acked(
        self,
        link: Link,
        buffers: Callable[[int], list[Buffer]],
        answer: Callable[[Frame | None], None],
    ) -> None:
        """Send a frame that `buffers(sequence)` builds, and that only an ACK answers."""

        def answered(frame: Frame | None) -> None:
            if frame is not None and frame.kind is not Kind.ACK:
                raise ProtocolError(f"an ACK was due, a frame of kind {frame.kind.name} came")
            answer(frame)

        sequence = self._begin_call(link, answered)
        if sequence:
            link.outgoing.extend(buffers(sequence))

    def _begin_call(self, link: Link, answer: Callable[[Frame | None], None]) -> int:
        """Return the call's number, or 0 if the link is down and the answer was None."""
        if link.state is LinkState.DOWN:
            answer(None)
            return 0
        sequence = self.next_sequence()
        link.calls[sequence] = PendingCall(answer, self.now)
        return sequence

    def ask_flush(self, link: Link, answer: Callable[[Frame | None], None]) -> None:
        """Send a FLUSH whose ACK is the asker's own affair."""
        self.ask_acked(link, lambda number: [encode(Kind.FLUSH, number, self.ballot)], answer)
        newest = next(reversed(link.calls.values()), None)
        if link.state is not LinkState.DOWN and newest is not None:
            newest.is_flush = True

    def lose(self, link: Link, reason: str) -> None:
        """The connection is gone: calls are answered with None, batches stay to be resent."""
        if link.is_ready:
            # One that never came so far has been away since before.
            link.lost_at = self.now
        link.state = LinkState.DOWN
        link.is_current = False
        link.head = None
        link.held = frozenset()
        link.asked_order = link.order = 0
        link.outgoing.clear()
        link.trouble = reason
        calls, link.calls = link.calls, {}
        for call in calls.values():
            call.answer(None)
