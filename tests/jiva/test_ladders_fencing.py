"""Ladders: higher promises to other targets."""

from __future__ import annotations

from jiva.cluster import UUID, Cluster, opened
from jiva.ladder import frames_of
from tierce import GOOD, Code
from tierce_jiva.ballot import Ballot
from tierce_jiva.host import State
from tierce_jiva.links import LinkState
from tierce_jiva.wire import encode_control

BLOCK = 4096
A, B, C = ("replica-1", "replica-2", "replica-3")
#: Of a target that is gone; the clock was ahead.
HIGHER = Ballot(10**13, 5)


def promise_to_another(cluster: Cluster, *names: str) -> None:
    """A target that nobody sees has had a higher ballot promised, and died."""
    for name in names:
        hello = {"kind": "hello", "uuid": UUID, "replica": name}
        frames = encode_control(1, HIGHER, hello) + encode_control(2, HIGHER, {"kind": "prepare"})
        cluster.stranger(name, frames_of(frames))
        assert cluster.nodes[name].record.promised == HIGHER


def test_one_higher_promise_fences_nobody() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    promise_to_another(cluster, C)
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(3)
    assert write.status is GOOD
    assert cluster.fenced == []
    assert cluster.is_serving
    assert {"jiva.replica.outbid", "jiva.replica.voted-out"} <= set(cluster.codes())
    assert "let in when the volume is opened anew" in str(cluster.published.members)


def test_one_with_a_higher_promise_is_let_in_by_opening_anew_when_that_disturbs_nobody() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    promise_to_another(cluster, C)
    cluster.run(15)
    assert len(set(cluster.restarts)) == 1
    assert C in cluster.restarts[0]
    cluster.start_target()
    cluster.run(4)
    assert cluster.is_serving
    assert set(cluster.states().values()) == {"in-sync"}
    assert cluster.target.links.ballot > HIGHER
    assert cluster.get(0) == b"a" * BLOCK


def test_while_it_is_written_to_a_volume_is_opened_anew_later() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    promise_to_another(cluster, C)
    cluster.run(2)

    def work_for(seconds: int) -> None:
        """One write or another is always under way."""
        for _ in range(10 * seconds):
            cluster.nodes[B].is_mute = True
            write = cluster.write(0, b"b" * BLOCK)
            cluster.run(0.1)
            cluster.nodes[B].is_mute = False
            cluster.run()
            assert write.status is GOOD

    work_for(50)
    assert cluster.restarts == []
    work_for(20)
    assert cluster.restarts


def test_a_majority_of_higher_promises_ends_the_target() -> None:
    cluster = opened()
    cluster.put(0, b"a" * BLOCK)
    promise_to_another(cluster, B, C)
    write = cluster.write(0, b"b" * BLOCK)
    cluster.run(3)
    assert len(cluster.fenced) == 1
    assert B in cluster.fenced[0]
    assert C in cluster.fenced[0]
    assert cluster.target.state is State.ENDED
    assert write.status is None or not write.status.is_good
    late = cluster.read(0, BLOCK)
    assert late.status is not None
    assert late.status.code is Code.FENCED


def test_the_only_replica_promised_elsewhere_ends_the_target() -> None:
    cluster = opened(1)
    promise_to_another(cluster, A)
    cluster.run(1)
    assert cluster.fenced
    assert cluster.target.state is State.ENDED


def test_an_opening_outbids_what_it_finds() -> None:
    cluster = Cluster()
    promise_to_another(cluster, B, C)
    cluster.start_target()
    cluster.run(4)
    assert cluster.is_serving
    assert cluster.fenced == []
    assert cluster.target.links.ballot > HIGHER
    assert set(cluster.states().values()) == {"in-sync"}


def test_an_opening_that_is_outbid_while_it_is_promised_bids_again() -> None:
    cluster = Cluster()
    cluster.step_until(lambda: cluster.target.links[B].state is LinkState.PREPARING)
    # The promise of its ballot is on its way.
    for name in (B, C):
        cluster.nodes[name].is_hung = True
    cluster.step()
    late = dict(cluster.pipes)
    promise_to_another(cluster, B, C)
    for name in (B, C):
        cluster.nodes[name].is_hung = False
    cluster.run()
    assert not cluster.is_serving
    assert {name for name in (B, C) if cluster.pipes[name] is late[name]} == {B, C}
    assert "has promised a higher ballot" in cluster.target.links[B].trouble
    cluster.run(5)
    assert cluster.is_serving
    assert cluster.fenced == []
    assert cluster.target.links.ballot > HIGHER


def test_an_opening_that_is_outbid_while_it_is_voted_on_bids_again() -> None:
    cluster = Cluster()
    cluster.step_until(lambda: cluster.target.state is State.ELECTING)
    promise_to_another(cluster, B, C)
    cluster.run(5)
    assert cluster.is_serving
    assert cluster.fenced == []
    assert cluster.target.links.ballot > HIGHER
