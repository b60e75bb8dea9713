"""Who made an I/O slow is found in its record, and replicas are asked how long they had a frame
only where that costs nothing."""

from __future__ import annotations

import errno

import pytest

from jiva.followed import Followed, Shown, a_read, a_write
from tierce import GOOD, Op, Request, span_id_of
from tierce_jiva.frame_head import Asking, Extension
from tierce_jiva.replica_actions import Fetch, Sync
from tierce_jiva.timing import TIMED_S
from tierce_jiva.wire import Frame, FrameReader, Kind

TIMED = Extension(is_timed=True)


def stages(shown: list[Shown], member: str = "") -> dict[str, float]:
    """Return how long the stages took: of one replica, or those that are no replica's."""
    return {stage: took for stage, whose, took in shown if whose == member}


def extensions(scene: Followed) -> list[Extension | None]:
    """Return what came with the frames that were sent last."""
    return [frame.extension for frames in scene.sent.values() for frame in frames]


# -- what is slow ----------------------------------------------------------------------------------


def test_a_replica_that_stands_still_for_300_ms_is_named_by_the_write_that_waited_for_it() -> None:
    scene = Followed()
    scene.nodes["replica-2"].is_hung = True
    scene.ask(a_write())
    scene.run(0.3)
    scene.nodes["replica-2"].is_hung = False
    scene.run()
    (shown,) = scene.shown()
    assert stages(shown) == {"jiva.replicate": 300}
    assert stages(shown, "replica-2") == {"jiva.replica": 300}
    assert {member for _stage, member, _took in shown} == {"", "replica-2"}


def test_a_slow_sync_is_found_in_its_stage_though_nothing_is_sampled() -> None:
    scene = Followed()
    node = scene.nodes["replica-3"]
    node.held.add(Sync)
    scene.ask(Request(Op.FLUSH))
    assert extensions(scene) == [TIMED] * 3
    scene.run(0.1)
    scene.ask(Request(Op.FLUSH))
    scene.run(0.06)
    scene.release("replica-3")
    scene.run()
    first, second = scene.shown()
    assert stages(first, "replica-3") == {"replica.sync": 160, "jiva.replica": 160}
    assert stages(second, "replica-3") == {"replica.sync_wait": 60, "jiva.replica": 60}
    assert stages(first, "replica-1") == {}


def test_a_flush_waits_for_the_sync_before_it_and_then_has_one_of_its_own() -> None:
    scene = Followed()
    scene.nodes["replica-1"].held.add(Sync)
    scene.ask(Request(Op.FLUSH))
    scene.ask(Request(Op.FLUSH))
    scene.run(0.06)
    scene.nodes["replica-1"].waiting.pop()()
    scene.run(0.04)
    scene.release("replica-1")
    scene.run()
    first, second = scene.shown()
    assert stages(first, "replica-1") == {"replica.sync": 60, "jiva.replica": 60}
    whole = {"replica.sync_wait": 60, "replica.sync": 40, "jiva.replica": 100}
    assert stages(second, "replica-1") == whole


def test_a_write_that_waits_for_a_store_has_waited_in_the_replicas_queue() -> None:
    scene = Followed()
    scene.nodes["replica-2"].must_admit = True
    scene.kill_replica("replica-2")
    scene.start_replica("replica-2")
    scene.run(3)
    scene.admit("replica-2")
    scene.run(3)
    scene.written.clear()
    scene.ask(a_write(), is_sampled=True)
    scene.run(0.2)
    scene.admit("replica-2")
    scene.run()
    (shown,) = scene.shown()
    assert stages(shown, "replica-2")["replica.queue"] == 200
    assert stages(shown, "replica-2")["replica.apply"] == 0
    assert stages(shown, "replica-1")["replica.queue"] == 0


