"""Writes and flushes under way: one frame per batch, sent to every target replica before any
answer is awaited; settled when all of them have answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crc32c import crc32c

from tierce import GOOD, Code, Op, ProtocolError, Request, Settled, Status
from tierce_jiva.links import Batch, Buffer, Link, Links
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.wire import (
    BATCH_BYTES_MAX,
    ENTRY,
    ENTRY_COUNT_MAX,
    Frame,
    Kind,
    decode_failures,
    encode,
)

_REASONS = {
    Code.NO_SPACE: "a replica's disk is full: free space there, or add disks",
    Code.WRITE_ERROR: "every replica failed to write: see the replicas' events",
    Code.OUT_OF_RANGE: "the extent reaches past the end of the volume",
    Code.READ_ERROR: "a replica failed to read",
}


def encode_batch(links: Links, sequence: int, requests: Iterable[Request]) -> list[Buffer]:
    """Return a BATCH frame: its front, then the requests' own buffers."""
    pack, write = ENTRY.pack, Op.WRITE
    entries: list[bytes] = []
    buffers: list[Buffer] = [b""]
    length = 0
    for request in requests:
        if request.op is write:
            data = request.buffer
            assert data is not None
            entries.append(pack(write, request.length, request.offset, crc32c(data)))
            buffers.append(data)
            length += request.length
        else:
            entries.append(pack(request.op, request.length, request.offset, 0))
    buffers[0] = encode(
        Kind.BATCH,
        sequence,
        links.ballot,
        table=b"".join(entries),
        count=len(entries),
        payload_bytes=length,
    )
    return buffers


