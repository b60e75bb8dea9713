"""Each replica's answers are noted by the state machine and counted by the shell."""

from __future__ import annotations

from core.volume.model import Tally
from jiva.cluster import Cluster
from tierce import Op, Request, Trace, Tracer
from tierce.tracing import UNNUMBERED
from tierce_jiva.trips import TRIP_COUNT_MAX, RoundTrips


def cluster() -> Cluster:
    made = Cluster(3)
    made.run(3)
    # What a first write has to do besides is over.
    made.write(0, bytes(4096))
    made.run()
    made.target.agenda.trips.clear()
    return made


def test_a_write_notes_the_round_trip_of_each_replica_and_who_was_waited_for() -> None:
    scene = cluster()
    scene.write(0, bytes(8192))
    scene.run()
    trips = [trip for trip in scene.target.agenda.trips if trip[1] is Op.WRITE]
    assert sorted(trip[0] for trip in trips) == ["replica-1", "replica-2", "replica-3"]
    assert [is_last for *_, is_last, _failed, _requests in trips] == [False, False, True]
    assert all(trip[2] == 1 and trip[3] >= 0 and not trip[5] for trip in trips)


def test_the_round_trip_is_from_the_sending_of_a_frame_to_its_answer() -> None:
    scene = cluster()
    began = scene.now
    request = Request(Op.WRITE, 0, 4096, memoryview(bytes(4096)))
    scene.target.submit(began, [request], lambda _requests: None)
    scene.now += 0.25
    scene.run()
    elapsed = {trip[0]: trip[3] for trip in scene.target.agenda.trips if trip[1] is Op.WRITE}
    assert len(elapsed) == 3
    assert min(elapsed.values()) >= 0.25


def test_a_read_that_a_replica_answers_is_noted() -> None:
    scene = cluster()
    request = Request(Op.READ, 0, 4096, memoryview(bytearray(4096)))
    scene.target.submit(scene.now, [request], lambda _requests: None)
    scene.run()
    assert [trip[1:3] for trip in scene.target.agenda.trips if trip[1] is Op.READ] == [(Op.READ, 1)]


def test_what_was_noted_is_counted_in_the_replicas_own_stage() -> None:
    stages = {f"jiva.replica/{name}": Tally() for name in ("a", "b")}
    scene = cluster()
    trips = scene.target.agenda.trips
    trips += [("a", Op.WRITE, 8, 0.002, False, 0, []), ("b", Op.FLUSH, 1, 0.5, True, 1, [])]
    RoundTrips(("a", "b"), stages.__getitem__, Tracer()).count(trips, 9.0)
    a, b = stages.values()
    assert (a.added, a.ages, a.lasts, a.failed) == ([(Op.WRITE, 8, 0)], [(2_000_000, 8)], [], [])
    assert (b.ages, b.lasts, b.failed) == ([(500_000_000, 1)], [(Op.FLUSH, 1)], [Op.FLUSH])
    assert not trips


def test_what_nobody_counts_is_bounded() -> None:
    scene = cluster()
    for _ in range(TRIP_COUNT_MAX):
        scene.target.agenda.trips.append(("a", Op.READ, 1, 0.0, False, 0, []))
    scene.write(0, bytes(512))
    assert len(scene.target.agenda.trips) == TRIP_COUNT_MAX


def test_a_late_answer_leaves_its_stamp_on_what_waited_for_it_and_on_nothing_else() -> None:
    tracer = Tracer(lambda _io: None)
    waited, other = Request(Op.WRITE, 0, 512), Request(Op.WRITE, 512, 512)
    trips = cluster().target.agenda.trips
    trips += [
        ("a", Op.WRITE, 1, 0.0001, False, 0, [waited]),
        # The list was lengthened when it was answered together with another.
        ("b", Op.WRITE, 1, 0.25, True, 0, [waited, other]),
    ]
    RoundTrips(("a", "b"), lambda _name: Tally(), tracer).count(trips, 9.0)
    assert isinstance(waited.trace, Trace)
    assert waited.trace.stamps == [("jiva.replica", "b", 8_750_000_000, 250_000_000, UNNUMBERED)]
    assert other.trace is None


def test_one_that_was_voted_out_is_noted_for_what_it_has_not_answered() -> None:
    scene = cluster()
    request = Request(Op.WRITE, 0, 512, memoryview(bytes(512)))
    scene.target.submit(scene.now, [request], lambda _requests: None)
    scene.cut.add("replica-2")
    scene.break_pipe("replica-2", "cut")
    scene.run(30)
    assert request.status is not None
    (trip,) = [one for one in scene.target.agenda.trips if one[0] == "replica-2" and one[5]]
    assert trip[1:3] == (Op.WRITE, 1)
    assert trip[3] > 0