def test_a_slow_read_of_a_replicas_disk_is_found_in_its_stage() -> None:
    scene = Followed(count=1)
    node = scene.nodes["replica-1"]
    node.store.is_cold = True
    node.held.add(Fetch)
    scene.ask(a_read(), is_sampled=True)
    scene.run(0.1)
    scene.release("replica-1")
    scene.run()
    (shown,) = scene.shown()
    expected = {"replica.queue": 0, "replica.read": 100, "jiva.replica": 100}
    assert stages(shown, "replica-1") == expected


def test_what_a_replica_had_lies_in_the_middle_of_the_round_trip() -> None:
    scene = Followed(count=1)
    node = scene.nodes["replica-1"]
    node.held.add(Sync)
    node.is_hung = True
    scene.ask(Request(Op.FLUSH))
    scene.run(0.04)
    node.is_hung = False
    scene.run(0.1)
    node.is_mute = True
    scene.release("replica-1")
    scene.run(0.06)
    node.is_mute = False
    scene.run()
    (io,) = scene.written
    found = {stage: (start / 1e6, took / 1e6) for stage, _, start, took, _ in io.stamps}
    assert found["jiva.replica"] == pytest.approx((0, 200))
    # There and back took 100 ms: half of that each way, as far as anybody knows.
    assert found["replica.sync"] == pytest.approx((50, 100))


def test_a_write_that_waited_for_a_majority_has_waited_at_the_admission() -> None:
    scene = Followed()
    for name in ("replica-1", "replica-2"):
        scene.cut.add(name)
        scene.break_pipe(name, "cut")
    scene.ask(a_write())
    scene.run(0.2)
    scene.cut.clear()
    scene.run(0.1)
    (shown,) = scene.shown()
    assert stages(shown) == {"jiva.admit": 200}


def test_a_write_that_nobody_settles_names_who_was_silent() -> None:
    scene = Followed(not_ready_after_s=2.0, dead_s=60.0, alone_after_s=60.0)
    for name in ("replica-2", "replica-3"):
        scene.nodes[name].is_hung = True
    scene.ask(a_write())
    scene.run(3)
    (shown,) = scene.shown()
    assert stages(shown, "replica-1") == {}
    for name in ("replica-2", "replica-3"):
        assert stages(shown, name)["jiva.replica"] > 2000
    assert stages(shown)["jiva.replicate"] > 2000


def test_a_flush_that_nobody_settles_names_who_was_silent() -> None:
    scene = Followed(not_ready_after_s=2.0, flush_dead_s=60.0)
    scene.nodes["replica-2"].held.add(Sync)
    scene.ask(Request(Op.FLUSH))
    scene.run(3)
    (shown,) = scene.shown()
    assert stages(shown, "replica-2")["jiva.replica"] > 2000
    assert stages(shown, "replica-3") == {}


def test_a_read_names_who_was_asked_in_vain_before_another_one_served_it() -> None:
    scene = Followed()
    for node in scene.nodes.values():
        node.is_hung = True
    scene.ask(a_read())
    (silent,) = [name for name, frames in scene.sent.items() if frames]
    scene.run(0.2)
    for node in scene.nodes.values():
        node.is_hung = node.name == silent
    scene.break_pipe(silent, "cut")
    scene.run()
    (shown,) = scene.shown()
    assert stages(shown, silent) == {"jiva.replica": 200}
    assert {member for _stage, member, _took in shown} == {silent}


def test_a_read_that_nobody_serves_names_who_was_silent() -> None:
    scene = Followed(count=1, not_ready_after_s=2.0, dead_s=60.0)
    scene.nodes["replica-1"].is_hung = True
    scene.ask(a_read())
    scene.run(3)
    (shown,) = scene.shown()
    assert stages(shown, "replica-1")["jiva.replica"] > 2000


