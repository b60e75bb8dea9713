"""Flushes and what is in doubt, each with a clause left out."""

from __future__ import annotations

from typing import Any

import pytest

from jiva.plants.plant import leave_out, plants_of, wrap
from tierce_jiva.doubts import Doubts
from tierce_jiva.links import Link
from tierce_jiva.replica import Replica
from tierce_jiva.replica_bytes import ReplicaBytes
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.wire import Frame, encode_ack
from tierce_jiva.write_path import WritePath


def skip_fdatasync(patch: pytest.MonkeyPatch) -> None:
    """A replica answers a flush and syncs nothing."""

    def flush(self: ReplicaBytes, connection: int, frame: Frame, _arrived_ns: int) -> None:
        self._answer(connection, encode_ack(frame.sequence, self._keeper.promised))

    patch.setattr(ReplicaBytes, "_flush", flush)


def take_a_failed_fsync_for_success(patch: pytest.MonkeyPatch) -> None:
    """A replica does not look at what a sync returns."""
    wrap(patch, Replica, "synced", lambda genuine, self, _error: genuine(self, None))


def answer_by_a_sync_that_began_before(patch: pytest.MonkeyPatch) -> None:
    """A flush that arrives while a sync runs is answered with it."""

    def flush(
        genuine: Any, self: ReplicaBytes, connection: int, frame: Frame, arrived_ns: int
    ) -> None:
        if self._syncing is not None:
            self._syncing.append((connection, frame.sequence, None))
        else:
            genuine(self, connection, frame, arrived_ns)

    wrap(patch, ReplicaBytes, "_flush", flush)


def settle_a_flush_on_the_first_answer(patch: pytest.MonkeyPatch) -> None:
    """A flush is answered when one replica has done it."""

    def acknowledged(genuine: Any, self: WritePath, link: Link, frame: Frame) -> Any:
        batch = link.flushes.get(frame.sequence)
        known = genuine(self, link, frame)
        if batch is not None and not batch.has_outcome and not frame.count:
            for other in self._links:
                other.flushes.pop(frame.sequence, None)
            batch.waiting = batch.failed = 0
            self._finish(batch)
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


def trust_without_writing_again(patch: pytest.MonkeyPatch) -> None:
    """What is in doubt is flushed, and not written again before."""

    def put(genuine: Any, self: Doubts, link: Link, *args: Any, **kw: Any) -> None:
        genuine(self, link, *args, **kw)
        link.doubt.clear()

    wrap(patch, Doubts, "put", put)


PLANTS = plants_of(
    "flushes",
    (
        skip_fdatasync,
        take_a_failed_fsync_for_success,
        answer_by_a_sync_that_began_before,
        settle_a_flush_on_the_first_answer,
        flush_without_who_is_in_doubt,
        resend_flushes_to_who_is_in_doubt,
        doubt_nobody_after_a_restart,
        doubt_only_what_came_after_the_last_flush,
        count_a_flush_from_its_end,
        forget_what_one_has_flushed,
        trust_without_writing_again,
    ),
)
