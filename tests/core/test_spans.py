"""The stages of an I/O as a tree: who called whom, and whose time it was."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st

from tierce import SpanKind, SpanNode, TracedStage, TraceRecord, spans_of

US = 1000
_NAMES = (
    *("device", "filter.a", "filter.a.wait", "filter.a.call", "filter.b:2", "engine.wait"),
    *("engine.call", "frontend.parse", "frontend.answer", "jiva.admit", "jiva.replicate"),
    *("jiva.replica", "replica.queue", "replica.apply", "replica.sync", "pool.index", "other"),
    *("jiva.local_miss", "my.own", "my.other"),
)


def stage(
    name: str, start_us: float, elapsed_us: float, member: str = "", number: int = 0
) -> TracedStage:
    start_ns, elapsed_ns = int(start_us * US), int(elapsed_us * US)
    return TracedStage(name, member, start_ns, elapsed_ns, number, "1234567890abcdef")


def record(elapsed_us: float, *stages: TracedStage, code: str = "good") -> TraceRecord:
    """Return an I/O whose stages ended in this order."""
    return TraceRecord(
        *("db", "write", 4096, 512, 3, code, 10**18, int(elapsed_us * US)),
        *(True, False, "ab" * 16, "cd" * 8, stages),
    )


def drawn(nodes: tuple[SpanNode, ...]) -> list[str]:
    """Draw a tree: each stage by its depth, with its own time in us."""
    depths = [0]
    for node in nodes[1:]:
        depths.append(depths[node.parent] + 1)
    return [
        f"{'  ' * depth}{node.name}{'/' * bool(node.member)}{node.member} {node.self_ns / US:g}"
        for depth, node in zip(depths, nodes, strict=True)
    ]


def tree(elapsed_us: float, *stages: TracedStage) -> list[str]:
    return drawn(spans_of(record(elapsed_us, *stages)))


def test_a_write_to_three_replicas_is_waited_for_with_the_last_of_them() -> None:
    found = tree(
        100,
        stage("frontend.parse", 0, 4),
        stage("jiva.admit", 6, 2),
        stage("jiva.replica", 8, 30, "r1"),
        stage("jiva.replica", 8, 50, "r3"),
        stage("replica.queue", 20, 10, "r2"),
        stage("replica.apply", 30, 40, "r2"),
        stage("jiva.replica", 8, 80, "r2"),
        stage("jiva.replicate", 8, 80),
        stage("device", 5, 85),
        stage("filter.a", 4, 88),
        stage("frontend.answer", 93, 5),
    )
    assert found == [
        "volume.write 3",
        "  frontend.parse 4",
        "  filter.a 3",
        "    device 3",
        "      jiva.admit 2",
        "      jiva.replicate 0",
        "        jiva.replica/r1 0",
        "        jiva.replica/r2 30",
        "          replica.queue/r2 10",
        "          replica.apply/r2 40",
        "        jiva.replica/r3 0",
        "  frontend.answer 5",
    ]


def test_filters_lie_on_one_another_and_what_is_equally_long_is_inside_of_what_ended_later() -> (
    None
):
    found = tree(
        20,
        stage("engine.wait", 2, 1),
        stage("engine.call", 3, 6),
        stage("device", 2, 8),
        stage("filter.b:2", 2, 8),
        stage("filter.a.wait", 0, 1),
        stage("filter.a.call", 1, 12),
        stage("filter.a", 0, 14),
    )
    assert found == [
        "volume.write 6",
        "  filter.a 1",
        "    filter.a.wait 1",
        "    filter.a.call 4",
        "      filter.b:2 0",
        "        device 1",
        "          engine.wait 1",
        "          engine.call 6",
    ]


def test_what_an_io_is_cut_into_is_beside_each_other_with_its_own_below() -> None:
    found = tree(
        40,
        stage("engine.call", 1, 8),
        stage("device", 0, 10),
        stage("engine.call", 21, 4),
        stage("device", 20, 10),
    )
    assert found == [
        "volume.write 20",
        "  device 2",
        "    engine.call 8",
        "  device 6",
        "    engine.call 4",
    ]


def test_what_a_replica_tells_is_inside_of_the_round_trip_of_its_frame() -> None:
    found = spans_of(
        record(
            50,
            stage("replica.apply", 12, 4, "r1", 1),
            stage("jiva.replica", 10, 9, "r1", 1),
            stage("replica.apply", 10, 8, "r1", 0),
            stage("jiva.replica", 0, 28, "r1", 0),
            stage("device", 0, 40),
        )
    )
    trips = {index: node.start_ns for index, node in enumerate(found) if "jiva" in node.name}
    applied = [(node.start_ns, trips[node.parent]) for node in found if "apply" in node.name]
    assert sorted(applied) == [(10 * US, 0), (12 * US, 10 * US)]


def test_a_stage_whose_clock_was_read_elsewhere_is_cut_to_what_it_is_inside_of() -> None:
    (whole, device, trip) = spans_of(
        record(30, stage("jiva.replica", 9, 12, "r1"), stage("device", 10, 10))
    )
    assert (trip.parent, trip.start_ns, trip.end_ns) == (1, 10 * US, 20 * US)
    assert (whole.self_ns, device.self_ns, trip.self_ns) == (20 * US, 0, 10 * US)


def test_what_a_plugin_notes_has_its_place_by_its_time() -> None:
    found = tree(
        30,
        stage("zfs.commit", 4, 5),
        stage("engine.call", 2, 10),
        stage("device", 1, 12),
        stage("deflate", 14, 3),
        stage("filter.a", 0, 20),
    )
    assert found == [
        "volume.write 10",
        "  filter.a 5",
        "    device 2",
        "      engine.call 5",
        "        zfs.commit 5",
        "    deflate 3",
    ]


def test_kinds_and_attributes_are_those_that_are_written_down() -> None:
    whole, device, trip, apply = spans_of(
        record(
            10,
            stage("replica.apply", 2, 1, "r1"),
            stage("jiva.replica", 1, 3, "r1"),
            stage("device", 1, 5),
            code="write error",
        )
    )
    assert whole.attributes == {
        "tierce.volume.name": "db",
        "tierce.io.operation": "write",
        "tierce.io.offset": 4096,
        "tierce.io.size": 512,
        "tierce.io.batch": 3,
        "tierce.sampling": "head",
        "disk.io.direction": "write",
        "error.type": "write error",
    }
    assert (whole.kind, whole.span_id) == (SpanKind.SERVER, "cd" * 8)
    assert (device.kind, device.attributes) == (SpanKind.INTERNAL, {})
    assert (trip.kind, trip.attributes) == (SpanKind.CLIENT, {"tierce.replica.name": "r1"})
    assert (apply.kind, apply.is_remote) == (SpanKind.SERVER, True)
    assert apply.attributes == {"tierce.replica.name": "r1", "tierce.clock": "estimated"}
    assert apply.span_id == "1234567890abcdef"


_STAGES = st.builds(
    TracedStage,
    st.sampled_from(_NAMES),
    st.sampled_from(["", "r1", "r2"]),
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.integers(0, 2),
)


@given(st.lists(_STAGES, max_size=35), st.integers(0, 2000))
def test_whatever_was_stamped_is_one_tree_whose_own_times_sum_to_the_whole(
    stages: list[TracedStage], elapsed_ns: int
) -> None:
    found = spans_of(attrs.evolve(record(0, *stages), elapsed_ns=elapsed_ns))
    assert len(found) == 1 + len(stages)
    assert sorted((one.stage, one.member) for one in stages) == sorted(
        (node.name, node.member) for node in found[1:]
    )
    assert sum(node.self_ns for node in found) == elapsed_ns
    assert [node.parent for node in found].count(-1) == 1
    for index, node in enumerate(found[1:], 1):
        above = found[node.parent]
        assert node.parent < index
        assert above.start_ns <= node.start_ns <= node.end_ns <= above.end_ns
        assert 0 <= node.self_ns <= node.elapsed_ns
        assert above.member in {"", node.member}
