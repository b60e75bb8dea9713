"""Flushes and what is in doubt, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.plant import Plant, leave_out, plants_of, wrap
from tierce import Code
from tierce_jiva.doubts import Doubts
from tierce_jiva.extent_copy import ExtentCopy
from tierce_jiva.links import Link
from tierce_jiva.replica import Replica
from tierce_jiva.replica_bytes import ReplicaBytes
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import Frame, encode_ack
from tierce_jiva.write_path import WritePath

AREA = "flushes"


def skip_fdatasync(patch: pytest.MonkeyPatch) -> None:
    """A replica answers a flush and syncs nothing."""

    def flush(self: ReplicaBytes, connection: int, frame: Frame) -> None:
        self._answer(connection, encode_ack(frame.sequence, self._keeper.promised))

    patch.setattr(ReplicaBytes, "_flush", flush)


def take_a_failed_fsync_for_success(patch: pytest.MonkeyPatch) -> None:
    """A replica does not look at what a sync returns."""
    wrap(patch, Replica, "synced", lambda genuine, self, _error: genuine(self, None))


def answer_by_a_sync_that_began_before(patch: pytest.MonkeyPatch) -> None:
    """A flush that arrives while a sync runs is answered with it."""

    def flush(genuine: Any, self: ReplicaBytes, connection: int, frame: Frame) -> None:
        if self._syncing is not None:
            self._syncing.append((connection, frame.sequence))
        else:
            genuine(self, connection, frame)

    wrap(patch, ReplicaBytes, "_flush", flush)


def settle_a_flush_on_the_first_answer(patch: pytest.MonkeyPatch) -> None:
    """A flush is answered when one replica has done it."""

    def acknowledged(genuine: Any, self: WritePath, link: Link, frame: Frame) -> Any:
        batch = link.flushes.get(frame.sequence)
        known = genuine(self, link, frame)
        if batch is not None and not batch.is_settled and not frame.count:
            for other in self._links:
                other.flushes.pop(frame.sequence, None)
            batch.waiting = batch.failed = 0
            self._settle(batch)
        return known

    wrap(patch, WritePath, "acknowledged", acknowledged)


def flush_without_who_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """A flush is not owed by a member that is in doubt."""

    def flush(genuine: Any, self: WritePath, requests: Any, settled: Any) -> Any:
        required = self.required
        for link in self._links.of(required):
            if link.is_in_doubt:
                self.required &= ~link.bit
        batch = genuine(self, requests, settled)
        self.required = required
        return batch

    wrap(patch, WritePath, "flush", flush)


def flush_who_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """A flush is sent to a member that is in doubt like to any other."""

    def flush(genuine: Any, self: WritePath, requests: Any, settled: Any) -> Any:
        batch = genuine(self, requests, settled)
        for link in self._links.of(batch.targets):
            if link.is_ready and link.is_in_doubt:
                link.outgoing += batch.buffers
        return batch

    wrap(patch, WritePath, "flush", flush)


def resend_flushes_to_who_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """One that comes back in doubt is sent the flushes that it has not answered."""

    def resend(genuine: Any, self: WritePath, link: Link) -> None:
        genuine(self, link)
        if link.is_in_doubt:
            self.send_flushes(link)

    wrap(patch, WritePath, "resend", resend)


def doubt_nobody_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """A replica whose process has restarted is as good as before."""
    leave_out(patch, Doubts, "restarted")


def doubt_only_what_came_after_the_last_flush(patch: pytest.MonkeyPatch) -> None:
    """What was written before a flush that is under way is not in doubt."""

    def since(genuine: Any, self: Unflushed, _epoch: int) -> Any:
        return genuine(self, self.epoch)

    wrap(patch, Unflushed, "since", since)


def count_a_flush_from_its_end(patch: pytest.MonkeyPatch) -> None:
    """What was written while a flush ran is not in doubt after a restart."""

    def has_flushed(genuine: Any, self: WritePath, link: Link, _epoch: int) -> None:
        genuine(self, link, self._unflushed.epoch + 1)

    wrap(patch, WritePath, "_has_flushed", has_flushed)


def forget_what_one_has_flushed(patch: pytest.MonkeyPatch) -> None:
    """What one replica has flushed is forgotten for all."""

    def has_flushed(genuine: Any, self: WritePath, link: Link, epoch: int) -> None:
        genuine(self, link, epoch)
        self._unflushed.forget(epoch)

    wrap(patch, WritePath, "_has_flushed", has_flushed)


def inherit_nothing(patch: pytest.MonkeyPatch) -> None:
    """What the last target may have left unflushed is not in doubt after a restart."""
    leave_out(patch, Unflushed, "inherit")


def compare_what_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    """What is in doubt is written again only where it reads differently."""

    def init(
        genuine: Any, self: ExtentCopy, links: Any, source: Any, targets: Any, *args: Any, **kw: Any
    ) -> None:
        genuine(self, links, source, dict.fromkeys(targets, False), *args, **kw)

    wrap(patch, ExtentCopy, "__init__", init)


def trust_who_was_written_again_without_a_flush(patch: pytest.MonkeyPatch) -> None:
    """What was in doubt and was written again need not be flushed."""

    def prove(self: Doubts, link: Link) -> None:
        self._links.ask_redone(link, lambda _is_agreed: None)
        link.is_unproved = False
        self._released(link)

    patch.setattr(Doubts, "_prove", prove)


def trust_without_writing_again(patch: pytest.MonkeyPatch) -> None:
    """What is in doubt is flushed, and not written again before."""

    def put(genuine: Any, self: Doubts, link: Link, *args: Any, **kw: Any) -> None:
        genuine(self, link, *args, **kw)
        link.doubt.clear()

    wrap(patch, Doubts, "put", put)


def agree_though_a_sync_has_failed_since(patch: pytest.MonkeyPatch) -> None:
    """A replica agrees that nothing is in doubt whatever has happened."""

    def redone(self: Replica, connection: int, sequence: int) -> None:
        self._inherited = frozenset()
        self._keeper.change(suspect=False)
        self._keeper.then(lambda: self._say(connection, sequence, {"kind": "redone", "done": True}))

    patch.setattr(Replica, "_redone", redone)


def forget_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    """A failed sync is reported, and not written down."""

    def sync_failed(self: ReplicaBytes, flushes: Any, code: Code) -> None:
        for connection, sequence in flushes:
            self._answer(connection, encode_ack(sequence, self._keeper.promised, [(0, code)]))

    patch.setattr(ReplicaBytes, "_sync_failed", sync_failed)


def report_a_failed_sync_before_it_is_written_down(patch: pytest.MonkeyPatch) -> None:
    """A failed sync is reported while the disk still works on the record."""

    def sync_failed(genuine: Any, self: ReplicaBytes, flushes: Any, code: Code) -> None:
        for connection, sequence in flushes:
            self._answer(connection, encode_ack(sequence, self._keeper.promised, [(0, code)]))
        genuine(self, [], code)

    wrap(patch, ReplicaBytes, "_sync_failed", sync_failed)


def answer_readers_before_the_news_of_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    """What is read after a failed sync is answered before that is told."""

    def answer_reader(self: ReplicaBytes, connection: int, frame: bytes) -> None:
        self._answer(connection, frame)

    patch.setattr(ReplicaBytes, "_answer_reader", answer_reader)


def answer_good_where_all_have_failed(patch: pytest.MonkeyPatch) -> None:
    """A flush that failed on all is answered like any other."""

    def end_flush(genuine: Any, self: WritePath, batch: Any, _status: Any) -> None:
        from tierce import GOOD  # noqa: PLC0415

        genuine(self, batch, GOOD)

    wrap(patch, WritePath, "_end_flush", end_flush)


def read_from_the_cache_after_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    """Who has failed to sync flushes again without opening its bytes anew."""

    def flush(genuine: Any, self: ReplicaBytes, *args: Any) -> None:
        renewed, self.is_renewed = self.is_renewed, True
        genuine(self, *args)
        self.is_renewed = renewed

    wrap(patch, ReplicaBytes, "_flush", flush)


PLANTS = (
    *plants_of(
        AREA,
        (
            skip_fdatasync,
            take_a_failed_fsync_for_success,
            answer_by_a_sync_that_began_before,
            settle_a_flush_on_the_first_answer,
            flush_without_who_is_in_doubt,
            flush_who_is_in_doubt,
            resend_flushes_to_who_is_in_doubt,
            doubt_nobody_after_a_restart,
            doubt_only_what_came_after_the_last_flush,
            count_a_flush_from_its_end,
            forget_what_one_has_flushed,
            inherit_nothing,
            compare_what_is_in_doubt,
            trust_who_was_written_again_without_a_flush,
            trust_without_writing_again,
            agree_though_a_sync_has_failed_since,
            forget_a_failed_sync,
            report_a_failed_sync_before_it_is_written_down,
            answer_readers_before_the_news_of_a_failed_sync,
            answer_good_where_all_have_failed,
            read_from_the_cache_after_a_failed_sync,
        ),
    ),
)
__all__ = ["AREA", "PLANTS", "Plant"]
