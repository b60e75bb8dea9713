"""Ladders: an old copy of a replica's folder is put back."""

from __future__ import annotations

import errno

import pytest

from jiva.cluster import Cluster, opened
from tierce import GOOD
from tierce_jiva.replica_actions import Save

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
REGION = 4 << 20
#: The bytes lie in another file than they did: a folder was restored, file by file.
OTHER_FILE = "2:2"


def settle(cluster: Cluster) -> None:
    """Flush, and let the marks go."""
    flush = cluster.flush()
    cluster.run(2)
    assert flush.status is GOOD
    assert not any(node.record.marked for node in cluster.nodes.values())


def end(cluster: Cluster) -> None:
    """kill -9 of every process."""
    for name in cluster.nodes:
        cluster.kill_replica(name)


def begin(cluster: Cluster) -> None:
    for name in cluster.nodes:
        cluster.start_replica(name)
    cluster.start_target()
    cluster.run(3)
    assert cluster.is_serving


def check_that_it_is_left_out_and_mended(cluster: Cluster, name: str = A) -> None:
    """It is not read, nobody is copied from it, and in the end it is what the others are."""
    assert {cluster.get(0) for _ in range(6)} == {b"2" * BLOCK}
    cluster.run(5)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(0) == [b"2"] * 3
    assert {cluster.get(0) for _ in range(6)} == {b"2" * BLOCK}
    strange = [event for event in cluster.events if event.code == "jiva.replica.strange"]
    told = {event.code for event in cluster.events} & {"jiva.replica.voted-out"}
    assert [event for event in strange if name in event.message] or told


@pytest.mark.parametrize("clean", [True, False], ids=["closed", "killed"])
def test_an_old_copy_of_an_earlier_ballot_is_left_out(clean: bool) -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"1" * BLOCK)
    settle(cluster)
    copy = cluster.nodes[A].copy()
    cluster.start_target()
    cluster.run(3)
    cluster.put(0, b"2" * BLOCK)
    if clean:
        settle(cluster)
    else:
        flush = cluster.flush()
        cluster.run()
        assert flush.status is GOOD
    end(cluster)
    cluster.nodes[A].put_back(copy)
    begin(cluster)
    check_that_it_is_left_out_and_mended(cluster)


def test_an_old_copy_of_an_earlier_order_about_marks_is_left_out() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"1" * BLOCK)
    settle(cluster)
    copy = cluster.nodes[A].copy()
    cluster.put(0, b"2" * BLOCK)
    settle(cluster)
    end(cluster)
    cluster.nodes[A].put_back(copy)
    begin(cluster)
    check_that_it_is_left_out_and_mended(cluster)


def test_an_old_copy_that_lacks_a_mark_is_not_copied_from_there() -> None:
    cluster = opened(clean_after_s=0.5)
    copy = cluster.nodes[A].copy()
    # One order later: nobody was told yet that it is durable on all.
    cluster.put(0, b"2" * BLOCK)
    end(cluster)
    cluster.nodes[A].put_back(copy)
    begin(cluster)
    assert {cluster.get(0) for _ in range(6)} == {b"2" * BLOCK}
    cluster.run(1)
    assert cluster.cached(0) == [b"2"] * 3


def test_one_that_is_put_back_after_it_has_promised_to_an_opening_is_left_out() -> None:
    """Its record says no less than the others' but for the promise, which this target has heard."""
    cluster = opened(opening_patience_s=0.5)
    cluster.put(0, b"1" * BLOCK)
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    copy = cluster.nodes[A].copy()
    cluster.put(0, b"2" * BLOCK)
    cluster.flush()
    cluster.run()
    assert copy.record == cluster.nodes[A].record
    cluster.cut = {C}
    cluster.start_target()
    cluster.step_until(lambda: cluster.target.links[A].is_ready)
    assert not cluster.is_serving
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(copy)
    cluster.cut = set()
    cluster.start_replica(A)
    cluster.run(5)
    check_that_it_is_left_out_and_mended(cluster)


def test_a_copied_folder_of_the_same_marked_time_is_left_out() -> None:
    cluster = opened()
    cluster.put(0, b"1" * BLOCK)
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    copy = cluster.nodes[A].copy()
    cluster.put(0, b"2" * BLOCK)
    cluster.flush()
    cluster.run()
    assert copy.record == cluster.nodes[A].record, "it says no less than the others"
    end(cluster)
    cluster.nodes[A].put_back(copy, head=OTHER_FILE)
    begin(cluster)
    check_that_it_is_left_out_and_mended(cluster)
    assert cluster.nodes[A].record.head == OTHER_FILE, "it has been let in with these bytes"


