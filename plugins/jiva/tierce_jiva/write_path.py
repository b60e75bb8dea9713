"""Writes and flushes under way: one frame per batch, sent to every target replica before any
answer is awaited; completed when all of them have answered."""

from __future__ import annotations

from collections.abc import Iterable

from tierce import GOOD, Code, Completed, Op, ProtocolError, Request, Status
from tierce_jiva.batch import Batch, Buffer, encode_batch
from tierce_jiva.findings import AtFault, Failed, Flushed, LeftUnanswered, Unequal
from tierce_jiva.frame_head import Extension, extended
from tierce_jiva.in_flight import GRANULE_SHIFT, InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.target_actions import Agenda
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import (
    BATCH_BYTES_MAX,
    ENTRY_COUNT_MAX,
    Frame,
    Kind,
    decode_failures,
    encode,
)

#: Granules written since the last flush beyond which one is begun unasked: what is in doubt after
#: a replica's restart stays bounded (1 GiB of 64 KiB granules).
UNFLUSHED_COUNT_MAX = 16384

#: Names of this module: to look a member up in its enum costs 50 ns each time.
WRITE, FLUSH = Op.WRITE, Op.FLUSH

_REASONS = {
    Code.NO_SPACE: "a replica's disk is full: free space there, or add disks",
    Code.WRITE_ERROR: "every replica failed to write: see the replicas' events",
    Code.OUT_OF_RANGE: "the extent reaches past the end of the volume",
    Code.READ_ERROR: "a replica failed to read",
}


