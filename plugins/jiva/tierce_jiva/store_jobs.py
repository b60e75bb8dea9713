"""What a replica asks its store beside the data path, if the store can: how much it takes, and
which of its bytes are not as they were written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from tierce import (
    Action,
    Job,
    MemberContext,
    MemberStatus,
    Store,
    StoreCapability,
    StoreUsage,
    TemporaryError,
    TierceError,
    UsageError,
    option,
)

#: How often it is looked how much the store takes.
USAGE_S = 60.0
#: How much is scrubbed by one call on a worker.
SCRUB_BYTES = 8 << 20
#: So many extents are named; of what is beyond that only the number is told.
NAMED_COUNT_MAX = 1000

#: Runs what waits on a worker thread, then `done(result, error)`; an orderly end waits for it.
Offload = Callable[[Callable[[], Any], Callable[[Any, OSError | None], None]], None]


@attrs.frozen
class Scrubbed:
    """What the action `scrub` answers."""

    checked_bytes: int = option(doc="How much was looked at.", unit="bytes")
    rotten_count: int = option(doc="How many extents are not as they were written.")
    rotten: tuple[str, ...] = option(
        default=(), doc="Which these are, OFFSET+LENGTH each in bytes; the first 1000."
    )


_SCRUB = Action(
    name="scrub",
    summary="Hold every byte of this replica against its checksum; what is rotten is named, and is "
    "written anew from another replica once it is read.",
    result=Scrubbed,
    is_long=True,
    is_repeatable=True,
)


def actions_of(kind: type[Store]) -> tuple[Action, ...]:
    """Name what a store of that class can be asked for."""
    return (_SCRUB,) if StoreCapability.SCRUB in kind.capabilities() else ()


class StoreJobs:
    """What is asked of one store.

    Args:
        store: It, open.
        context: What its replica was started with.
        offload: Runs what waits.

    Attributes:
        is_ended: Nothing more is asked: the replica ends, and waits for what runs.
    """

    def __init__(self, store: Store, context: MemberContext, offload: Offload) -> None:
        self._store = store
        self._context = context
        self._offload = offload
        self._capabilities = type(store).capabilities()
        self._told = -1
        self.is_ended = False
        if StoreCapability.USAGE in self._capabilities:
            self._look()

    def manage(self, action: str, _arguments: Any, job: Job) -> None:
        """Do it, and answer."""
        assert action == _SCRUB.name
        _Scrub(self, self._store, self._context.size_bytes, self._offload, job).step()

    def end(self) -> None:
        """Ask nothing more."""
        self.is_ended = True

    def _look(self) -> None:
        if not self.is_ended:
            self._offload(self._store.usage, self._looked)
            self._context.reactor.call_later(USAGE_S, self._look)

    def _looked(self, usage: StoreUsage | None, error: OSError | None) -> None:
        if error is None and usage is not None and usage.used_bytes != self._told:
            self._told = usage.used_bytes
            name = self._context.member.name
            self._context.publish(MemberStatus(name=name, state="up", used_bytes=self._told))


class _Scrub:
    """One scrub on its way through the volume."""

    def __init__(
        self, jobs: StoreJobs, store: Store, size_bytes: int, offload: Offload, job: Job
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._size_bytes = size_bytes
        self._offload = offload
        self._job = job
        self._at = 0
        self._rotten: list[str] = []
        self._count = 0

    def step(self) -> None:
        """Look at the next piece, or answer."""
        if self._at >= self._size_bytes:
            self._job.done(Scrubbed(self._at, self._count, tuple(self._rotten)))
        elif self._jobs.is_ended:
            self._job.fail(TemporaryError(f"its replica ends: scrubbed up to byte {self._at}"))
        elif self._job.is_cancelled:
            self._job.fail(UsageError(f"cancelled at byte {self._at}"))
        else:
            self._job.progress(self._at / self._size_bytes, f"{self._at >> 20} MiB are scrubbed")
            at, length = self._at, min(SCRUB_BYTES, self._size_bytes - self._at)
            self._offload(lambda: self._store.scrub(at, length), self._looked)

    def _looked(self, rotten: list[tuple[int, int]] | None, error: OSError | None) -> None:
        if error is not None:
            self._job.fail(TierceError(f"can't read from byte {self._at} on: {error.strerror}"))
            return
        for offset, length in rotten or []:
            self._count += 1
            if len(self._rotten) < NAMED_COUNT_MAX:
                self._rotten.append(f"{offset}+{length}")
        self._at += min(SCRUB_BYTES, self._size_bytes - self._at)
        self.step()