def test_a_write_names_whose_connection_was_lost_before_it_was_sent_again() -> None:
    scene = Followed()
    scene.nodes["replica-2"].is_hung = True
    scene.ask(a_write())
    scene.run(0.1)
    scene.cut.add("replica-2")
    scene.break_pipe("replica-2", "cut")
    scene.run(0.2)
    scene.cut.clear()
    scene.nodes["replica-2"].is_hung = False
    scene.run(0.1)
    (shown,) = scene.shown()
    assert stages(shown, "replica-2") == {"jiva.replica": pytest.approx(300, abs=1)}
    assert stages(shown)["jiva.replicate"] >= 300


# -- who is timed ----------------------------------------------------------------------------------


def test_a_write_that_nobody_follows_is_sent_as_it_always_was() -> None:
    scene = Followed()
    scene.ask(a_write())
    assert extensions(scene) == [None] * 3


def test_for_a_second_after_a_late_answer_everything_is_timed() -> None:
    scene = Followed()
    scene.nodes["replica-2"].is_hung = True
    scene.ask(a_write())
    scene.run(0.2)
    scene.nodes["replica-2"].is_hung = False
    scene.run()
    late_at = scene.now
    scene.ask(a_write(4096))
    assert extensions(scene) == [TIMED] * 3
    scene.run()
    scene.ask(a_read())
    assert extensions(scene) == [TIMED]
    scene.run(TIMED_S - 0.01)
    scene.ask(a_write(8192))
    assert extensions(scene) == [TIMED] * 3
    scene.run(late_at + TIMED_S + 0.01 - scene.now)
    scene.ask(a_write(8192))
    assert extensions(scene) == [None] * 3


def test_where_nobody_is_followed_not_even_a_flush_is_timed() -> None:
    scene = Followed()
    scene.tracer.__init__()  # type: ignore[misc]
    scene.ask(Request(Op.FLUSH))
    assert extensions(scene) == [None] * 3


# -- whose it is -----------------------------------------------------------------------------------


def askings(frames: list[Frame]) -> list[Asking | None]:
    return [frame.extension.asking if frame.extension else None for frame in frames]


def test_each_replica_is_told_the_id_that_its_own_round_trip_has_in_the_record() -> None:
    scene = Followed()
    scene.ask(a_write(), a_write(4096), is_sampled=True)
    told = {name: askings(frames) for name, frames in scene.sent.items()}
    scene.run()
    (io,) = scene.written
    assert [len(asked) for asked in told.values()] == [1, 1, 1]
    for stage, member, *_when, number in io.stamps:
        if stage == "jiva.replica":
            span_id = span_id_of(io.span_id, stage, member, number)
            assert told.pop(member) == [Asking(io.trace_id, span_id)]
    assert not told
    whose = {(member, number) for _stage, member, _, _, number in io.stamps if member}
    assert len(whose) == 3, "what a replica tells has the number of its round trip"


def test_a_part_of_a_sampled_request_is_told_to_be_of_it() -> None:
    scene = Followed()
    whole = a_write(0, 8192)
    scene.tracer.left = -1
    scene.tracer.sample([whole], scene.clock_ns())
    assert whole.buffer is not None
    part = whole.derive(Op.WRITE, 0, 4096, whole.buffer[:4096])
    scene.ask(a_write(1 << 16), part)
    (told, *_others) = askings(scene.sent["replica-1"])
    assert told is not None
    assert told.trace_id == whole.trace.trace_id
    scene.run()
    assert part.status is GOOD


def test_while_another_is_followed_what_is_not_sampled_is_not_told_of() -> None:
    scene = Followed()
    scene.ask(a_write(), is_sampled=True)
    scene.join_for_replicas()
    scene.ask(a_write(4096))
    assert extensions(scene) == [None] * 3
    scene.run()
    (shown,) = scene.shown()
    assert [stage for stage, *_rest in shown].count("jiva.replica") == 3


def test_what_is_sent_again_on_a_new_connection_is_told_to_be_of_the_same() -> None:
    scene = Followed()
    scene.nodes["replica-2"].is_hung = True
    scene.ask(a_write(), is_sampled=True)
    (told,) = askings(scene.sent["replica-2"])
    scene.break_pipe("replica-2", "blip")
    scene.nodes["replica-2"].is_hung = False
    again: list[Asking | None] = []

    def is_sent_again() -> bool:
        scene._listen()
        again.extend(askings([f for f in scene.sent["replica-2"] if f.kind is Kind.BATCH]))
        return bool(again)

    scene.step_until(is_sent_again)
    assert again == [told]
    scene.run()


