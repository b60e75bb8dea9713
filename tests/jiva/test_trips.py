"""Each replica's answers are counted when they are taken, in the replica's own stage."""

from __future__ import annotations

from core.volume.model import Tally
from jiva.cluster import Cluster
from tierce import Op, Request, Trace, Tracer
from tierce_jiva.links import Link
from tierce_jiva.trips import UNCOUNTED


def counted() -> tuple[Cluster, dict[str, Tally]]:
    """A cluster in which a first write has done what it has to do besides."""
    scene = Cluster(3)
    scene.run(3)
    scene.write(0, bytes(4096))
    scene.run()
    tallies = {link.name: Tally() for link in scene.target.links}
    for link in scene.target.links:
        link.answers = tallies[link.name]
    return scene, tallies


def ask(scene: Cluster, op: Op, count: int = 1) -> list[Request]:
    requests = [Request(op, 512 * n, 512, memoryview(bytearray(512))) for n in range(count)]
    scene.target.submit(scene.now, requests, lambda _requests: None)
    return requests


def of(tallies: dict[str, Tally], op: Op) -> list[tuple[str, int]]:
    """Whose answers were counted, and of how many operations."""
    return sorted(
        (name, count)
        for name, tally in tallies.items()
        for kind, count, _length in tally.added
        if kind is op
    )


def test_a_write_counts_the_round_trip_of_each_replica_and_who_was_waited_for() -> None:
    scene, tallies = counted()
    ask(scene, Op.WRITE, 2)
    scene.run()
    assert of(tallies, Op.WRITE) == [("replica-1", 2), ("replica-2", 2), ("replica-3", 2)]
    lasts = [last for tally in tallies.values() for last in tally.lasts]
    assert lasts == [(Op.WRITE, 2)]
    assert not any(tally.failed for tally in tallies.values())


def test_the_round_trip_is_from_the_sending_of_a_frame_to_its_answer() -> None:
    scene, tallies = counted()
    ask(scene, Op.WRITE)
    scene.now += 0.25
    scene.run()
    ages = [age for tally in tallies.values() for age, _count in tally.ages]
    assert len(ages) == 3
    assert min(ages) >= 250_000_000


def test_a_read_that_a_replica_answers_is_counted() -> None:
    scene, tallies = counted()
    ask(scene, Op.READ)
    scene.run()
    ((_name, count),) = of(tallies, Op.READ)
    assert count == 1


def test_where_nobody_counts_nothing_is_kept() -> None:
    scene = Cluster(3)
    assert {link.answers for link in scene.target.links} == {UNCOUNTED}
    assert not hasattr(UNCOUNTED, "__dict__") or not vars(UNCOUNTED)


def test_a_late_answer_leaves_its_stamp_on_what_waited_for_it_and_on_nothing_else() -> None:
    scene, _tallies = counted()
    scene.target.links.timing.tracer = Tracer(lambda _io: None)
    (quick,) = ask(scene, Op.WRITE)
    scene.run()
    began = scene.now
    (waited,) = ask(scene, Op.WRITE)
    scene.now += 0.25
    scene.run()
    assert quick.trace is None
    assert isinstance(waited.trace, Trace)
    stamps = [stamp for stamp in waited.trace.stamps if stamp[1]]
    assert {(stage, start) for stage, _whose, start, *_ in stamps} == {
        ("jiva.replica", int(began * 1e9))
    }
    assert sorted(stamp[1] for stamp in stamps) == [*("replica-1", "replica-2", "replica-3")]
    assert min(stamp[3] for stamp in stamps) >= 250_000_000


def test_a_late_read_has_the_stamp_of_the_replica_that_was_asked() -> None:
    scene, tallies = counted()
    scene.target.links.timing.tracer = Tracer(lambda _io: None)
    (waited,) = ask(scene, Op.READ)
    scene.now += 0.25
    scene.run()
    ((name, _count),) = of(tallies, Op.READ)
    assert isinstance(waited.trace, Trace)
    assert [stamp[:2] for stamp in waited.trace.stamps] == [("jiva.replica", name)]


def test_one_that_was_voted_out_is_counted_for_what_it_has_not_answered() -> None:
    scene, tallies = counted()
    (request,) = ask(scene, Op.WRITE)
    scene.cut.add("replica-2")
    scene.break_pipe("replica-2", "cut")
    scene.run(30)
    assert request.status is not None
    silent = tallies["replica-2"]
    assert silent.added[0] == (Op.WRITE, 1, 0)
    assert silent.failed == [Op.WRITE]
    assert silent.ages[0][0] > 0


def test_each_link_has_a_stage_of_its_own_to_be_counted_in() -> None:
    scene, tallies = counted()
    links: list[Link] = list(scene.target.links)
    links[0].answers.add(Op.FLUSH, 1, 0, 7)
    assert [len(tally.added) for tally in tallies.values()] == [1, 0, 0]
