"""The bytes of a connection: where they are received, where answers are made, digests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from crc32c import crc32c

from tierce import ProtocolError
from tierce_iscsi import pdu
from tierce_iscsi.buffers import (
    INCOMING,
    OUTGOING,
    RECEIVE_BYTES_MIN,
    CommandMemory,
    Pool,
    Region,
)
from tierce_iscsi.memory import Account
from tierce_iscsi.output import UNSENT_BYTES_MAX, Output
from tierce_iscsi.session import Cause
from tierce_iscsi.tasks import DataIn
from tierce_iscsi.text import RECV_SEGMENT_BYTES, Negotiation


class DigestError(ProtocolError):
    """What came is not what was sent."""


class Stream:
    """Regions to receive into and to answer from, and the queue of what is to be sent.

    Args:
        terms: What the login agreed on.
        account: What the session has borrowed of the target's memory.
        wake: Called when there is something to send, or room for more, outside of
            `Connection.advance`.

    Attributes:
        arrived_ns: When the loop woke up that received last (CLOCK_MONOTONIC, ns).
        wake: As above; nothing once the connection is disposed of.
        output: What is to be sent.
        large: Buffers of commands that travel in several PDUs.
        giving: Data-in of commands that are over, which the initiator has yet to take.
        ending: Why the connection is to be closed once `output` is sent; empty while it is not.
        ending_cause: The same in one word.
        is_closed: The socket is closed: nothing is answered any more.
        is_stalled: Commands wait for an outgoing region, or until what waits to be sent is less:
            `resume`, and then `advance` again, when something was sent or completed.
        is_starved: There is no region to receive into until something completes.
        in_region: What is received into; `in_start` to `in_end` of it is not dealt with yet.
        out_region: What answers are made in, from its `end` on.
        header_bytes: Of a PDU's header with its digest.
        trailer_bytes: Of the digest behind a PDU's data.
    """

    # Slots: CPython shares an instance's keys up to 30 of them, and beyond that
    # every look at one costs more, 0.3 us for a command at depth 1.
    __slots__ = (
        *("_incoming", "_outgoing", "account", "arrived_ns", "ending", "ending_cause", "giving"),
        *("has_data_digest", "has_header_digest", "header_bytes", "in_end", "in_region"),
        *("in_start", "is_closed", "is_stalled", "is_starved", "large", "out_region", "output"),
        *("trailer_bytes", "wake"),
    )

    def __init__(self, terms: Negotiation, account: Account, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.arrived_ns = 0
        self.output: Output[Region] = Output(self._sent)
        self.account = account
        self.large = CommandMemory(account)
        self.giving: deque[DataIn] = deque()
        self.ending = ""
        self.ending_cause = Cause.PROTOCOL
        self.is_closed = self.is_stalled = self.is_starved = False
        self.has_header_digest = terms.has_header_digest
        self.has_data_digest = terms.has_data_digest
        self.header_bytes = pdu.BHS_BYTES + (pdu.DIGEST_BYTES if terms.has_header_digest else 0)
        self.trailer_bytes = pdu.DIGEST_BYTES if terms.has_data_digest else 0
        self._incoming = Pool(account, INCOMING)
        self._outgoing = Pool(account, OUTGOING)
        self.in_region: Region | None = None
        self.in_start = 0
        self.in_end = 0
        self.out_region: Region | None = None

    def end(self, reason: str, cause: Cause) -> None:
        """Close the connection once everything is answered; the first reason counts."""
        if not self.ending:
            self.ending, self.ending_cause = reason, cause

    # -- bytes in ----------------------------------------------------------------------------------

    @property
    def can_receive(self) -> bool:
        """False while nothing should be read: there is no memory for it, or no use."""
        return not (
            self.is_stalled
            or self.is_starved
            or self.ending
            or self.output.length > UNSENT_BYTES_MAX
        )

    @property
    def can_resume(self) -> bool:
        """True if `advance` was stalled and need be so no more, or there is more data to give."""
        if not self.is_stalled and not self.giving:
            return False  # As nearly always, after each batch.
        has_place = bool(self.giving) or self.out_region is not None or self._outgoing.has_room
        return has_place and not self.output.is_full

    def stop_giving(self, tag: int | None = None) -> bool:
        """Give no more data-in of the command with this tag, or of none; True if there was any.

        The initiator has given the command up: after the answer to that nothing of it may come.
        """
        stopped = [given for given in self.giving if tag is None or given.tag == tag]
        for given in stopped:
            self.giving.remove(given)
            if given.region is not None:
                self.let_go(given.region)
        return bool(stopped)

    def close(self) -> None:
        """The socket is closed: nothing is sent any more, nor answered."""
        self.is_closed = True
        self.stop_giving()
        self.output.clear()

    def receive_window(self) -> memoryview | None:
        """Return where the next bytes go; None while nothing should be read."""
        if (
            self.is_stalled
            or self.is_starved
            or self.ending
            or self.output.length > UNSENT_BYTES_MAX
        ):
            # Not `can_receive`, without a call: once for each read.
            return None
        region = self.in_region
        if region is None:
            region = self.in_region = self._incoming.take()
        elif self.in_start == self.in_end and not region.holds:
            self.in_start = self.in_end = 0
        elif region.size - self.in_end < self._room_wanted(region):
            region = self._move_rest(region)
        if region is None:
            self.is_starved = True
            return None
        return region.view[self.in_end :]

    def received(self, count: int) -> None:
        """So many bytes were read into the window."""
        self.in_end += count

    def _room_wanted(self, region: Region) -> int:
        """Return how much room the rest of the PDU that has begun wants, and a little more."""
        have = self.in_end - self.in_start
        if have < pdu.BHS_BYTES:
            return RECEIVE_BYTES_MIN
        lengths = pdu.COMMON.unpack_from(region.memory, self.in_start)[3]
        return max(RECEIVE_BYTES_MIN, self.pdu_bytes(lengths) - have)

    def _move_rest(self, region: Region) -> Region | None:
        """Bring the PDU that has begun to the start of a region; None if there is none left."""
        rest = self.in_end - self.in_start
        if region.holds:
            fresh = self._incoming.take()
            if fresh is None:
                return None
        else:
            fresh = region
        # memmove: within one region the two may overlap.
        fresh.view[:rest] = region.view[self.in_start : self.in_end]
        self.in_region, self.in_start, self.in_end = fresh, 0, rest
        return fresh

    def pdu_bytes(self, lengths: int) -> int:
        """Return the length of a PDU whose header has these lengths.

        Raises:
            ProtocolError: Its data segment is longer than we have declared.
        """
        length = lengths & 0xFFFFFF
        if length > RECV_SEGMENT_BYTES:
            raise ProtocolError(
                f"a data segment of {length} bytes, at most {RECV_SEGMENT_BYTES} were declared"
            )
        size = self.header_bytes + (lengths >> 24) * 4 + pdu.padded(length)
        return size + self.trailer_bytes if length else size

    # -- bytes out ---------------------------------------------------------------------------------

    def push_run(self, out: Region, begin: int, end: int) -> None:
        """Queue what lies in this part of an outgoing region."""
        if begin == end:
            return
        out.holds += 1
        self.output.push(out.view[begin:end], out)

    def _sent(self, region: Region) -> None:
        """What was pushed of this region has been sent."""
        region.holds -= 1
        if not region.holds:
            # As `free` does, but without a call: once for each batch.
            if region is self.out_region:
                region.end = 0
            else:
                self.free(region)

    def let_go(self, region: Region) -> None:
        """One thing less holds this region: it has been sent, or its request is complete."""
        region.holds -= 1
        if not region.holds:
            self.free(region)

    def free(self, region: Region) -> None:
        """Nothing holds this region any more: use it again from its start."""
        if region is self.out_region:
            region.end = 0
        elif region.kind is OUTGOING:
            self._outgoing.give(region)
        elif region.kind is INCOMING:
            self.is_starved = False
            if region is not self.in_region:
                self._incoming.give(region)
        else:
            self.large.give(region)

    def take_out(self) -> Region | None:
        """Return the region to answer into, the one that is in use or another; None, and stalled,
        if there is none."""
        if self.out_region is None:
            self.out_region = self._outgoing.take()
            self.is_stalled = self.out_region is None
        return self.out_region

    def room_for(self, length: int) -> Region | None:
        """Return a region that has so many bytes left to answer into; None if there is none."""
        out = self.out_region
        if out is None or out.size - out.end < length:
            if out is not None:
                self.next_out(out)
            out = self.out_region = self.out_region or self._outgoing.take()
        return out

    def next_out(self, out: Region) -> bool:
        """Go on in another outgoing region; False if there is none."""
        if not out.holds:
            out.end = 0
            return True
        self.out_region = self._outgoing.take()
        self.is_stalled = self.out_region is None
        return not self.is_stalled

    def trim(self) -> None:
        """Give back what memory nothing is in."""
        if self.output.length:
            return
        self.large.drop_spares()
        if self.in_region is not None and self.in_start == self.in_end and not self.in_region.holds:
            self._incoming.give(self.in_region)
            self.in_region, self.in_start, self.in_end = None, 0, 0
        if self.out_region is not None and not self.out_region.holds:
            self._outgoing.give(self.out_region)
            self.out_region = None
        self._incoming.trim()
        self._outgoing.trim()

    def dispose(self) -> None:
        """The connection is closed and nothing of it is under way: give all memory back."""
        self.close()
        # They know us: with them go the last cycles through our memory.
        self.output = Output(_forget)
        self.wake = _nothing
        if self.in_region is not None:
            self._incoming.give(self.in_region)
        if self.out_region is not None:
            self._outgoing.give(self.out_region)
        self.in_region = self.out_region = None
        self._incoming.close()
        self._outgoing.close()
        self.account.close()

    # -- digests -----------------------------------------------------------------------------------

    def add_digests(self, out: Region, place: int, length: int) -> None:
        """Add CRC32C to the PDU at `place` (RFC 7143 section 13.1), as far as negotiated."""
        view = out.view
        if self.has_header_digest:
            digest = crc32c(view[place : place + 48])
            view[place + 48 : place + 52] = digest.to_bytes(4, "little")
        if self.has_data_digest and length:
            data = place + self.header_bytes
            digest = crc32c(view[data : data + length])
            view[data + length : data + length + 4] = digest.to_bytes(4, "little")

    def check_digests(self, region: Region, at: int, lengths: int) -> bool:
        """True if the data of the PDU at `at` are what the peer sent.

        Raises:
            DigestError: Its header is not, so that nothing of it can be believed.
        """
        view = region.view
        header_end = at + pdu.BHS_BYTES + (lengths >> 24) * 4
        data = header_end
        if self.has_header_digest:
            data += pdu.DIGEST_BYTES
            if crc32c(view[at:header_end]) != int.from_bytes(view[header_end:data], "little"):
                raise DigestError("a header with a wrong digest")
        length = lengths & 0xFFFFFF
        if not self.has_data_digest or not length:
            return True
        data_end = data + pdu.padded(length)
        digest = int.from_bytes(view[data_end : data_end + 4], "little")
        return crc32c(view[data:data_end]) == digest


def _forget(_region: Region) -> None:
    """What is pushed after the end goes nowhere."""


def _nothing() -> None:
    """Nobody is to be woken."""
