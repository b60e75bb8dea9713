"""What is timed, and where what a replica tells is taken to lie."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierce import Op, Request, Tracer, span_id_of
from tierce.trace_limits import SLOW_NS
from tierce.tracing import TracedIo
from tierce_jiva.frame_head import Asking, Durations, Extension, Stages
from tierce_jiva.timing import TIMED_S, Timing, number_of


def timing() -> Timing:
    return Timing(Tracer(lambda _io: None))


def sampled(scene: Timing) -> Request:
    request = Request(Op.WRITE, 0, 512)
    scene.tracer.left = -1
    scene.tracer.sample([request], 0)
    return request


def test_a_sampled_question_says_whose_it_is_and_others_only_that_they_are_timed() -> None:
    scene, other = timing(), Request(Op.WRITE, 512, 512)
    request = sampled(scene)
    number = (1 << 16) + 7
    span_id = span_id_of(request.trace.span_id, "jiva.replica", "b", 7)
    expected = Extension(is_timed=True, asking=Asking(request.trace.trace_id, span_id))
    assert scene.extension([other, request], "b", number, is_timed=False) == expected
    assert scene.extension([other], "b", number, is_timed=False) is None
    assert scene.extension([other], "b", number, is_timed=True) == Extension(is_timed=True)


def test_numbers_of_frames_fit_a_record() -> None:
    assert number_of((5 << 16) + 65535) == 65535
    assert number_of(1 << 16) == 0


@given(
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 41),
    st.integers(0, 1 << 41),
    st.sampled_from(Stages),
)
def test_what_a_replica_tells_lies_within_the_round_trip_one_behind_the_other(
    elapsed_ns: int, first_ns: int, second_ns: int, stages: Stages
) -> None:
    written: list[TracedIo] = []
    scene = Timing(Tracer(written.append))
    request = sampled(scene)
    told = Extension(durations=Durations(stages, first_ns, second_ns))
    now = 10_000.0
    scene.stamp([request], "b", now, elapsed_ns, 1, told)
    first, second, trip = request.trace.stamps
    assert (trip[0], trip[3]) == ("jiva.replica", elapsed_ns)
    assert trip[2] <= first[2]
    assert first[2] + first[3] == second[2]
    assert second[2] + second[3] <= trip[2] + elapsed_ns
    before, after = first[2] - trip[2], trip[2] + elapsed_ns - second[2] - second[3]
    assert abs(before - after) <= 1
    if first_ns + second_ns <= elapsed_ns:
        assert (first[3], second[3]) == (first_ns, second_ns)


def test_only_what_is_slow_makes_everything_be_timed_for_a_while() -> None:
    scene = timing()
    scene.stamp([], "b", 5.0, SLOW_NS, 1, None)
    assert scene.until < 0
    scene.stamp([], "b", 5.0, SLOW_NS + 1, 1, None)
    assert scene.until == 5.0 + TIMED_S


def test_of_one_that_is_slow_only_those_stages_are_noted_that_were_slow_themselves() -> None:
    scene, request = timing(), Request(Op.FLUSH)
    told = Extension(durations=Durations(Stages.SYNC_WAIT_SYNC, 1000, 2 * SLOW_NS))
    scene.stamp([request], "b", 5.0, 3 * SLOW_NS, 9, told)
    stages = [(stage, number) for stage, *_when, number in request.trace.stamps]
    assert stages == [("replica.sync", 9), ("jiva.replica", 9)]
