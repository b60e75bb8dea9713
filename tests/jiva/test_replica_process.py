"""A replica's process: real sockets and a real folder; what waits runs when the test says so."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from crc32c import crc32c

import tierce
from jiva.replica_site import EIO, IDENTITY, SIZE, T1, Peer, Site, Store, choice_of
from tierce import (
    BatchEntry,
    Code,
    ConflictError,
    Extent,
    FormatError,
    MemberSpec,
    Op,
    StoreChoice,
    StoreOpenContext,
    TierceError,
)
from tierce_jiva.ballot import NO_BALLOT
from tierce_jiva.files import OsFiles
from tierce_jiva.folder import ReplicaFolder
from tierce_jiva.frame_head import Asking, Durations, Extension, Stages, extended
from tierce_jiva.making import create_folder
from tierce_jiva.removing import Place, condemn_folder
from tierce_jiva.replica_actions import Log
from tierce_jiva.replica_process import CONNECTION_COUNT_MAX
from tierce_jiva.wire import (
    ENTRY,
    Frame,
    Kind,
    check_found,
    decode_failures,
    encode,
    encode_control,
    encode_extents,
)


def write(offset: int = 0, data: bytes = b"a" * 512) -> bytes:
    table = ENTRY.pack(Op.WRITE, len(data), offset, crc32c(data))
    front = encode(Kind.BATCH, 5, T1, table=table, count=1, payload_bytes=len(data))
    return front + data


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "replica")
    yield site
    for peer in site.peers:
        peer.socket.close()
    if site.process is not None:
        site.process.close(lambda: None)
        site.work_off()
    site.reactor.close()


@pytest.fixture
def peer(site: Site) -> Peer:
    site.start()
    peer = site.connect()
    peer.begin()
    return peer


# -- starting --------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_opened", [False, True])
def test_a_replica_whose_deletion_was_taken_back_while_its_disk_was_away_is_whole_again(
    site: Site, *, has_opened: bool
) -> None:
    if has_opened:
        site.start().close(lambda: None)
        site.work_off()
    condemn_folder(site.path, Place.WHOLE, OsFiles())
    site.start()
    site.connect().begin()
    assert (site.path / "volume.json").exists()
    assert not (site.path / "deleted.json").exists()


@pytest.mark.parametrize("gone", ["record.json", "head-000.img"])
def test_a_replica_of_which_anything_is_gone_stays_deleted(site: Site, gone: str) -> None:
    condemn_folder(site.path, Place.WHOLE, OsFiles())
    (site.path / gone).unlink()
    with pytest.raises(FormatError, match=r"volume\.json"):
        site.start()
    assert (site.path / "deleted.json").exists()


def test_a_folder_that_is_to_go_for_another_volume_is_left_alone(site: Site) -> None:
    condemn_folder(site.path, Place.WHOLE, OsFiles())
    with pytest.raises(ConflictError, match="left alone"):
        site.start(volume_uuid="ff00")
    assert (site.path / "deleted.json").exists()


def test_it_announces_where_it_listens(site: Site) -> None:
    site.start()
    (address,) = site.addresses
    assert address.startswith("127.0.0.1:")
    assert not address.endswith(":0")


@pytest.mark.parametrize(
    "changes", [{"volume_uuid": "1234"}, {"member": MemberSpec("replica-2", Path(), "")}]
)
def test_a_folder_of_another_replica_is_refused_and_let_go(
    site: Site, changes: dict[str, Any]
) -> None:
    if "member" in changes:
        changes = {"member": MemberSpec("replica-2", site.path, "127.0.0.1:0")}
    with pytest.raises(FormatError, match=r"holds replica 'replica-1' of volume 'demo' \(00ff\)"):
        site.start(**changes)
    ReplicaFolder(site.path).close()


def test_a_folder_that_is_exchanged_while_it_is_opened_is_refused(
    site: Site,
) -> None:
    def exchange(_context: StoreOpenContext) -> tierce.Store:
        site.path.rename(site.path.with_name("moved"))
        create_folder(IDENTITY, site.path, "boot")
        return site.store

    with pytest.raises(ConflictError, match="was exchanged while it was being opened"):
        site.start(store=choice_of(exchange))
    assert site.store.is_closed


def test_a_store_that_can_not_be_opened_lets_the_folder_go(site: Site) -> None:
    def fail(_context: StoreOpenContext) -> tierce.Store:
        raise FormatError("is 512 bytes long", path=site.path)

    with pytest.raises(FormatError, match="512 bytes"):
        site.start(store=choice_of(fail))
    ReplicaFolder(site.path).close()


def test_an_address_that_is_taken_is_named(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConflictError, match=address):
            site.start(member=MemberSpec("replica-1", site.path, address))


def test_its_welcome_tells_of_no_file_where_the_store_has_none_to_be_read(site: Site) -> None:
    site.start()
    peer = site.connect()
    hello = {"kind": "hello", "uuid": "00ff", "replica": "replica-1"}
    peer.send(encode_control(1, NO_BALLOT, hello))
    (frame,) = peer.received()
    assert not {"head", "device", "inode"} & frame.control().keys()


@pytest.mark.parametrize("store", [None, StoreChoice("other", Store)])
def test_a_folder_whose_bytes_another_store_keeps_is_refused(
    site: Site, store: StoreChoice | None
) -> None:
    with pytest.raises(FormatError, match="kept by the store 'sparse-file', the volume's engine"):
        site.start(store=store)
    ReplicaFolder(site.path).close()


def test_its_welcome_tells_of_the_very_file(site: Site) -> None:
    site.store.path = site.path / "head-000.img"
    site.start()
    peer = site.connect()
    hello = {"kind": "hello", "uuid": "00ff", "replica": "replica-1"}
    peer.send(encode_control(1, NO_BALLOT, hello))
    (frame,) = peer.received()
    message, status = frame.control(), (site.path / "head-000.img").stat()
    assert message["head"] == str(site.path / "head-000.img")
    assert (message["device"], message["inode"]) == (status.st_dev, status.st_ino)
    assert message["pid"] == os.getpid()
    assert message["incarnation"] != 0


# -- connections -----------------------------------------------------------------------------------


def test_no_more_connections_are_kept_than_are_needed(site: Site) -> None:
    site.start()
    peers = [site.connect() for _ in range(CONNECTION_COUNT_MAX + 1)]
    assert [peer.is_closed for peer in peers] == [False] * CONNECTION_COUNT_MAX + [True]
    peers[0].socket.close()
    site.turn()
    assert not site.connect().is_closed


def test_what_breaks_the_protocol_is_hung_up_on_and_told(peer: Peer) -> None:
    peer.send(encode_control(3, T1, {"kind": "dance"}))
    assert peer.is_closed
    assert "jiva.replica.hung-up" in peer.site.codes()


def test_a_successor_ends_the_connection_before_it(peer: Peer) -> None:
    successor = peer.site.connect()
    successor.begin()
    assert peer.is_closed


def test_what_a_target_sent_before_it_hung_up_is_not_taken_any_more(peer: Peer) -> None:
    site = peer.site
    peer.socket.sendall(write())
    peer.socket.shutdown(socket.SHUT_WR)
    site.turn()
    assert site.store.cached[0] == 0, "it has given up on what was not answered"
    assert peer.is_closed


# -- bytes -----------------------------------------------------------------------------------------


def test_writes_are_applied_and_counted(peer: Peer) -> None:
    peer.send(write())
    assert peer.said() == ["ACK"]
    assert peer.site.store.cached[0:1] == b"a"
    assert peer.site.stages["replica.apply"].added == [(Op.WRITE, 1, 512)]


def test_a_flush_waits_for_the_disk_on_a_worker(peer: Peer) -> None:
    site = peer.site
    peer.send(write(), encode(Kind.FLUSH, 6, T1))
    assert peer.said() == ["ACK"]
    assert len(site.reactor.work) == 1
    site.work_off()
    assert peer.said() == ["ACK"]
    assert site.store.durable[0:1] == b"a"
    assert site.stages["replica.sync"].added[-1] == (Op.FLUSH, 1, 0)


def test_a_flush_that_fails_is_counted_and_told_and_on_record(peer: Peer) -> None:
    site = peer.site
    site.store.syncs_to_fail = 1
    peer.send(encode(Kind.FLUSH, 6, T1))
    site.work_off()
    assert site.stages["replica.sync"].failed == [Op.FLUSH]
    assert "jiva.replica.flush-failed" in site.codes()
    (frame,) = peer.received()
    assert (frame.kind, frame.count) == (Kind.ACK, 1)
    assert b'"suspect": true' in (site.path / "record.json").read_bytes()
    # Opened anew, it can flush again.
    peer.send(encode_control(7, T1, {"kind": "renew"}))
    site.work_off()
    peer.send(encode(Kind.FLUSH, 8, T1))
    site.work_off()
    reopened, flushed = peer.received()
    assert reopened.control()["kind"] == "renewed"
    assert flushed.count == 0


def test_reads_and_digests_wait_for_the_disk_on_a_worker(peer: Peer) -> None:
    site = peer.site
    peer.send(write(512))
    peer.said()
    site.store.is_cold = True
    peer.send(encode_extents(Kind.READ, 6, T1, [(512, 512), (0, 512)]))
    peer.send(encode_extents(Kind.DIGEST, 7, T1, [(0, 1024)]))
    assert peer.said() == []
    site.work_off()
    data, digests = peer.received()
    assert bytes(data.payload) == b"a" * 512 + bytes(512)
    assert bytes(digests.table) == site.store.digest(0, 1024)
    assert site.stages["replica.read"].added == [(Op.READ, 2, 1024)]


def test_holes_are_found_on_a_worker(peer: Peer) -> None:
    site = peer.site
    peer.send(write(8192))
    peer.said()
    peer.send(encode_extents(Kind.STATUS, 6, T1, [(0, SIZE)]))
    assert peer.said() == []
    site.work_off()
    (frame,) = peer.received()
    assert check_found(frame, 0, SIZE) == (
        Extent(0, 8192, is_hole=True),
        Extent(8192, 4096, is_hole=False),
        Extent(12288, SIZE - 12288, is_hole=True),
    )
    site.store.fail_read = EIO
    peer.send(encode_extents(Kind.STATUS, 7, T1, [(0, SIZE)]))
    site.work_off()
    (frame,) = peer.received()
    assert (frame.kind, frame.sequence, frame.count) == (Kind.ACK, 7, 1)
    assert "jiva.replica.read-failed" in site.codes()


def test_reads_and_digests_that_fail_are_told(peer: Peer) -> None:
    site = peer.site
    site.store.is_cold = True
    site.store.fail_read = EIO
    peer.send(encode_extents(Kind.READ, 6, T1, [(0, 512)]))
    peer.send(encode_extents(Kind.DIGEST, 7, T1, [(0, 512)]))
    site.work_off()
    assert [(frame.kind, frame.count) for frame in peer.received()] == [(Kind.ACK, 1)] * 2
    (event,) = (event for event in site.events if event.code == "jiva.replica.read-failed")
    assert event.message == "replica-1 can't read: its disk failed"
    assert (event.subject, event.severity) == ("volume/demo/replica-1", "error")
    assert site.stages["replica.read"].failed == [Op.READ]


# -- frames that are timed, or followed ------------------------------------------------------------

ASKING = Asking(bytes(range(16)), bytes(range(8)))
IDS = {"trace_id": ASKING.trace_id.hex(), "span_id": ASKING.span_id.hex()}
FOLLOWED = Extension(is_timed=True, asking=ASKING)


def durations(frame: Frame) -> Durations:
    assert frame.extension is not None
    assert frame.extension.durations is not None
    return frame.extension.durations


def test_an_answer_to_a_timed_frame_tells_what_its_clock_has_measured(peer: Peer) -> None:
    site = peer.site
    batch = write()
    peer.send(extended(batch[:-512], FOLLOWED) + batch[-512:])
    peer.send(extended(encode(Kind.FLUSH, 6, T1), FOLLOWED))
    site.work_off()
    applied, synced = map(durations, peer.received())
    assert (applied.stages, synced.stages) == (Stages.QUEUE_APPLY, Stages.SYNC_WAIT_SYNC)
    assert applied.second_ns > 0
    assert synced.second_ns > 0
    site.store.is_cold = True
    peer.send(extended(encode_extents(Kind.READ, 7, T1, [(0, 512)]), FOLLOWED))
    site.work_off()
    read, site.store.is_cold = durations(*peer.received()), False
    assert read.stages is Stages.QUEUE_READ
    assert read.second_ns > 0


def test_an_event_that_came_of_a_followed_frame_names_its_trace(peer: Peer) -> None:
    site = peer.site
    site.store.fail_write = EIO
    batch = write()
    peer.send(extended(batch[:-512], FOLLOWED) + batch[-512:])
    (event,) = (event for event in site.events if event.code == "jiva.replica.write-failed")
    assert event.fields == IDS


def test_a_line_of_the_log_about_a_followed_frame_names_its_trace(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    process = site.start(logger=logging.getLogger("tierce.member.replica-1"))
    process._carry_out([Log("took 120.0 ms to flush", ASKING)])
    (line,) = caplog.records
    assert line.getMessage() == "took 120.0 ms to flush"
    assert {name: getattr(line, name) for name in IDS} == IDS


# -- a store that lets batches wait ----------------------------------------------------------------


class Waiting(Store):
    """Lets batches wait, until the test says that it is ready."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.ready: list[Callable[[OSError | None], None]] = []
        self.error: OSError | None = None
        self.is_quick = False

    def admit(self, entries: Sequence[BatchEntry], ready: Callable[[OSError | None], None]) -> bool:
        assert entries
        if self.error is not None:
            raise self.error
        if self.is_quick:
            ready(None)
        else:
            self.ready.append(ready)
        return False


