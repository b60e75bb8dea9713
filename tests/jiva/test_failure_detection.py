"""Who is late: hung connections, unanswered operations, links that stay away."""

from __future__ import annotations

import pytest

from jiva.cluster import Cluster
from tierce import Code
from tierce_jiva.failure_detection import choose_late, find_hung, find_late, find_lost
from tierce_jiva.links import Links, LinkState
from tierce_jiva.options import JivaOptions, ReplicaOptions
from tierce_jiva.regions import Regions

NAMES = ("replica-1", "replica-2", "replica-3")
OPTIONS = JivaOptions(replicas=tuple(ReplicaOptions(folder=n) for n in NAMES), dead_s=1.0)


@pytest.fixture
def links() -> Links:
    links = Links(NAMES, Regions(1 << 20))
    for link in links:
        link.state = LinkState.READY
    return links


def ask(links: Links, name: str) -> None:
    links.ask(links[name], {"kind": "mark"}, lambda _frame: None)


def test_an_answer_that_is_due_makes_late_only_after_its_time(links: Links) -> None:
    ask(links, "replica-2")
    links.now = 1.0
    assert find_late(links, OPTIONS) == {}
    links.now = 1.1
    assert list(find_late(links, OPTIONS)) == ["replica-2"]


def test_a_flush_has_a_budget_of_its_own(links: Links) -> None:
    cluster = Cluster(3, dead_s=1.0, flush_dead_s=4.0)
    cluster.run(3)
    cluster.nodes["replica-1"].is_hung = True
    cluster.flush()
    cluster.run(3.5)
    assert find_late(cluster.target.links, cluster.options) == {}
    cluster.run(1.5)
    assert "jiva.replica.voted-out" in cluster.codes()


def chosen(links: Links, *members: str) -> list[str]:
    return list(choose_late(links, OPTIONS, members, members))


def test_of_two_copies_one_goes_only_if_it_has_shown_no_life_at_all(links: Links) -> None:
    pair = NAMES[:2]
    ask(links, "replica-2")
    links.now = OPTIONS.alone_after_s - 1
    assert chosen(links, *NAMES) == ["replica-2"]
    assert chosen(links, *pair) == []
    links["replica-2"].heard_at = 5.0
    links.now = OPTIONS.alone_after_s + 4
    assert chosen(links, *pair) == [], "it has answered something else"
    links.now = OPTIONS.alone_after_s + 6
    assert chosen(links, *pair) == ["replica-2"]


def test_beside_one_that_is_late_but_alive_one_without_life_goes(links: Links) -> None:
    pair = NAMES[:2]
    for name in pair:
        ask(links, name)
    links.now = OPTIONS.alone_after_s + 1
    assert chosen(links, *pair) == [], "the fault may be ours"
    links["replica-1"].heard_at = links.now - OPTIONS.dead_s
    assert chosen(links, *pair) == ["replica-2"]


def test_of_several_that_are_late_so_many_stay_that_two_copies_are_left(links: Links) -> None:
    ask(links, "replica-2")
    links.now = 0.5
    ask(links, "replica-1")
    links.now = 2.0
    assert chosen(links, *NAMES) == ["replica-2"], "the latest of them"
    links["replica-2"].fault = "it failed"
    assert chosen(links, *NAMES) == []


def test_nobody_is_late_beside_those_that_nothing_waits_for(links: Links) -> None:
    ask(links, "replica-1")
    links.now = 2.0
    assert chosen(links, "replica-1") == []


def test_if_all_that_are_connected_are_late_nobody_is_hung_up_on_soon(links: Links) -> None:
    links["replica-3"].state = LinkState.DOWN
    ask(links, "replica-1")
    ask(links, "replica-2")
    links.now = 2.0
    assert find_hung(links, 1.0) == []
    links.now = 4.1
    assert find_hung(links, 1.0) == [links["replica-1"], links["replica-2"]]
    links.now = 2.0
    links["replica-2"].calls.clear()
    assert find_hung(links, 1.0) == [links["replica-1"]]


