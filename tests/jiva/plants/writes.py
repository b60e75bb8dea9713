"""Writes, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.plant import leave_out, on_targets, plants_of, wrap
from tierce import Code, Op
from tierce_jiva.findings import Unequal
from tierce_jiva.in_flight import InFlight
from tierce_jiva.links import Link, Links
from tierce_jiva.replica_bytes import ReplicaBytes
from tierce_jiva.wire import Frame, encode_ack
from tierce_jiva.write_path import WritePath


def settle_on_the_first_answer(patch: pytest.MonkeyPatch) -> None:
    """A write is acknowledged when one replica has taken it."""

    def acknowledged(genuine: Any, self: WritePath, link: Link, frame: Frame) -> Any:
        batch = link.writes.get(frame.sequence)
        known = genuine(self, link, frame)
        if batch is not None and not batch.has_outcome and not frame.count:
            for other in self._links:
                other.writes.pop(frame.sequence, None)
            batch.waiting = 0
            self._finish(batch)
        return known

    wrap(patch, WritePath, "acknowledged", acknowledged)


def settle_on_a_majority(patch: pytest.MonkeyPatch) -> None:
    """A write is acknowledged when a majority has taken it."""

    def acknowledged(genuine: Any, self: WritePath, link: Link, frame: Frame) -> Any:
        batch = link.writes.get(frame.sequence)
        known = genuine(self, link, frame)
        if batch is not None and not batch.has_outcome and not frame.count:
            done = (batch.targets & ~batch.waiting).bit_count()
            if 2 * done > batch.targets.bit_count():
                for other in self._links:
                    other.writes.pop(frame.sequence, None)
                batch.waiting = 0
                self._finish(batch)
        return known

    wrap(patch, WritePath, "acknowledged", acknowledged)


def answer_good_whatever_failed(patch: pytest.MonkeyPatch) -> None:
    """A replica answers a failed write like any other."""

    def encode_good(sequence: int, ballot: Any, _failures: Any = ()) -> bytes:
        return encode_ack(sequence, ballot)

    patch.setattr("tierce_jiva.replica.encode_ack", encode_good)


def report_the_first_failure_only(patch: pytest.MonkeyPatch) -> None:
    """Of a batch in which several writes failed, one is said to have."""

    def apply(genuine: Any, self: ReplicaBytes, frame: Frame) -> Any:
        return genuine(self, frame)[:1]

    wrap(patch, ReplicaBytes, "apply", apply)


def take_what_is_not_resent_for_done(patch: pytest.MonkeyPatch) -> None:
    """What a replica had not answered when its link was lost counts as taken."""

    def resend(self: WritePath, link: Link) -> None:
        for batch in [*link.writes.values(), *link.flushes.values()]:
            batch.waiting &= ~link.bit
            if not batch.waiting and not batch.has_outcome:
                self._finish(batch)
        link.writes.clear()
        link.flushes.clear()

    patch.setattr(WritePath, "resend", resend)


def resend_the_newest_first(patch: pytest.MonkeyPatch) -> None:
    """What was not answered is sent again in any order."""

    def resend(genuine: Any, self: WritePath, link: Link) -> None:
        link.writes = dict(reversed(link.writes.items()))
        genuine(self, link)

    wrap(patch, WritePath, "resend", resend)


def keep_who_has_failed_a_write(patch: pytest.MonkeyPatch) -> None:
    """A write that failed on some is acknowledged by the others, and nobody is voted out."""

    def judge(genuine: Any, self: WritePath, batch: Any) -> None:
        if not batch.is_flush and not batch.waiting & ~batch.failed:
            required = self.required & batch.targets
            if batch.failed & required != required:
                for link in self._links.of(batch.failed):
                    link.writes.pop(batch.sequence, None)
                batch.failed, batch.waiting = 0, 0
                self._finish(batch)
                return
        genuine(self, batch)

    wrap(patch, WritePath, "judge", judge)


def leave_a_failed_write_unequal(patch: pytest.MonkeyPatch) -> None:
    """A write that failed everywhere is answered, and its extents are left as they are."""

    def end(genuine: Any, self: WritePath, batch: Any, failures: Any, lacking: int) -> None:
        genuine(self, batch, failures, lacking)
        if all(status.code is not Code.NOT_READY for status in failures.values()):
            forget_unequal(self)

    wrap(patch, WritePath, "_end", end)


def leave_a_given_up_write_unequal(patch: pytest.MonkeyPatch) -> None:
    """A write that was given up is answered, and its extents are left as they are."""

    def give_up(genuine: Any, self: WritePath, *args: Any) -> None:
        genuine(self, *args)
        forget_unequal(self)

    wrap(patch, WritePath, "give_up", give_up)


def forget_unequal(writes: WritePath) -> None:
    """Nobody learns what was found to be unequal just now."""
    agenda = writes._agenda
    agenda.findings = [found for found in agenda.findings if not isinstance(found, Unequal)]


def write_into_an_extent_under_copy(patch: pytest.MonkeyPatch) -> None:
    """Writes enter an extent while it is copied."""

    def change(replicator: Any) -> None:
        patch.setattr(replicator._admission._locked, "overlaps", lambda _offset, _length: False)

    on_targets(patch, change)


def pass_what_waits(patch: pytest.MonkeyPatch) -> None:
    """What overlaps a write that is pending does not wait behind it."""

    def change(replicator: Any) -> None:
        waiting = replicator._pending.waiting
        patch.setattr(waiting, "overlaps", lambda _offset, _length: False)

    on_targets(patch, change)


def know_the_first_granule_only(patch: pytest.MonkeyPatch) -> None:
    """Of a write across granules the first one is known to be under way."""

    def first(genuine: Any, self: InFlight, offset: int, _length: int) -> None:
        genuine(self, offset, 1)

    wrap(patch, InFlight, "add", first)
    wrap(patch, InFlight, "remove", first)


def write_to_the_required_only(patch: pytest.MonkeyPatch) -> None:
    """A replica that is rebuilt gets no live writes."""

    def send(genuine: Any, self: WritePath, requests: Any, completed: Any) -> None:
        targets, required = self.targets, self.required
        self.use([link for link in targets if link.bit & required], required)
        genuine(self, requests, completed)
        self.use(targets, required)

    wrap(patch, WritePath, "_send", send)


def ask_nobody_twice(patch: pytest.MonkeyPatch) -> None:
    """Zeroing an extent is sent to the first replica only, and taken as done by the others."""
    genuine = WritePath._send

    def send(self: WritePath, requests: Any, completed: Any) -> None:
        targets, required = self.targets, self.required
        if all(request.op is not Op.WRITE for request in requests):
            self.use(targets[:1], required)
        genuine(self, requests, completed)
        self.use(targets, required)

    patch.setattr(WritePath, "_send", send)


def drop_a_link_and_settle_nothing(patch: pytest.MonkeyPatch) -> None:
    """What waited for one that was voted out goes on waiting."""
    leave_out(patch, WritePath, "drop")


def forget_who_has_answered_a_lost_link(patch: pytest.MonkeyPatch) -> None:
    """A lost link's batches are forgotten with it."""

    def lose(genuine: Any, self: Links, link: Link, reason: str) -> None:
        genuine(self, link, reason)
        for batch in link.writes.values():
            batch.waiting &= ~link.bit
        link.writes.clear()

    wrap(patch, Links, "lose", lose)


PLANTS = plants_of(
    "writes",
    (
        settle_on_the_first_answer,
        settle_on_a_majority,
        answer_good_whatever_failed,
        report_the_first_failure_only,
        take_what_is_not_resent_for_done,
        resend_the_newest_first,
        keep_who_has_failed_a_write,
        leave_a_failed_write_unequal,
        leave_a_given_up_write_unequal,
        write_into_an_extent_under_copy,
        pass_what_waits,
        know_the_first_granule_only,
        write_to_the_required_only,
        ask_nobody_twice,
        drop_a_link_and_settle_nothing,
        forget_who_has_answered_a_lost_link,
    ),
)