@pytest.fixture
def waiting(site: Site) -> Waiting:
    store = Waiting()
    site.store = store
    site.start()
    peer = site.connect()
    peer.begin()
    return store


def test_a_batch_that_its_store_lets_wait_keeps_its_connection_unread(
    site: Site, waiting: Waiting
) -> None:
    (peer,) = site.peers
    peer.send(write(), encode(Kind.FLUSH, 6, T1))
    peer.send(write(4096))
    assert peer.said() == []
    assert len(waiting.ready) == 1
    assert not site.reactor.work, "the flush waits too"
    waiting.ready[0](None)
    site.work_off()
    assert peer.said() == ["ACK", "ACK"], "the write and the flush; the next write waits"
    waiting.ready[1](None)
    assert peer.said() == ["ACK"]
    assert waiting.cached[4096:4100] == b"aaaa"


@pytest.mark.parametrize("how", ["quick", "full"])
def test_a_store_may_be_ready_or_fail_at_once(site: Site, waiting: Waiting, how: str) -> None:
    waiting.is_quick = how == "quick"
    waiting.error = None if how == "quick" else OSError(errno.ENOSPC, "no lease")
    (peer,) = site.peers
    peer.send(write(), write(4096))
    frames = peer.received()
    codes = [] if how == "quick" else [(0, Code.NO_SPACE)]
    assert [decode_failures(frame) for frame in frames] == [codes, codes]