def test_a_connection_that_comes_and_goes_without_a_promise_has_been_away_since_before(
    links: Links,
) -> None:
    link = links["replica-1"]
    links.now = 5.0
    links.lose(link, "killed")
    link.state = LinkState.GREETING
    links.now = 6.0
    links.lose(link, "killed again")
    assert find_lost(links, NAMES, 1.0) == {"replica-1"}


def test_who_is_at_fault_is_lost_though_it_is_connected(links: Links) -> None:
    links["replica-2"].fault = "it failed"
    assert find_lost(links, NAMES, 1.0) == {"replica-2"}


def test_a_replica_that_hangs_while_it_promises_does_not_hold_up_an_opening() -> None:
    cluster = Cluster(3, dead_s=1.0, opening_patience_s=0.3)
    cluster.nodes["replica-1"].is_hung = True
    cluster.run(3)
    assert cluster.is_serving
    write = cluster.write(0, b"a" * 4096)
    cluster.run()
    assert write.status is not None
    assert write.status.is_good


def test_of_an_opening_with_a_majority_that_hangs_the_connections_are_made_anew() -> None:
    cluster = Cluster(3, dead_s=1.0)
    for name in ("replica-1", "replica-2"):
        cluster.nodes[name].is_hung = True
    cluster.connect()
    first = dict(cluster.pipes)
    cluster.run(1.5)
    assert cluster.pipes["replica-1"] is not first["replica-1"]
    assert cluster.pipes["replica-3"] is first["replica-3"]


def test_a_first_voter_that_hangs_gives_way_to_another() -> None:
    cluster = Cluster(3, dead_s=1.0, opening_patience_s=0.3)
    cluster.run(3)
    cluster.write(0, b"a" * 4096)
    cluster.run()
    cluster.start_target()
    for _ in range(100):
        cluster.connect()
        voter = next((link for link in cluster.target.links if _asked_to_accept(link)), None)
        if voter is not None:
            cluster.nodes[voter.name].is_hung = True
            break
        cluster.step()
    else:
        pytest.fail("nobody was asked")
    cluster.run(4)
    assert cluster.is_serving
    assert cluster.states()[voter.name] != "in-sync"
    read = cluster.read(0, 4096)
    cluster.run()
    assert read.status is not None
    assert read.status.code is Code.GOOD


def _asked_to_accept(link: object) -> bool:
    buffers = getattr(link, "outgoing", [])
    return any(b'"accept"' in bytes(buffer) for buffer in buffers)


def test_a_read_of_a_hung_sole_replica_ends_in_not_ready_and_its_buffer_is_left_alone() -> None:
    cluster = Cluster(1, dead_s=1.0, not_ready_after_s=5.0)
    cluster.run(2)
    cluster.write(0, b"a" * 4096)
    cluster.run()
    node = cluster.nodes["replica-1"]
    node.is_hung = True
    read = cluster.read(0, 4096)
    cluster.run(4.5)
    assert read.status is None
    cluster.run(1)
    assert read.status is not None
    assert read.status.code is Code.NOT_READY
    assert cluster.settled.count(read) == 1
    node.is_hung = False
    cluster.run(1)
    assert read.buffer is not None
    assert bytes(read.buffer) == bytes(4096)
    assert cluster.settled.count(read) == 1


def test_a_read_that_is_repeated_keeps_the_time_it_first_came() -> None:
    cluster = Cluster(1, dead_s=1.0, not_ready_after_s=5.0)
    cluster.run(2)
    node = cluster.nodes["replica-1"]
    node.is_hung = True
    read = cluster.read(0, 4096)
    cluster.run(3)
    # Its link is lost and stays away: the read waits anew, but not from the beginning.
    cluster.cut.add("replica-1")
    cluster.break_pipe("replica-1", "cut")
    cluster.run(2.5)
    assert read.status is not None
    assert read.status.code is Code.NOT_READY