class WritePath:
    """What the replicas have not all answered yet.

    Args:
        links: The replicas.
        unsettled: Extents under way, shared with the reads.
        answer: Called with (request, settled) for each request that has its status.
        suspect: Called with the links that failed an operation which others did.
        doubted: Called with the reason when a required replica lacks what it should hold, before
            anything that it has read since is known.
        unequal: Called with the extents that failed on every required replica, and may now
            differ between them; they stay in `unsettled`.
        flushed: Called with each flush that all required replicas have done.
    """

    def __init__(
        self,
        links: Links,
        unsettled: Unsettled,
        *,
        answer: Callable[[Request, Settled], None],
        suspect: Callable[[list[Link], str], None],
        doubted: Callable[[str], None],
        unequal: Callable[[list[tuple[int, int]]], None],
        flushed: Callable[[Batch], None],
    ) -> None:
        self._links = links
        self._unsettled = unsettled
        self._answer = answer
        self._suspect = suspect
        self._doubted = doubted
        self._unequal = unequal
        self._flushed = flushed
        #: Links that every write goes to: the required ones and one that catches up.
        self.targets: tuple[Link, ...] = ()
        #: Bits of the links that must hold what is acknowledged.
        self.required = 0
        self.last_write = 0

    def write(self, requests: list[Request], settled: Settled) -> None:
        """Send writes, in frames of bounded size."""
        length, first = 0, 0
        for index, request in enumerate(requests):
            payload = request.length if request.op is Op.WRITE else 0
            length += payload
            if length > BATCH_BYTES_MAX or index - first >= ENTRY_COUNT_MAX:
                self._send(requests[first:index], settled)
                length, first = payload, index
        self._send(requests[first:] if first else requests, settled)

    def _send(self, requests: list[Request], settled: Settled) -> None:
        links, targets = self._links, self.targets
        sequence = self.last_write = links.next_sequence()
        buffers = encode_batch(links, sequence, requests)
        add = self._unsettled.add
        for request in requests:
            add(request.offset, request.length)
        mask = 0
        for link in targets:
            mask |= link.bit
        batch = Batch(sequence, requests, settled, buffers, mask, mask, links.now, links.now)
        for link in targets:
            link.writes[sequence] = batch
            if link.is_ready:
                link.outgoing += buffers

    def flush(self, requests: list[Request], settled: Settled | None) -> Batch:
        """Send one flush for all of `requests`, to the required replicas."""
        links = self._links
        sequence = links.next_sequence()
        frame: list[Buffer] = [encode(Kind.FLUSH, sequence, links.ballot)]
        mask = self.required
        batch = Batch(sequence, requests, settled, frame, mask, mask, links.now, links.now)
        batch.covers = self.last_write
        for link in links.of(mask):
            link.flushes[sequence] = batch
            if link.is_ready:
                link.outgoing += frame
        return batch

    def acknowledged(self, link: Link, frame: Frame) -> bool:
        """Take an ACK; False if it answers no write and no flush."""
        sequence = frame.sequence
        batch = link.writes.get(sequence)
        table = link.writes
        if batch is None:
            batch = link.flushes.get(sequence)
            table = link.flushes
            if batch is None:
                return False
        if frame.count:
            self._failed(batch, link, frame)
            return True
        del table[sequence]
        batch.waiting &= ~link.bit
        if not batch.waiting:
            self._settle(batch)
        elif batch.failed:
            self._judge(batch)
        return True

    def drop(self, link: Link) -> None:
        """The link is not a target any more: nothing waits for it."""
        # What it has answered is as gone as what it has not: its copy does not count any more.
        batches = [batch for batch in self._under_way() if batch.targets & link.bit]
        link.writes.clear()
        link.flushes.clear()
        for batch in batches:
            if batch.is_settled:
                continue  # What settled another one has led here before.
            batch.targets &= ~link.bit
            batch.waiting &= ~link.bit
            batch.failed &= ~link.bit
            if not batch.waiting:
                self._settle(batch)
            elif batch.failed:
                # It may have been the last whose answer was awaited.
                self._judge(batch)

    def resend(self, link: Link) -> None:
        """The replica's process has restarted, its memory held: send what it has not answered,
        in order."""
        now = self._links.now
        for batch in sorted(
            [*link.writes.values(), *link.flushes.values()], key=lambda batch: batch.sequence
        ):
            batch.failed &= ~link.bit
            batch.asked_at = now
            link.outgoing += batch.buffers

    def give_up(self, before: float, status: Status) -> None:
        """Answer what was sent before that time, without settling it: it stays under way, with
        bytes of its own, and reads of its extents go on waiting."""
        for batch in self._under_way():
            if batch.began_at >= before or batch.settled is None:
                continue
            batch.buffers = [bytes(buffer) for buffer in batch.buffers]
            requests, settled = batch.requests, batch.settled
            batch.requests = [
                Request(request.op, request.offset, request.length) for request in requests
            ]
            batch.settled = None
            for request in requests:
                request.status = status
                self._answer(request, settled)

    @property
    def is_idle(self) -> bool:
        """True if nothing is under way."""
        return not self._unsettled and not any(link.writes or link.flushes for link in self._links)

    def _under_way(self) -> list[Batch]:
        found = {
            batch.sequence: batch
            for link in self._links
            for batch in (*link.writes.values(), *link.flushes.values())
        }
        return list(found.values())

    def _failed(self, batch: Batch, link: Link, frame: Frame) -> None:
        batch.failed |= link.bit
        for index, code in decode_failures(frame):
            if index >= max(len(batch.requests), 1):
                raise ProtocolError(f"an ACK names entry {index} of {len(batch.requests)}")
            batch.failures[index] = code
        if link.bit & self.required and batch.sequence in link.writes:
            self._doubted(f"{link.name} failed a write")
        if not batch.is_settled:
            self._judge(batch)

    def _judge(self, batch: Batch) -> None:
        """All but those that failed have answered: either they are at fault, or the world is."""
        if batch.waiting & ~batch.failed:
            return
        required = self.required & batch.targets
        at_fault = self._links.of(batch.failed)
        for link in at_fault:
            if batch.failed & required == required:
                link.writes.pop(batch.sequence, None)
                link.flushes.pop(batch.sequence, None)
        if batch.failed & required == required:
            self._settle(batch)
            at_fault = [link for link in at_fault if not link.bit & required]
        if at_fault:
            self._suspect(at_fault, "it failed an operation that other replicas did")

    def _settle(self, batch: Batch) -> None:
        assert not batch.is_settled
        batch.is_settled = True
        failures = batch.failures if batch.failed else {}
        if not batch.targets:
            # All that it was sent to are out: who is in by now need not have it.
            failures = dict.fromkeys(range(max(len(batch.requests), 1)), Code.WRITE_ERROR)
        is_flush = not batch.requests or batch.requests[0].op is Op.FLUSH
        if not is_flush:
            remove = self._unsettled.remove
            for index, request in enumerate(batch.requests):
                if index not in failures:
                    remove(request.offset, request.length)
        settled = batch.settled
        if settled is not None:
            for index, request in enumerate(batch.requests):
                code = failures.get(0 if is_flush else index)
                request.status = GOOD if code is None else Status(code, _REASONS[code])
                self._answer(request, settled)
        if is_flush and not failures:
            self._flushed(batch)
        elif failures and not is_flush:
            self._unequal(
                [(batch.requests[i].offset, batch.requests[i].length) for i in sorted(failures)]
            )