def test_a_copied_folder_does_not_vote_while_somebody_is_missing() -> None:
    cluster = opened(clean_after_s=0.5)
    copy = cluster.nodes[A].copy()
    # The set is shrunk, and only those that stay know.
    cluster.kill_replica(A)
    cluster.run(2)
    assert "jiva.replica.voted-out" in cluster.codes()
    cluster.put(0, b"2" * BLOCK)
    end(cluster)
    cluster.cut = {B}
    cluster.nodes[A].put_back(copy, head=OTHER_FILE)
    for name in (A, C):
        cluster.start_replica(name)
    cluster.start_target()
    cluster.run(5)
    assert not cluster.is_serving
    cluster.cut = set()
    cluster.start_replica(B)
    cluster.run(3)
    check_that_it_is_left_out_and_mended(cluster)


@pytest.mark.parametrize("head", ["", OTHER_FILE], ids=["of the disk", "file by file"])
def test_an_old_copy_put_back_while_the_target_lives_is_voted_out_and_compared_in_full(
    head: str,
) -> None:
    cluster = opened(clean_after_s=0.5, size_bytes=3 * REGION)
    for region in range(3):
        cluster.put(region * REGION, b"1" * BLOCK)
    settle(cluster)
    copy = cluster.nodes[A].copy()
    for region in range(3):
        cluster.put(region * REGION, b"2" * BLOCK)
    settle(cluster)
    # Nothing is marked any more: only a comparison of everything finds what is old.
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(copy, head=head)
    cluster.start_replica(A)
    cluster.run(0.2)
    assert "jiva.replica.voted-out" in cluster.codes()
    check_that_it_is_left_out_and_mended(cluster)
    for region in range(3):
        assert cluster.cached(region * REGION) == [b"2"] * 3


def test_a_copied_folder_that_says_no_less_is_voted_out_while_the_target_lives() -> None:
    cluster = opened()
    cluster.put(0, b"1" * BLOCK)
    cluster.flush()
    cluster.run()
    copy = cluster.nodes[A].copy()
    cluster.put(0, b"2" * BLOCK)
    flush = cluster.flush()
    cluster.run()
    assert flush.status is GOOD
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(copy, head=OTHER_FILE)
    cluster.start_replica(A)
    cluster.run(0.2)
    assert "jiva.replica.voted-out" in cluster.codes()
    check_that_it_is_left_out_and_mended(cluster)


def test_an_old_copy_of_an_earlier_ballot_put_back_while_the_target_lives_is_compared_in_full() -> (
    None
):
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"1" * BLOCK)
    settle(cluster)
    copy = cluster.nodes[A].copy()
    cluster.put(0, b"2" * BLOCK)
    settle(cluster)
    cluster.start_target()
    cluster.run(3)
    # No order about marks was given since: it is the promise alone that is gone.
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(copy)
    cluster.start_replica(A)
    cluster.run(0.2)
    assert "jiva.replica.voted-out" in cluster.codes()
    check_that_it_is_left_out_and_mended(cluster)


def test_one_that_was_an_old_copy_votes_again_when_it_has_been_let_in() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"1" * BLOCK)
    settle(cluster)
    copy = cluster.nodes[A].copy()
    cluster.put(0, b"2" * BLOCK)
    settle(cluster)
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(copy)
    cluster.nodes[A].store.fail_write = OSError(errno.ENOSPC, "planned")
    cluster.start_replica(A)
    cluster.run(0.2)
    # Its vote is worth nothing now: it may have forgotten others.
    cluster.kill_replica(C)
    cluster.run(2)
    write = cluster.write(0, b"3" * BLOCK)
    cluster.run(0.5)
    assert write.status is None
    cluster.start_replica(C)
    cluster.nodes[A].store.fail_write = None
    cluster.run(10)
    assert write.status is GOOD
    assert set(cluster.states().values()) == {"in-sync"}
    cluster.kill_replica(B)
    cluster.run(2)
    cluster.put(0, b"4" * BLOCK)
    assert cluster.cached(0) == [b"4", b"3", b"4"]


