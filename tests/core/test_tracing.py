"""Who is followed one by one: one in so many, and whatever took too long."""

from __future__ import annotations

import random
import time

from tierce import GOOD, Code, Op, Request, Status, Trace
from tierce.trace_limits import NEVER, SLOW_NS, TraceLimits
from tierce.tracing import (
    FOLLOWED_NS_MAX,
    SAMPLED_COUNT_MAX,
    SLOW_COUNT_MAX,
    STAMP_COUNT_MAX,
    UNNUMBERED,
    TracedIo,
    Tracer,
    span_id_of,
)

SECOND = 1_000_000_000


class Scene:
    def __init__(self, every: int = 3) -> None:
        self.written: list[TracedIo] = []
        self.left_out = 0
        self.tracer = Tracer(self.written.append, self._leave_out, every)

    def _leave_out(self, count: int) -> None:
        self.left_out += count

    def ask(
        self, count: int = 1, now_ns: int = 0, op: Op = Op.WRITE, initiator: str = ""
    ) -> list[Request]:
        """As a front end: so many requests arrive."""
        batch = [Request(op, 512 * number, 512) for number in range(count)]
        self.tracer.left -= count
        if self.tracer.left < 0:
            self.tracer.sample(batch, now_ns, initiator)
        return batch

    def answer(self, batch: list[Request], began_ns: int, elapsed_ns: int) -> None:
        """As a front end: they are answered so much later."""
        for request in batch:
            request.status = request.status or GOOD
        if elapsed_ns > self.tracer.look_ns:
            self.tracer.answered(batch, began_ns, elapsed_ns)


def test_one_in_so_many_is_followed_and_written_down() -> None:
    scene = Scene(every=3)
    for _ in range(8):
        scene.answer(scene.ask(), 0, 1000)
    assert [io.is_sampled for io in scene.written] == [True, True]
    assert not any(io.is_slow for io in scene.written)


def test_each_slow_one_is_counted_whether_it_is_written_down_or_not() -> None:
    slow: list[Op] = []
    tracer = Tracer(lambda _io: None, slow=slow.append)
    batch = [Request(Op.WRITE, 0, 512) for _ in range(SLOW_COUNT_MAX + 5)]
    tracer.answered(batch, 0, SLOW_NS + 1)
    assert slow == [Op.WRITE] * len(batch)
    tracer.answered(batch, 0, SLOW_NS)
    assert len(slow) == len(batch)


def test_when_one_arrived_is_said_by_the_clock_as_it_is_then_however_it_was_set_before() -> None:
    written: list[TracedIo] = []
    wall_ns = [10**18]
    tracer = Tracer(written.append, wall_ns=lambda: wall_ns[0])
    wall_ns[0] += 10**6 * SECOND
    request = Request(Op.WRITE, 0, 512)
    request.status = GOOD
    tracer.answered([request], time.monotonic_ns() - SECOND, SECOND)
    assert written[0].start_ns > 10**18 + 10**5 * SECOND


def test_while_one_is_followed_each_stage_leaves_its_stamp_on_it_alone() -> None:
    scene = Scene(every=2)
    ordinary, followed = scene.ask(1), scene.ask(2)
    assert scene.tracer.live == 1
    assert scene.tracer.note_ns < 0
    scene.tracer.note([*followed, *ordinary], "device", 10, 20)
    scene.answer(followed, 5, 100)
    assert (scene.tracer.live, scene.tracer.note_ns > 0) == (0, True)
    (io,) = scene.written
    assert io.stamps == (("device", "", 5, 20, 0),)
    assert (io.batch, io.length, io.code, io.elapsed_ns) == (2, 512, Code.GOOD, 100)
    assert ordinary[0].trace is None
    assert followed[1].trace is None