def test_a_store_that_is_ready_after_the_end_is_not_written_to(
    site: Site, waiting: Waiting
) -> None:
    (peer,) = site.peers
    peer.send(write())
    closed: list[None] = []
    assert site.process is not None
    site.process.close(lambda: closed.append(None))
    site.process = None
    waiting.ready[0](None)
    site.turn()
    assert closed
    assert waiting.cached[:4] == bytes(4)


def test_a_store_that_lets_nothing_wait_is_not_asked(peer: Peer) -> None:
    assert peer.site.process is not None
    assert peer.site.process._replica._held is None


# -- the end ---------------------------------------------------------------------------------------


def test_a_record_that_can_not_be_saved_ends_the_process(peer: Peer) -> None:
    shutil.rmtree(peer.site.path)
    peer.send(encode_control(6, T1, {"kind": "mark", "order": 1, "settled": 0, "marks": "01"}))
    with pytest.raises(TierceError, match="can't make its record durable: No such file"):
        peer.site.work_off()
    assert peer.site.codes()[-1] == "jiva.replica.stopped"
    assert peer.said() == []


def test_a_file_that_was_cut_ends_the_process(peer: Peer) -> None:
    peer.site.store.is_cut = True
    peer.socket.sendall(write())
    with pytest.raises(TierceError, match="cut short can't be trusted"):
        peer.site.turn()


def test_a_mistake_of_ours_on_a_worker_is_not_taken_for_a_bad_disk(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(peer.site.store, "flush", fail)
    # It is bound when the flush is asked for.
    peer.send(encode(Kind.FLUSH, 6, T1))
    with pytest.raises(ZeroDivisionError):
        peer.site.work_off()


def test_an_orderly_end_waits_for_what_is_on_a_worker(peer: Peer) -> None:
    site, closed = peer.site, list[None]()
    peer.send(encode(Kind.FLUSH, 6, T1))
    assert site.process is not None
    site.process.close(lambda: closed.append(None))
    site.process = None
    assert peer.is_closed
    assert not closed
    assert not site.store.is_closed
    site.work_off()
    assert closed
    assert site.store.is_closed
    ReplicaFolder(site.path).close()


def test_nobody_is_answered_who_is_gone(peer: Peer) -> None:
    site = peer.site
    peer.send(encode(Kind.FLUSH, 6, T1))
    peer.socket.close()
    site.turn()
    site.work_off()
    assert site.codes() == []