class WritePath:
    """What the replicas have not all answered yet.

    Args:
        links: The replicas.
        in_flight: Extents under way, shared with the reads.
        unflushed: What was written since each replica's last completed flush began.
        agenda: Where it says what has come of it.
    """

    def __init__(
        self, links: Links, in_flight: InFlight, unflushed: Unflushed, agenda: Agenda
    ) -> None:
        self._links = links
        self._in_flight = in_flight
        self._unflushed = unflushed
        self._agenda = agenda
        self._timing = links.timing
        #: Links that every write goes to: the required ones and one that is rebuilt; their bits.
        self.targets: tuple[Link, ...] = ()
        self._target_mask = 0
        #: Bits of the links that must hold what is acknowledged.
        self.required = 0

    def use(self, targets: Iterable[Link], required: int) -> None:
        """Write to these from now on.

        Args:
            targets: Links that every write goes to.
            required: Bits of those that must hold what is acknowledged.
        """
        self.targets, self.required = tuple(targets), required
        self._target_mask = sum(link.bit for link in self.targets)

    def write(self, requests: list[Request], completed: Completed) -> None:
        """Send writes, in frames of bounded size."""
        length, first = 0, 0
        for index, request in enumerate(requests):
            payload = request.length if request.op is Op.WRITE else 0
            length += payload
            if length > BATCH_BYTES_MAX or index - first >= ENTRY_COUNT_MAX:
                self._send(requests[first:index], completed)
                length, first = payload, index
        self._send(requests[first:] if first else requests, completed)

    def _send(self, requests: list[Request], completed: Completed) -> None:
        links = self._links
        links.sequence = sequence = links.sequence + 1
        buffers = encode_batch(links.ballot, sequence, requests)
        # As `InFlight.add` and `Unflushed.add`: a call for each costs as much as all that it does.
        granules, unflushed = self._in_flight.granules, self._unflushed.current
        for request in requests:
            offset, length = request.offset, request.length
            first, last = offset >> GRANULE_SHIFT, offset + length - 1 >> GRANULE_SHIFT
            if first == last:
                granules[first] = granules.get(first, 0) + 1
                unflushed.add(first)
            else:
                self._in_flight.add(offset, length)
                unflushed.update(range(first, last + 1))
        if self._in_flight.watcher_count:
            self._in_flight.note(requests, sequence)
        mask, now = self._target_mask, links.now
        batch = Batch(sequence, requests, completed, buffers, mask, mask, now, now)
        for link in self.targets:
            link.writes[sequence] = batch
            if link.is_current:
                link.outgoing += buffers
        if self._timing.tracer.live or now < self._timing.until:
            self._mark(batch, self.targets, is_timed=now < self._timing.until)
            for link in self.targets:
                if link.is_current:
                    link.outgoing[-len(buffers) :] = batch.frame_for(link.bit)
        if len(unflushed) + self._unflushed.owed_count > UNFLUSHED_COUNT_MAX:
            self.flush([], None)

    def _mark(self, batch: Batch, links: Iterable[Link], *, is_timed: bool) -> None:
        """Have each of these links be told whose frame it is, or that it is timed."""
        front = batch.buffers[0]
        assert isinstance(front, bytes), "a frame begins with bytes of its own"
        batch.fronts = {}
        tracer = self._timing.tracer
        trace = tracer.sampled(batch.requests) if tracer.live else None
        for link in links:
            told = self._timing.told(trace, link.name, batch.sequence, is_timed=is_timed)
            if told is not None:
                batch.fronts[link.bit] = extended(front, told)

    def flush(self, requests: list[Request], completed: Completed | None) -> Batch:
        """Send one flush for all of `requests`, to the required replicas; to those in doubt once
        they are not."""
        links = self._links
        sequence = links.next_sequence()
        frame: list[Buffer] = [encode(Kind.FLUSH, sequence, links.ballot)]
        mask = self.required
        batch = Batch(sequence, requests, completed, frame, mask, mask, links.now, links.now)
        batch.is_flush, batch.epoch = True, self._unflushed.begin_flush()
        self._unflushed.owed_count = 0
        if self._timing.tracer.is_on:
            self._mark(batch, links.of(mask), is_timed=True)
        for link in links.of(mask):
            link.flushes[sequence] = batch
            if link.is_current and not link.is_in_doubt:
                link.outgoing += batch.frame_for(link.bit)
        return batch

    def send_flushes(self, link: Link) -> None:
        """The link is not in doubt any more: send what has waited for that."""
        for batch in link.flushes.values():
            batch.asked_at = self._links.now
            batch.failed &= ~link.bit
            if not batch.failed:
                batch.failures = None
            link.outgoing += batch.frame_for(link.bit)

    def acknowledged(self, link: Link, frame: Frame) -> bool:
        """Take an ACK; False if it answers no write and no flush."""
        sequence = frame.sequence
        table = link.writes
        batch = table.get(sequence)
        if batch is None:
            table = link.flushes
            batch = table.get(sequence)
            if batch is None:
                return False
        if frame.count:
            self._failed(batch, link, frame)
            return True
        del table[sequence]
        batch.waiting &= ~link.bit
        # As `_count`, whose call costs as much as all that it does.
        op, count, timing = WRITE, len(batch.requests) or 1, self._timing
        elapsed_ns = (self._links.now - batch.asked_at) * 1e9
        if elapsed_ns > timing.tracer.note_ns:
            self._stamp(batch, link, frame.extension)
        if batch.is_flush:
            op = FLUSH
            self._has_flushed(link, batch.epoch)
        link.answers.add(op, count, 0, elapsed_ns)
        if not batch.waiting:
            if batch.targets != link.bit:
                # One of several, and all others were there before.
                link.answers.last(op, count)
            if batch.failed or batch.is_flush or not batch.targets:
                self._finish(batch)
            else:
                self._end(batch, {}, 0)
        elif batch.failed:
            self.judge(batch)
        return True

    def drop(self, link: Link) -> None:
        """The link is not a target any more: nothing waits for it."""
        # What it has answered is as gone as what it has not: its copy does not count any more.
        batches = [batch for batch in self._under_way() if batch.targets & link.bit]
        link.writes.clear()
        link.flushes.clear()
        for batch in batches:
            if batch.waiting & link.bit & ~batch.failed:
                self._count(batch, link, len(batch.requests) or 1)
            batch.targets &= ~link.bit
            batch.waiting &= ~link.bit
            batch.failed &= ~link.bit
            if not batch.waiting:
                self._finish(batch)
            elif batch.failed:
                # It may have been the last whose answer was awaited.
                self.judge(batch)

    def end_failed(self, link: Link) -> None:
        """The link has failed writes that others may still take, and can't be done without: they
        have failed everywhere, and so has what was sent in one frame with them: who has not
        answered may never have got that. What is owed to it is then what came after them."""
        for batch in [batch for batch in link.writes.values() if batch.failed & link.bit]:
            codes = dict.fromkeys(range(len(batch.requests)), Code.WRITE_ERROR)
            codes |= batch.failures or {}
            statuses = {index: Status(code, _REASONS[code]) for index, code in codes.items()}
            for other in self._links.of(batch.targets):
                other.writes.pop(batch.sequence, None)
            self._end(batch, statuses, batch.failed | batch.waiting)

    def resend(self, link: Link) -> None:
        """The connection is a new one: send what it has not answered, in order; flushes only to
        one that is not in doubt."""
        now = self._links.now
        link.is_current = True
        for batch in link.writes.values():
            self._stamp_silent(batch, [link])
            batch.asked_at = now
            link.outgoing += batch.frame_for(link.bit)
        if not link.is_in_doubt:
            self.send_flushes(link)

    def give_up(self, before: float, status: Status) -> None:
        """Answer what was sent before that time. A write is owed to nobody any more: those that
        have not answered are named, and its extents have to be made equal before they are read."""
        silent = 0
        for batch in self._under_way():
            if batch.began_at >= before or batch.completed is None:
                continue
            self._stamp_silent(batch, self._links.of(batch.waiting & ~batch.failed))
            if batch.is_flush:
                # It goes on by itself: what it makes durable is durable.
                self._answer_all(batch, status)
                batch.requests, batch.completed = [], None
                continue
            silent |= batch.waiting & ~batch.failed
            for link in self._links.of(batch.targets):
                link.writes.pop(batch.sequence, None)
            self._end(batch, dict.fromkeys(range(len(batch.requests)), status), batch.waiting)
        if silent:
            self._agenda.findings.append(LeftUnanswered(self._links.of(silent)))

    def _stamp_silent(self, batch: Batch, links: Iterable[Link]) -> None:
        """It is given up, or sent again: these have not answered it."""
        elapsed_ns = (self._links.now - batch.asked_at) * 1e9
        for link in links:
            if elapsed_ns > self._timing.tracer.note_ns:
                self._stamp(batch, link, None)

    @property
    def is_idle(self) -> bool:
        """True if no write is under way."""
        return not self._in_flight.granules and not any(link.writes for link in self._links)

    def _under_way(self) -> list[Batch]:
        found = {
            batch.sequence: batch
            for link in self._links
            for batch in (*link.writes.values(), *link.flushes.values())
        }
        return list(found.values())

    def _has_flushed(self, link: Link, epoch: int) -> None:
        link.flushed_epoch = max(link.flushed_epoch, epoch)
        self._unflushed.forget(min((link.flushed_epoch for link in self.targets), default=0))

    def _failed(self, batch: Batch, link: Link, frame: Frame) -> None:
        batch.failed |= link.bit
        failures = batch.failures = batch.failures or {}
        for index, code in decode_failures(frame):
            if index >= max(len(batch.requests), 1):
                raise ProtocolError(f"an ACK names entry {index} of {len(batch.requests)}")
            failures[index] = code
        self._count(batch, link, frame.count, frame.extension)
        # What follows for the link is seen to first, then the batch is judged.
        self._agenda.findings.append(Failed(batch, link))

    def _count(self, batch: Batch, link: Link, failed: int, told: Extension | None = None) -> None:
        """So many of a batch have failed on a replica, or were never answered by it."""
        op = FLUSH if batch.is_flush else WRITE
        elapsed_ns = (self._links.now - batch.asked_at) * 1e9
        link.answers.add(op, len(batch.requests) or 1, 0, elapsed_ns)
        link.answers.fail(op, failed)
        if elapsed_ns > self._timing.tracer.note_ns:
            self._stamp(batch, link, told)

    def _stamp(self, batch: Batch, link: Link, told: Extension | None) -> None:
        """A replica has answered late, or not at all, or one of the batch is followed."""
        now = self._links.now
        elapsed_ns = int((now - batch.asked_at) * 1e9)
        self._timing.stamp(batch.requests, link.name, now, elapsed_ns, batch.sequence, told)

    def _stamp_settled(self, batch: Batch) -> None:
        """It is settled, and that took long, or one of it is followed."""
        began_ns = int(batch.began_at * 1e9)
        elapsed_ns = int(self._links.now * 1e9) - began_ns
        self._timing.note(batch.requests, "jiva.replicate", began_ns, elapsed_ns)

    def judge(self, batch: Batch) -> None:
        """If all but those that failed have answered: either they are at fault, or the world is."""
        if batch.has_outcome or batch.waiting & ~batch.failed:
            return
        required = self.required & batch.targets
        # Who is not sound is no copy to go on with: the others must not be voted out for it.
        sound = sum(link.bit for link in self._links.of(required) if link.is_sound)
        counted = sound or required
        at_fault = self._links.of(batch.failed)
        if batch.failed & counted == counted:
            for link in at_fault:
                link.writes.pop(batch.sequence, None)
                link.flushes.pop(batch.sequence, None)
            self._finish(batch)
            at_fault = [link for link in at_fault if not link.bit & required]
        if at_fault:
            reason = "it failed an operation that other replicas did"
            self._agenda.findings.append(AtFault(at_fault, reason))

    def _finish(self, batch: Batch) -> None:
        """Everyone that it was sent to has answered."""
        if not batch.failed and batch.targets:
            failures: dict[int, Status] = {}
        else:
            codes = batch.failures or {}
            if not batch.targets:
                # All that it was sent to are out: who is in by now need not have it.
                codes = dict.fromkeys(range(max(len(batch.requests), 1)), Code.WRITE_ERROR)
            failures = {index: Status(code, _REASONS[code]) for index, code in codes.items()}
        if batch.is_flush:
            self._end_flush(batch, failures.get(0, GOOD))
        else:
            self._end(batch, failures, batch.failed)

    def _end_flush(self, batch: Batch, status: Status) -> None:
        assert not batch.has_outcome
        batch.has_outcome = True
        self._answer_all(batch, status)
        if status.is_good:
            self._agenda.findings.append(Flushed(batch))

    def _answer_all(self, batch: Batch, status: Status) -> None:
        if batch.completed is not None:
            if (self._links.now - batch.began_at) * 1e9 > self._timing.tracer.note_ns:
                self._stamp_settled(batch)
            for request in batch.requests:
                request.status = status
            self._agenda.complete(batch.requests, batch.completed)

    def _end(self, batch: Batch, failures: dict[int, Status], lacking: int) -> None:
        """Answer a batch of writes.

        Args:
            batch: The batch.
            failures: Entry index -> its status, for those that failed.
            lacking: Bits of the links that are not known to have taken those.
        """
        assert not batch.has_outcome
        batch.has_outcome = True
        requests, granules = batch.requests, self._in_flight.granules
        # As `InFlight.remove`.
        for request in requests:
            request.status = GOOD
            offset, length = request.offset, request.length
            granule = offset >> GRANULE_SHIFT
            if granule == offset + length - 1 >> GRANULE_SHIFT and granules[granule] == 1:
                del granules[granule]
            else:
                self._in_flight.remove(offset, length)
        if failures:
            for index, status in failures.items():
                requests[index].status = status
            unequal = [requests[index] for index in sorted(failures)]
            extents = [(request.offset, request.length) for request in unequal]
            self._agenda.findings.append(Unequal(extents, lacking))
        if batch.completed is not None:
            if (self._links.now - batch.began_at) * 1e9 > self._timing.tracer.note_ns:
                self._stamp_settled(batch)
            self._agenda.complete(requests, batch.completed)