def test_a_failure_of_a_followed_frame_is_told_with_whose_it_was() -> None:
    scene = Followed()
    scene.nodes["replica-2"].store.fail_write = OSError(errno.EIO, "bad sector")
    scene.ask(a_write(), is_sampled=True)
    (told,) = askings(scene.sent["replica-2"])
    scene.run()
    assert scene.nodes["replica-2"].followed == [("jiva.replica.write-failed", told)]
    assert scene.nodes["replica-1"].followed == []


@pytest.mark.parametrize("is_sampled", [True, False])
def test_a_replicas_log_names_what_was_slow_in_it_and_is_followed(*, is_sampled: bool) -> None:
    scene = Followed()
    scene.nodes["replica-1"].held.add(Sync)
    scene.ask(Request(Op.FLUSH), is_sampled=is_sampled)
    (told,) = askings(scene.sent["replica-1"])
    scene.run(0.12)
    scene.release("replica-1")
    scene.run()
    expected = [("waited 0.0 ms and took 120.0 ms to flush", told)] if is_sampled else []
    assert scene.nodes["replica-1"].followed == expected


@pytest.mark.parametrize("is_sampled", [True, False])
def test_a_timed_flush_fails_as_any_does_and_covers_only_what_came_before_its_sync(
    *, is_sampled: bool
) -> None:
    scene = Followed(count=1)
    node = scene.nodes["replica-1"]
    node.held.add(Sync)
    first, second = Request(Op.FLUSH), Request(Op.FLUSH)
    scene.ask(first, is_sampled=is_sampled)
    scene.run()
    # Behind the sync that has begun: it needs one of its own.
    scene.ask(a_write())
    scene.ask(second, is_sampled=is_sampled)
    scene.run()
    node.store.fail_sync = OSError(errno.EIO, "bad sector")
    node.waiting.pop(0)()
    scene.run()
    assert second.status is None
    scene.release("replica-1")
    scene.run()
    assert [one.status is not None and one.status.is_good for one in (first, second)] == [
        False,
        False,
    ]


def test_what_is_followed_is_sent_to_nobody_to_whom_more_is_owed_first() -> None:
    scene = Followed()
    link = scene.target.links["replica-3"]
    scene.run()
    link.is_current = False
    link.outgoing[:] = [b"what", b"is", b"owed"]
    scene.target.submit(scene.now, [a_write(8192)], lambda _done: None)
    untold = list(link.outgoing)
    scene.tracer.left = -1
    followed = a_write(16384)
    scene.tracer.sample([followed], scene.clock_ns())
    scene.target.submit(scene.now, [followed], lambda _done: None)
    assert untold == link.outgoing == [b"what", b"is", b"owed"]


# -- old and new -----------------------------------------------------------------------------------


class OlderReader(FrameReader):
    """Skips every extension and every flag, as the first release did."""

    def received(self, count: int) -> list[Frame]:
        frames = super().received(count)
        for frame in frames:
            frame.extension = None
        return frames


def test_a_replica_of_an_older_release_serves_what_is_followed_and_tells_nothing() -> None:
    scene = Followed()
    scene.pipes["replica-2"].at_replica = OlderReader()
    scene.ask(a_write(0, 8192), is_sampled=True)
    scene.run()
    scene.ask(Request(Op.FLUSH), is_sampled=True)
    scene.run()
    for shown in scene.shown():
        assert list(stages(shown, "replica-2")) == ["jiva.replica"]
        assert len(stages(shown, "replica-1")) == 3
    assert scene.cached(0, 8192)[1] == scene.durable(0, 8192)[1] == bytes(8192)
