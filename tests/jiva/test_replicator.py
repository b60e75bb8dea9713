"""Ladders: one target and its replicas, told step by step."""

from __future__ import annotations

import errno

import pytest

from jiva.cluster import Cluster, bytes_of, opened
from jiva.ladder import frames_of
from tierce import GOOD, Code, Op, Request
from tierce_jiva.ballot import NO_BALLOT, Membership
from tierce_jiva.findings import AtFault
from tierce_jiva.opener import OPENING_RETRY_S
from tierce_jiva.replica_actions import Save
from tierce_jiva.target_actions import Hangup, Report
from tierce_jiva.wire import encode_control

BLOCK = 4096


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster(3, dead_s=1.0, not_ready_after_s=5.0, reconnect_grace_s=0.3)
    cluster.run(3)
    assert cluster.is_serving
    return cluster


def equal_copies(cluster: Cluster) -> bool:
    return len({bytes(node.store.cached) for node in cluster.nodes.values()}) == 1


def test_a_write_is_acknowledged_only_when_every_in_sync_replica_has_it(cluster: Cluster) -> None:
    cluster.nodes["replica-3"].is_hung = True
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run()
    assert write.status is None
    cluster.nodes["replica-3"].is_hung = False
    cluster.run()
    assert write.status is GOOD
    assert equal_copies(cluster)


def test_replicas_are_marked_before_the_first_write_and_clean_again_after(cluster: Cluster) -> None:
    assert not any(node.record.marked for node in cluster.nodes.values())
    cluster.write(0, b"a" * BLOCK)
    cluster.run()
    assert all(node.record.marked for node in cluster.nodes.values())
    flush = cluster.flush()
    cluster.run(10)
    assert flush.status is GOOD
    assert not any(node.record.marked for node in cluster.nodes.values())
    assert not cluster.target.is_busy


def test_a_hung_replica_is_voted_out_and_writes_go_on(cluster: Cluster) -> None:
    cluster.write(0, b"a" * BLOCK)
    cluster.run()
    cluster.nodes["replica-2"].is_hung = True
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(2)
    assert write.status is GOOD
    assert "jiva.replica.voted-out" in cluster.codes()
    cluster.nodes["replica-2"].is_hung = False
    cluster.run(5)
    assert set(cluster.states().values()) == {"in-sync"}
    assert equal_copies(cluster)


def test_a_lost_majority_stops_writes_for_a_bounded_time(cluster: Cluster) -> None:
    cluster.kill_replica("replica-2")
    cluster.kill_replica("replica-3")
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run(2)
    assert write.status is None
    cluster.run(5)
    assert write.status is not None
    assert write.status.code is Code.NOT_READY
    cluster.start_replica("replica-2")
    cluster.start_replica("replica-3")
    cluster.run(5)
    assert equal_copies(cluster)


def test_a_fenced_target_serves_nothing_any_more(cluster: Cluster) -> None:
    cluster.put(0, b"a" * BLOCK)
    old = cluster.target
    new = cluster.start_target()
    cluster.run(3)
    assert cluster.is_serving
    cluster.put(0, b"b" * BLOCK)
    # The old one is still there; it finds its connections lost, and makes them anew.
    cluster.target = old
    for name in cluster.nodes:
        cluster.break_pipe(name, "lost")
    unaware = [cluster.write(0, b"c" * BLOCK), cluster.read(0, BLOCK), cluster.flush()]
    cluster.run(3)
    assert cluster.fenced
    for request in (*unaware, cluster.write(0, b"c" * BLOCK), cluster.read(0, BLOCK)):
        assert request.status is None or request.status.code is Code.FENCED
    asked_late = cluster.read(0, BLOCK)
    assert asked_late.status is not None
    assert asked_late.status.code is Code.FENCED
    # Nobody answers it, and it asks nobody: the volume is the new one's, as that left it.
    cluster.run(30)
    cluster.target = new
    cluster.run(5)
    assert cluster.is_serving
    assert cluster.get(0) == b"b" * BLOCK


def test_a_restarted_process_counts_and_a_rebooted_machine_does_not(
    cluster: Cluster,
) -> None:
    cluster.write(0, b"a" * BLOCK)
    cluster.run()
    for name in cluster.nodes:
        cluster.kill_replica(name)
    cluster.power_off("replica-1")
    for name in cluster.nodes:
        cluster.start_replica(name)
    cluster.start_target()
    cluster.run(5)
    read = cluster.read(0, BLOCK)
    cluster.run()
    assert bytes_of(read) == b"a" * BLOCK
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_reboot_of_a_clean_replica_is_no_loss_of_memory_later(cluster: Cluster) -> None:
    for name in cluster.nodes:
        cluster.power_off(name)
        cluster.start_replica(name)
    cluster.start_target()
    cluster.run(3)
    cluster.write(0, b"a" * BLOCK)
    cluster.run()
    for name in cluster.nodes:
        cluster.kill_replica(name)
    cluster.start_replica("replica-1")
    cluster.start_replica("replica-2")
    cluster.start_target()
    cluster.run(5)
    assert cluster.is_serving
    read = cluster.read(0, BLOCK)
    cluster.run()
    assert bytes_of(read) == b"a" * BLOCK


def test_a_replica_that_cannot_write_is_voted_out(cluster: Cluster) -> None:
    cluster.nodes["replica-1"].store.fail_write = OSError(errno.EIO, "planned")
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run(1)
    assert write.status is GOOD
    assert "jiva.replica.voted-out" in cluster.codes()


