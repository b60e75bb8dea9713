"""What a replica asks its store beside the data path."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from core.fake_reactor import FakeReactor
from jiva.replica_site import SIZE, Site, Store
from tierce import Job, MemberStatus, StoreUsage, TemporaryError
from tierce_jiva.store import SparseFileStore
from tierce_jiva.store_jobs import (
    NAMED_COUNT_MAX,
    SCRUB_BYTES,
    USAGE_S,
    Scrubbed,
    StoreJobs,
    actions_of,
)

LARGE = 3 * SCRUB_BYTES + 4096


class Knowing(Store):
    """Knows how much it takes, and what is rotten."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.used: int | OSError = 4096
        self.asked: list[tuple[int, int]] = []
        self.rotten: dict[int, list[tuple[int, int]] | OSError] = {}

    def usage(self) -> StoreUsage:
        if isinstance(self.used, OSError):
            raise self.used
        return StoreUsage(used_bytes=self.used)

    def scrub(self, offset: int, length: int) -> list[tuple[int, int]]:
        self.asked.append((offset, length))
        found = self.rotten.get(offset, [])
        if isinstance(found, OSError):
            raise found
        return found


@attrs.define
class Context:
    """What of a member's context is used."""

    reactor: FakeReactor
    published: list[MemberStatus] = attrs.field(factory=list)
    size_bytes: int = LARGE
    member: Any = attrs.field(factory=lambda: type("Member", (), {"name": "replica-1"}))

    def publish(self, status: MemberStatus) -> None:
        self.published.append(status)


class Ladder:
    """Jobs of a store, whose worker is the test's hand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.context = Context(FakeReactor())
        self.work: list[tuple[Callable[[], Any], Callable[[Any, OSError | None], None]]] = []
        context: Any = self.context
        self.jobs = StoreJobs(store, context, lambda work, done: self.work.append((work, done)))
        self.answers: list[Any] = []
        self.progress: list[float] = []

    def work_off(self) -> None:
        work, done = self.work.pop(0)
        try:
            result = work()
        except OSError as error:
            done(None, error)
        else:
            done(result, None)

    def scrub(self) -> Job:
        job = Job(
            lambda result, error: self.answers.append(error or result),
            lambda fraction, _text: self.progress.append(fraction),
            pytest.fail,
        )
        self.jobs.manage("scrub", None, job)
        return job


def test_how_much_the_store_takes_is_told_when_it_has_changed() -> None:
    ladder = Ladder(store := Knowing())
    reactor, published = ladder.context.reactor, ladder.context.published
    ladder.work_off()
    assert published == [MemberStatus(name="replica-1", state="up", used_bytes=4096)]
    for used in (4096, OSError(errno.EIO, "not now"), 8192):
        store.used = used
        reactor.advance(USAGE_S)
        ladder.work_off()
    assert [status.used_bytes for status in published] == [4096, 8192]
    ladder.jobs.end()
    reactor.advance(USAGE_S)
    assert ladder.work == []


def test_of_a_store_that_can_nothing_nothing_is_asked() -> None:
    ladder = Ladder(Store(SIZE))
    assert actions_of(Store) == ()
    assert ladder.work == []
    ladder.context.reactor.advance(USAGE_S)
    assert ladder.work == []


def test_a_scrub_goes_through_the_volume_and_names_what_is_rotten() -> None:
    ladder = Ladder(store := Knowing())
    ladder.work_off()
    assert [action.name for action in actions_of(Knowing)] == ["scrub"]
    store.rotten = {SCRUB_BYTES: [(SCRUB_BYTES, 512), (SCRUB_BYTES + 4096, 512)]}
    ladder.scrub()
    while ladder.work:
        ladder.work_off()
    assert store.asked == [(n * SCRUB_BYTES, SCRUB_BYTES) for n in range(3)] + [
        (3 * SCRUB_BYTES, 4096)
    ]
    rotten = (f"{SCRUB_BYTES}+512", f"{SCRUB_BYTES + 4096}+512")
    assert ladder.answers == [Scrubbed(LARGE, 2, rotten)]
    assert ladder.progress == sorted(ladder.progress)


def test_what_a_scrub_names_is_bounded_and_all_of_it_counted() -> None:
    ladder = Ladder(store := Knowing())
    ladder.work_off()
    store.rotten = {0: [(number * 512, 512) for number in range(NAMED_COUNT_MAX + 1)]}
    ladder.scrub()
    while ladder.work:
        ladder.work_off()
    (scrubbed,) = ladder.answers
    assert (scrubbed.rotten_count, len(scrubbed.rotten)) == (NAMED_COUNT_MAX + 1, NAMED_COUNT_MAX)


def test_a_scrub_that_is_cancelled_or_fails_says_where() -> None:
    ladder = Ladder(store := Knowing())
    ladder.work_off()
    job = ladder.scrub()
    ladder.work_off()
    job.cancel()
    ladder.work_off()
    assert str(ladder.answers.pop()) == f"cancelled at byte {2 * SCRUB_BYTES}"
    assert ladder.work == []
    store.rotten = {0: OSError(errno.EIO, "bad sector")}
    ladder.scrub()
    ladder.work_off()
    assert str(ladder.answers.pop()) == "can't read from byte 0 on: bad sector"


def test_a_scrub_does_not_keep_its_replica_from_ending() -> None:
    ladder = Ladder(Knowing())
    ladder.work_off()
    ladder.scrub()
    ladder.jobs.end()
    ladder.work_off()
    assert ladder.work == [], "a replica that closes waits for what runs, and for no more"
    assert isinstance(ladder.answers[0], TemporaryError)
    assert str(ladder.answers.pop()) == f"its replica ends: scrubbed up to byte {SCRUB_BYTES}"


def test_a_sparse_file_takes_what_its_data_take(tmp_path: Path) -> None:
    path = tmp_path / "head"
    path.touch()
    os.truncate(path, SIZE)
    store = SparseFileStore(path, SIZE)
    assert store.usage() == StoreUsage(used_bytes=0)
    store.write(8192, memoryview(b"a" * 4096))
    assert 4096 <= store.usage().used_bytes <= SIZE // 2
    store.discard(0, SIZE)
    assert store.usage() == StoreUsage(used_bytes=0)
    store.close()


def test_a_replica_publishes_it_and_has_its_stores_actions(tmp_path: Path) -> None:
    site = Site(tmp_path / "replica")
    site.store = Knowing()
    published: list[MemberStatus] = []
    process = site.start(publish=published.append)
    site.work_off()
    assert [status.used_bytes for status in published] == [4096]
    assert [action.name for action in process.actions()] == ["scrub"]
    answers: list[Any] = []
    job = Job(lambda result, error: answers.append(error or result), lambda *_: None, pytest.fail)
    process.manage("scrub", None, job)
    closed: list[None] = []
    process.close(lambda: closed.append(None))
    assert not closed, "what runs on a worker is waited for"
    site.work_off()
    assert closed
    assert answers == [Scrubbed(SIZE, 0, ())]
    site.reactor.close()