def test_a_slow_one_is_written_down_with_what_was_slow() -> None:
    scene = Scene(every=1000)
    batch = scene.ask()
    stamp = ("jiva.replica", 100, 10 * SLOW_NS, "replica-2")
    scene.tracer.note(batch, *stamp)
    batch[0].status = Status(Code.WRITE_ERROR, "lost")
    scene.answer(batch, 50, 11 * SLOW_NS)
    (io,) = scene.written
    assert (io.is_slow, io.is_sampled, io.code) == (True, False, Code.WRITE_ERROR)
    assert io.stamps == (("jiva.replica", "replica-2", 50, 10 * SLOW_NS, 0),)
    assert (len(io.trace_id), len(io.span_id)) == (16, 8)


def test_what_was_quick_is_not_written_though_a_stage_left_its_stamp() -> None:
    scene = Scene(every=1000)
    batch = scene.ask()
    assert scene.tracer.note_ns < SLOW_NS // 4
    scene.tracer.note(batch, "device", 0, SLOW_NS // 4)
    scene.answer(batch, 0, SLOW_NS // 2)
    assert scene.written == []


def test_what_is_made_of_a_request_is_slow_for_it() -> None:
    scene = Scene(every=1000)
    (request,) = scene.ask()
    piece = request.derive(Op.READ, 0, 512).derive(Op.WRITE, 0, 512)
    scene.tracer.note([piece], "device", 0, SLOW_NS)
    assert isinstance(request.trace, Trace)
    assert request.trace.stamps == [("device", "", 0, SLOW_NS, UNNUMBERED)]
    assert request.derive(Op.READ, 0, 512).trace is request.trace


def test_what_a_submitter_has_put_there_itself_is_left_alone() -> None:
    scene = Scene(every=1)
    request = Request(Op.READ, 0, 512, trace="mine")
    scene.tracer.sample([request], 0)
    scene.tracer.note([request], "device", 0, SLOW_NS)
    scene.tracer.answered([request], 0, 2 * SLOW_NS)
    assert request.trace == "mine"
    assert scene.tracer.live == 0
    assert scene.written[0].stamps == ()


def test_one_that_will_never_be_answered_is_forgotten() -> None:
    scene = Scene(every=1)
    (request,) = scene.ask()
    assert scene.tracer.live == 1
    scene.tracer.forget(request)
    scene.tracer.forget(request)
    assert scene.tracer.live == 0
    assert scene.tracer.look_ns > 0


def test_one_that_is_never_answered_is_left_though_none_is_sampled_any_more() -> None:
    scene = Scene(every=1)
    scene.ask()
    scene.tracer.limit(TraceLimits(every=0))
    assert scene.tracer.live == 1
    scene.answer(scene.ask(), FOLLOWED_NS_MAX - 1, 1)
    assert (scene.tracer.live, scene.left_out) == (1, 0)
    scene.answer(scene.ask(), FOLLOWED_NS_MAX + SECOND, 1)
    assert (scene.tracer.live, scene.left_out) == (0, 1)
    assert scene.tracer.look_ns > 0


def test_so_many_in_a_second_are_written_and_the_rest_is_counted() -> None:
    scene = Scene(every=1000)
    scene.answer(scene.ask(SLOW_COUNT_MAX + 30), 0, SECOND)
    assert (len(scene.written), scene.left_out) == (SLOW_COUNT_MAX, 30)
    scene.answer(scene.ask(), 0, 2 * SECOND)
    assert len(scene.written) == SLOW_COUNT_MAX + 1
    scene = Scene(every=1)
    for _ in range(SAMPLED_COUNT_MAX + 5):
        scene.answer(scene.ask(), 0, 10)
    assert (len(scene.written), scene.left_out) == (SAMPLED_COUNT_MAX, 5)


def test_stamps_of_one_are_bounded() -> None:
    scene = Scene(every=1)
    batch = scene.ask()
    for number in range(100):
        scene.tracer.note(batch, "device", number, 1)
    scene.answer(batch, 0, 10)
    assert len(scene.written[0].stamps) == STAMP_COUNT_MAX


def test_where_nobody_writes_nobody_is_followed() -> None:
    tracer = Tracer()
    tracer.left -= 1 << 40
    assert tracer.left > 0
    assert tracer.look_ns == NEVER


def test_the_ids_of_a_followed_one_are_known_while_it_is_under_way() -> None:
    scene = Scene(every=1)
    batch = scene.ask()
    trace = batch[0].trace
    assert isinstance(trace, Trace)
    told = (trace.trace_id, trace.span_id)
    assert (len(told[0]), len(told[1])) == (16, 8)
    scene.answer(batch, 0, 10)
    assert (scene.written[0].trace_id, scene.written[0].span_id) == told


def test_each_stage_of_an_io_has_an_id_that_follows_from_what_it_is() -> None:
    """These are the very bytes: who resends a record, or reads it in another release, must not make
    new spans of old ones."""
    root = bytes(range(8))
    assert span_id_of(root, "device").hex() == "28f8455f0ac346d4"
    assert span_id_of(root, "jiva.replica", "replica-2", 7).hex() == "557d69b467ab50cf"
    others = [(root, "jiva.replica", "replica-2", 8), (root, "jiva.replica", "replica-1", 7)]
    others += [(root, "jiva.replica/replica-2", "", 7), (bytes(8), "jiva.replica", "replica-2", 7)]
    ids = {span_id_of(*what) for what in others}
    assert len(ids) == 4
    assert span_id_of(root, "jiva.replica", "replica-2", 7) not in ids


def test_those_of_one_stage_are_told_apart_by_their_makers_number_or_else_by_order() -> None:
    scene = Scene(every=1)
    batch = scene.ask()
    scene.tracer.note(batch, "engine.call", 0, 1)
    scene.tracer.note(batch, "jiva.replica", 1, 2, "b", 1)
    scene.tracer.note(batch, "engine.call", 2, 3)
    scene.tracer.note(batch, "jiva.replica", 3, 4, "b")
    scene.tracer.note(batch, "jiva.replica", 4, 5, "b")
    # Sent again, and answered then.
    scene.tracer.note(batch, "jiva.replica", 5, 6, "b", 1)
    scene.answer(batch, 0, 10)
    numbers = [(stage, number) for stage, *_when, number in scene.written[0].stamps]
    assert numbers == [
        ("engine.call", 0),
        ("jiva.replica", 1),
        ("engine.call", 1),
        ("jiva.replica", 0),
        ("jiva.replica", 2),
        ("jiva.replica", 3),
    ]


def test_which_of_some_is_sampled_is_found_also_by_what_was_made_of_it() -> None:
    scene = Scene(every=1)
    (request,) = scene.ask()
    assert isinstance(request.trace, Trace)
    ordinary = Request(Op.WRITE, 0, 512)
    slow = Request(Op.WRITE, 0, 512, trace=Trace())
    piece = request.derive(Op.READ, 0, 512)
    assert scene.tracer.sampled([ordinary, slow, piece]) is request.trace
    assert scene.tracer.sampled([ordinary, slow]) is None
    scene.answer([request], 0, 1)
    assert scene.tracer.sampled([request]) is None


def test_what_is_slow_is_known_to_who_has_to_ask_others_for_more() -> None:
    tracer = Scene().tracer
    assert (tracer.is_on, tracer.is_slow(SLOW_NS), tracer.is_slow(SLOW_NS + 1)) == (
        *(True, False, True),
    )
    assert (Tracer().is_on, Tracer().is_slow(NEVER)) == (False, False)
    assert (tracer.is_noted(SLOW_NS // 8), tracer.is_noted(SLOW_NS // 8 + 1)) == (False, True)


def test_two_processes_draw_different_ids() -> None:
    ids = set()
    for _ in range(2):
        random.seed(7)
        scene = Scene(every=1)
        scene.answer(scene.ask(), 0, 10)
        ids.add(scene.written[0].trace_id)
    assert len(ids) == 2


def followed(batch: list[Request]) -> list[int]:
    """Return which of a batch are followed."""
    return [number for number, request in enumerate(batch) if request.trace is not None]


def test_one_in_so_many_is_exactly_that_however_they_come() -> None:
    scene = Scene(every=3)
    found = [followed(scene.ask(count)) for count in (1, 1, 1, 7, 2, 2)]
    assert found == [[], [], [0], [2, 5], [1], []]
    assert followed(Scene(every=1).ask(4)) == [0, 1, 2, 3]


def test_none_is_followed_where_none_is_asked_for() -> None:
    scene = Scene(every=0)
    assert followed(scene.ask(5000)) == []
    scene.tracer.limit(TraceLimits(every=0, op=Op.WRITE))
    assert followed(scene.ask(5000)) == []
    assert scene.tracer.left > 0, "nor is a front end asked"


def test_limits_are_changed_while_it_runs() -> None:
    scene = Scene(every=1000)
    scene.tracer.limit(TraceLimits(every=1, slow_ns=800))
    assert (scene.tracer.note_ns, scene.tracer.look_ns) == (100, 800)
    batch = scene.ask(2)
    assert followed(batch) == [0, 1]
    scene.tracer.limit(TraceLimits())
    assert scene.tracer.live == 2, "what is followed already is so to its end"
    scene.answer(batch, 0, 900)
    assert [(io.is_sampled, io.is_slow) for io in scene.written] == [(True, False)] * 2
    assert followed(scene.ask()) == []
    assert scene.tracer.look_ns == SLOW_NS


def test_only_those_asked_for_count_towards_one_in_so_many() -> None:
    scene = Scene()
    scene.tracer.limit(TraceLimits(every=2, op=Op.FLUSH))
    assert [followed(scene.ask(3)) for _ in range(3)] == [[], [], []]
    assert [followed(scene.ask(op=Op.FLUSH)) for _ in range(4)] == [[], [0], [], [0]]
    scene.tracer.limit(TraceLimits(every=2, initiator="iqn.a"))
    assert followed(scene.ask(8)) == []
    assert followed(scene.ask(8, initiator="iqn.b")) == []
    assert followed(scene.ask(8, initiator="iqn.a")) == [1, 3, 5, 7]
    scene.tracer.limit(TraceLimits(every=1, first=700, end=1600))
    assert followed(scene.ask(8)) == [1, 2, 3]
    scene.tracer.limit(TraceLimits(every=3))
    assert scene.tracer.left == 2, "nobody is asked for each batch any more"


def test_one_that_is_not_answered_for_long_is_followed_no_more() -> None:
    scene = Scene(every=2)
    (hung, *_), late = scene.ask(2)[1:], FOLLOWED_NS_MAX + 1
    assert (hung.trace is not None, scene.tracer.live) == (True, 1)
    scene.ask(2, now_ns=late)
    assert (scene.tracer.live, scene.left_out) == (1, 1)
    scene.answer([hung], 0, late)
    (io,) = scene.written
    assert (io.is_sampled, io.is_slow) == (False, True), "it is still a slow one"
    assert scene.tracer.live == 1


def test_what_a_front_end_does_last_is_stamped_from_the_end_of_all_others() -> None:
    scene = Scene(every=1)
    batch = scene.ask()
    scene.tracer.note(batch, "filter.a", 10, 50)
    scene.tracer.note(batch, "device", 20, 60)
    batch[0].status = GOOD
    scene.tracer.answered(batch, 0, 100, "frontend.answer")
    assert scene.written[0].stamps[-1] == ("frontend.answer", "", 80, 20, 0)
    slow = scene.ask()
    scene.tracer.forget(slow[0])
    scene.tracer.answered(slow, 0, SECOND, "frontend.answer")
    assert scene.written[1].stamps == (), "of what was not followed nobody knows when it began"


def test_pieces_of_one_that_were_handed_down_together_leave_one_stamp() -> None:
    scene = Scene(every=1)
    (request,) = scene.ask()
    pieces = [request.derive(Op.WRITE, 0, 256), request.derive(Op.WRITE, 256, 256)]
    scene.tracer.note(pieces, "device", 0, 10)
    assert isinstance(request.trace, Trace)
    assert request.trace.stamps == [("device", "", 0, 10, UNNUMBERED)]