def test_an_old_copy_of_the_only_replica_stops_the_volume_until_the_folder_is_back() -> None:
    cluster = opened(1, clean_after_s=0.5, not_ready_after_s=3.0)
    cluster.put(0, b"1" * BLOCK)
    settle(cluster)
    old = cluster.nodes[A].copy()
    cluster.put(0, b"2" * BLOCK)
    settle(cluster)
    right = cluster.nodes[A].copy()
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(old)
    cluster.start_replica(A)
    read = cluster.read(0, BLOCK)
    cluster.run(1)
    assert read.status is None
    assert "older" in cluster.published.trouble
    cluster.kill_replica(A)
    cluster.nodes[A].put_back(right)
    cluster.start_replica(A)
    cluster.run(1)
    assert read.status is GOOD
    assert bytes(read.buffer or b"") == b"2" * BLOCK


def test_the_only_replica_is_served_from_though_it_was_copied_and_that_is_said() -> None:
    cluster = opened(1, clean_after_s=0.5)
    cluster.put(0, b"2" * BLOCK)
    settle(cluster)
    copy = cluster.nodes[A].copy()
    end(cluster)
    cluster.nodes[A].put_back(copy, head=OTHER_FILE)
    begin(cluster)
    assert cluster.get(0) == b"2" * BLOCK
    assert "jiva.replica.copied" in cluster.codes()
    assert cluster.nodes[A].record.head == OTHER_FILE


def test_a_set_that_was_copied_as_a_whole_is_served_from() -> None:
    cluster = opened(clean_after_s=0.5)
    cluster.put(0, b"2" * BLOCK)
    settle(cluster)
    end(cluster)
    for node in cluster.nodes.values():
        node.put_back(node.copy(), head=OTHER_FILE)
    begin(cluster)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.get(0) == b"2" * BLOCK


def test_a_folder_that_was_kept_is_never_taken_for_an_old_copy() -> None:
    cluster = opened(clean_after_s=0.5)
    for turn in range(6):
        cluster.put(0, bytes([turn]) * BLOCK)
        if turn % 2:
            settle(cluster)
        end(cluster)
        begin(cluster)
        cluster.kill_replica(B)
        cluster.start_replica(B)
        cluster.run(1)
    assert not {"jiva.replica.strange", "jiva.replica.voted-out"} & set(cluster.codes())


def an_older_copy_of_c() -> Cluster:
    """C's folder was rolled back, or restored file by file, by one flushed write; C is not up."""
    cluster = opened(clean_after_s=0.5, size_bytes=4 * REGION, opening_patience_s=0.1)
    cluster.put(3 * REGION, b"1" * BLOCK)
    settle(cluster)
    copy = cluster.nodes[C].copy()
    cluster.put(3 * REGION, b"2" * BLOCK)
    settle(cluster)
    cluster.kill_replica(C)
    cluster.nodes[C].put_back(copy)
    assert cluster.cached(3 * REGION) == [b"2", b"2", b"1"]
    return cluster


@pytest.mark.parametrize("head", ["", OTHER_FILE], ids=["of the disk", "file by file"])
def test_an_old_copy_that_returns_while_it_is_voted_out_is_compared_in_full(head: str) -> None:
    """It is connected again before the vote is in force. Sent the newest order about marks then, it
    would look new, and what it missed would be taken to be what is marked now."""
    cluster = an_older_copy_of_c()
    cluster.nodes[C].head = head or cluster.nodes[C].head
    cluster.nodes[A].held = {Save}
    cluster.start_replica(C)
    cluster.run(0.5)
    assert "jiva.replica.voted-out" in cluster.codes()
    assert cluster.target._controller._quorum.is_voting
    cluster.release(A)
    cluster.run(30)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(3 * REGION) == [b"2"] * 3


def test_an_old_copy_stays_one_when_its_connection_breaks_before_it_could_be_voted_out() -> None:
    """The others are away, and no vote is possible. Sent the newest order about marks meanwhile, it
    would have nothing wrong with it at its next connection."""
    cluster = an_older_copy_of_c()
    cluster.cut = {A, B}
    for name in (A, B):
        cluster.break_pipe(name, "cut")
    cluster.start_replica(C)
    cluster.run(0.2)
    assert C in cluster.pipes
    assert "jiva.replica.voted-out" not in cluster.codes()
    cluster.break_pipe(C, "blip")
    cluster.run(0.2)
    cluster.cut = set()
    cluster.run(30)
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.cached(3 * REGION) == [b"2"] * 3