def test_full_disks_everywhere_fail_the_write_and_eject_nobody(cluster: Cluster) -> None:
    for node in cluster.nodes.values():
        node.store.fail_write = OSError(errno.ENOSPC, "planned")
    write = cluster.write(0, b"a" * BLOCK)
    cluster.run(1)
    assert write.status is not None
    assert write.status.code is Code.NO_SPACE
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_failed_flush_is_never_success_until_the_replica_was_copied_anew(
    cluster: Cluster,
) -> None:
    cluster.write(0, b"a" * BLOCK)
    cluster.run()
    store = cluster.nodes["replica-2"].store
    store.fail_sync = OSError(errno.EIO, "planned")
    flush = cluster.flush()
    cluster.run(1)
    assert flush.status is GOOD
    assert cluster.nodes["replica-2"].record.suspect
    store.fail_sync = None
    cluster.run(8)
    assert store.renewals
    assert not cluster.nodes["replica-2"].record.suspect
    assert set(cluster.states().values()) == {"in-sync"}


def test_a_replica_that_knows_other_members_is_refused(cluster: Cluster) -> None:
    node = cluster.nodes["replica-3"]
    cluster.kill_replica("replica-3")
    members = ("replica-1", "replica-2", "replica-3", "replica-4")
    node.record = type(node.record)(
        node.record.promised,
        Membership(node.record.promised, 1, members, members),
        node.boot_id,
    )
    cluster.start_replica("replica-3")
    for _ in range(20):
        cluster.connect()
        cluster.step()
    assert cluster.is_serving
    assert not cluster.target.links["replica-3"].is_ready


def test_the_list_in_which_a_batch_came_is_not_lengthened_by_what_came_after_it() -> None:
    cluster = Cluster(3, not_ready_after_s=5.0)
    told: list[list[Request]] = []
    first, second = [Request(Op.FLUSH)], [Request(Op.FLUSH)]
    for batch in (first, second):
        # They wait: nobody is connected to.
        cluster.target.submit(cluster.now, batch, told.append)
    expected = [*first, *second]
    cluster.run(6, connect=False)
    assert told == [expected], "both are told of at once"
    assert (len(first), len(second)) == (1, 1)


def wait_beside_others(cluster: Cluster, seconds: int) -> None:
    """Each second something is answered, so that what waits is looked at again."""
    for _ in range(seconds):
        assert cluster.get(8 << 20) == b"a" * BLOCK
        cluster.run(1)


def test_what_waits_and_is_looked_at_again_is_as_old_as_it_was() -> None:
    cluster = opened(1, size_bytes=12 << 20, not_ready_after_s=8.0)
    cluster.put(8 << 20, b"a" * BLOCK)
    # The mark that the write needs does not come.
    cluster.nodes["replica-1"].held = {Save}
    write = cluster.write(0, b"b" * BLOCK)
    wait_beside_others(cluster, 8)
    assert write.status is None
    cluster.run(1)
    assert write.status is not None
    assert write.status.code is Code.NOT_READY


def test_a_read_that_has_waited_for_a_write_is_as_old_as_it_was() -> None:
    cluster = opened(1, size_bytes=12 << 20, not_ready_after_s=8.0)
    node = cluster.nodes["replica-1"]
    node.held = {Save}
    write, read = cluster.write(0, b"b" * BLOCK), cluster.read(0, BLOCK)
    cluster.run(6)
    cluster.release("replica-1")
    cluster.step_until(lambda: write.status is not None)
    # It is asked for now, and not answered.
    node.is_hung = True
    cluster.run(1)
    assert (write.status, read.status) == (GOOD, None)
    cluster.run(2)
    assert read.status is not None
    assert read.status.code is Code.NOT_READY


def test_what_follows_from_a_finding_is_seen_to_before_the_next() -> None:
    cluster = opened(5)
    agenda, links = cluster.target.agenda, cluster.target.links
    first, second = links["replica-1"], links["replica-2"]
    agenda.findings += [AtFault([first], "it failed"), AtFault([second], "it failed too")]
    cluster.target.tick(cluster.now)
    told = list[str]()
    for action in agenda.take_actions():
        if isinstance(action, Hangup):
            told.append(f"{action.name} is hung up on")
        elif isinstance(action, Report):
            told.append(action.event.message.partition(": ")[2].partition(":")[0])
    # Each is voted out and hung up on before anybody else is judged.
    assert told == [
        "replica-1 is voted out",
        "replica-1 is hung up on",
        "replica-2 is voted out",
        "replica-2 is hung up on",
    ]


def test_a_replica_that_opens_its_store_is_connected_to_again_later_than_others() -> None:
    cluster = opened(5)
    agenda, link = cluster.target.agenda, cluster.target.links["replica-3"]
    agenda.take_actions()
    message = {"kind": "refused", "why": "opening", "promised": NO_BALLOT.to_json()}
    answer = message | {"text": "its store tank is being opened"}
    cluster.target.received(cluster.now, link.name, frames_of(encode_control(1, NO_BALLOT, answer)))
    hangups = [action for action in agenda.take_actions() if isinstance(action, Hangup)]
    assert [(one.name, one.retry_s) for one in hangups] == [("replica-3", OPENING_RETRY_S)]
    assert link.trouble == "its store tank is being opened"
