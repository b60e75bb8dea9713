"""The bytes of a connection: where they are received, where answers are made, digests."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

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
from tierce_iscsi.diary import Cause
from tierce_iscsi.memory import Account
from tierce_iscsi.output import UNSENT_BYTES_MAX, Output
from tierce_iscsi.text import RECV_SEGMENT_BYTES, Negotiation

if TYPE_CHECKING:
    from tierce_iscsi.tasks import DataIn


class DigestError(ProtocolError):
    """What came is not what was sent."""


class Stream:
    """Regions to receive into and to answer from, and the queue of what is to be sent.

    Args:
        terms: What the login settled.
        account: What the session has borrowed.
    """

    # Slots, here and below: CPython shares an instance's keys up to 30 of them, and beyond that
    # every look at one costs more, 0.3 us for a command at depth 1.
    __slots__ = (
        *("_header_bytes", "_in", "_in_end", "_in_start", "_incoming", "_out", "_outgoing"),
        *("_trailer_bytes", "account", "ending", "ending_cause", "giving", "has_data_digest"),
        *("has_header_digest", "is_stalled", "is_starved", "large", "output"),
    )

    def __init__(self, terms: Negotiation, account: Account) -> None:
        self.output: Output[Region] = Output(self._sent)
        self.account = account
        #: Buffers of commands that travel in several PDUs.
        self.large = CommandMemory(account)
        #: Data-in of commands that are over, which the initiator has yet to take.
        self.giving: deque[DataIn] = deque()
        #: Why the connection is to be closed once `output` is sent; empty while it is not.
        self.ending = ""
        self.ending_cause = Cause.PROTOCOL
        #: Commands wait for an outgoing region, or until what waits to be sent is less: `resume`,
        #: and then `advance` again, when something was sent or settled.
        self.is_stalled = False
        #: There is no region to receive into until something settles.
        self.is_starved = False
        self.has_header_digest = terms.has_header_digest
        self.has_data_digest = terms.has_data_digest
        self._header_bytes = pdu.BHS_BYTES + (pdu.DIGEST_BYTES if terms.has_header_digest else 0)
        self._trailer_bytes = pdu.DIGEST_BYTES if terms.has_data_digest else 0
        self._incoming = Pool(account, INCOMING)
        self._outgoing = Pool(account, OUTGOING)
        self._in: Region | None = None
        self._in_start = 0
        self._in_end = 0
        self._out: Region | None = None

    def end(self, reason: str, cause: Cause) -> None:
        """Close the connection once everything is answered; the first reason counts."""
        if not self.ending:
            self.ending, self.ending_cause = reason, cause

    def reject_data(self, header: memoryview) -> None:
        """Say that the data of the PDU with this header came with a wrong digest."""
        raise NotImplementedError

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
        has_place = bool(self.giving) or self._out is not None or self._outgoing.has_room
        return has_place and not self.output.is_full

    def resume(self) -> None:
        """Go on after `can_resume`."""
        self.is_stalled = False

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

    def drop_output(self) -> None:
        """The connection is gone: nothing is sent any more."""
        self.stop_giving()
        self.output.clear()

    def receive_window(self) -> memoryview | None:
        """Return where the next bytes go; None while nothing should be read."""
        if not self.can_receive:
            return None
        region = self._in
        if region is None:
            region = self._in = self._incoming.take()
        elif self._in_start == self._in_end and not region.holds:
            self._in_start = self._in_end = 0
        elif region.size - self._in_end < self._room_wanted(region):
            region = self._move_rest(region)
        if region is None:
            self.is_starved = True
            return None
        return region.view[self._in_end :]

    def received(self, count: int) -> None:
        """So many bytes were read into the window."""
        self._in_end += count

    def _room_wanted(self, region: Region) -> int:
        """Return how much room the rest of the PDU that has begun wants, and a little more."""
        have = self._in_end - self._in_start
        if have < pdu.BHS_BYTES:
            return RECEIVE_BYTES_MIN
        lengths = pdu.COMMON.unpack_from(region.memory, self._in_start)[3]
        return max(RECEIVE_BYTES_MIN, self.pdu_bytes(lengths) - have)

    def _move_rest(self, region: Region) -> Region | None:
        """Bring the PDU that has begun to the start of a region; None if there is none left."""
        rest = self._in_end - self._in_start
        if region.holds:
            fresh = self._incoming.take()
            if fresh is None:
                return None
        else:
            fresh = region
        # memmove: within one region the two may overlap.
        fresh.view[:rest] = region.view[self._in_start : self._in_end]
        self._in, self._in_start, self._in_end = fresh, 0, rest
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
        size = self._header_bytes + (lengths >> 24) * 4 + pdu.padded(length)
        return size + self._trailer_bytes if length else size

    # -- bytes out ---------------------------------------------------------------------------------

    def _push_run(self, out: Region, begin: int, end: int) -> None:
        if begin == end:
            return
        out.holds += 1
        self.output.push(out.view[begin:end], out)

    def _sent(self, region: Region) -> None:
        """What was pushed of this region has been sent."""
        region.holds -= 1
        if not region.holds:
            # As `free` does, but without a call: once for each batch.
            if region is self._out:
                region.end = 0
            else:
                self.free(region)

    def let_go(self, region: Region) -> None:
        """One thing less holds this region: it has been sent, or its request has settled."""
        region.holds -= 1
        if not region.holds:
            self.free(region)

    def free(self, region: Region) -> None:
        """Nothing holds this region any more: use it again from its start."""
        if region is self._out:
            region.end = 0
        elif region.kind is OUTGOING:
            self._outgoing.give(region)
        elif region.kind is INCOMING:
            self.is_starved = False
            if region is not self._in:
                self._incoming.give(region)
        else:
            self.large.give(region)

    def _next_out(self, out: Region) -> bool:
        """Go on in another outgoing region; False if there is none."""
        if not out.holds:
            out.end = 0
            return True
        self._out = self._outgoing.take()
        self.is_stalled = self._out is None
        return not self.is_stalled

    def trim(self) -> None:
        """Give back what memory nothing is in."""
        if self.output.length:
            return
        self.large.drop_spares()
        if self._in is not None and self._in_start == self._in_end and not self._in.holds:
            self._incoming.give(self._in)
            self._in, self._in_start, self._in_end = None, 0, 0
        if self._out is not None and not self._out.holds:
            self._outgoing.give(self._out)
            self._out = None
        self._incoming.trim()
        self._outgoing.trim()

    def dispose(self) -> None:
        """The connection is closed and nothing of it is under way: give all memory back."""
        self.drop_output()
        # It knows us: with it goes the last cycle through our memory.
        self.output = Output(_forget)
        if self._in is not None:
            self._incoming.give(self._in)
        if self._out is not None:
            self._outgoing.give(self._out)
        self._in = self._out = None
        self._incoming.close()
        self._outgoing.close()
        self.account.close()

    # -- digests -----------------------------------------------------------------------------------

    def _add_digests(self, out: Region, place: int, length: int) -> None:
        """Add CRC32C to the PDU at `place` (RFC 7143 section 13.1), as far as negotiated."""
        view = out.view
        if self.has_header_digest:
            digest = crc32c(view[place : place + 48])
            view[place + 48 : place + 52] = digest.to_bytes(4, "little")
        if self.has_data_digest and length:
            data = place + self._header_bytes
            digest = crc32c(view[data : data + length])
            view[data + length : data + length + 4] = digest.to_bytes(4, "little")

    def _check_digests(self, region: Region, at: int, lengths: int) -> None:
        """Check what the peer sent. A bad header ends the connection at once; bad data are
        rejected first (RFC 7143 sections 7.7 and 7.8; error recovery level 0 for both)."""
        view = region.view
        header_end = at + pdu.BHS_BYTES + (lengths >> 24) * 4
        data = header_end
        if self.has_header_digest:
            data += pdu.DIGEST_BYTES
            if crc32c(view[at:header_end]) != int.from_bytes(view[header_end:data], "little"):
                raise DigestError("a header with a wrong digest")
        length = lengths & 0xFFFFFF
        if self.has_data_digest and length:
            data_end = data + pdu.padded(length)
            digest = int.from_bytes(view[data_end : data_end + 4], "little")
            if crc32c(view[data:data_end]) != digest:
                self.reject_data(view[at : at + pdu.BHS_BYTES])
                raise DigestError("data with a wrong digest")


def _forget(_region: Region) -> None:
    """What is pushed after the end goes nowhere."""
