"""Following I/Os for a time: what is asked for holds until then, and never longer."""

from __future__ import annotations

from typing import Any, cast

import pytest

from core.fake_reactor import FakeReactor
from core.volume.test_holding import Asked
from tierce import ConflictError, Job, Op, TemporaryError, Tracer
from tierce.trace_limits import NEVER, TraceLimits
from tierce.volume.following import TOLD_EVERY_S, FollowArguments, Following

USUAL = TraceLimits()


class Scene:
    """A volume of which nobody is followed but as always."""

    def __init__(self) -> None:
        self.reactor = cast("Any", FakeReactor())
        self.tracer = Tracer(lambda _io: None)
        self.following = Following("work", self.tracer, self.reactor)
        self.told: list[float] = []
        self.job: Job

    def ask(self, **arguments: Any) -> Asked:
        asked = Asked()
        self.job = Job(
            asked.answered, lambda fraction, _text: self.told.append(fraction), asked.faults.append
        )
        self.following.manage("follow", FollowArguments(**arguments), self.job)
        return asked

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TOLD_EVERY_S)):
            self.reactor.advance(TOLD_EVERY_S)


def test_what_is_asked_for_holds_for_its_time_and_then_all_is_as_it_was() -> None:
    scene = Scene()
    asked = scene.ask(every=1, operation="write", for_s=1.0)
    assert scene.tracer.limits == TraceLimits(every=1, op=Op.WRITE)
    scene.pass_time(0.75)
    assert scene.told == [0.25, 0.5, 0.75]
    assert not asked.is_answered
    scene.pass_time(0.25)
    assert (asked.is_answered, asked.error, asked.faults) == (True, None, [])
    assert scene.tracer.limits == USUAL
    scene.pass_time(1.0)
    assert len(scene.told) == 3


def test_when_who_asked_hangs_up_all_is_as_it_was() -> None:
    scene = Scene()
    asked = scene.ask(every=1, for_s=1.0)
    scene.job.cancel()
    assert (scene.tracer.limits, asked.is_answered) == (USUAL, True)
    scene.ask(every=2, for_s=5.0)
    scene.pass_time(1.0)
    assert scene.tracer.limits.every == 2, "the end of the first does not end the second"


def test_with_the_target_it_ends_and_who_waits_is_told() -> None:
    scene = Scene()
    scene.following.close()
    asked = scene.ask(every=1)
    scene.following.close()
    assert isinstance(asked.error, TemporaryError)
    assert scene.tracer.limits == USUAL


def test_a_second_one_is_told_how_long_the_first_goes_on() -> None:
    scene = Scene()
    scene.ask(every=1, for_s=30)
    scene.pass_time(10)
    with pytest.raises(ConflictError, match="for 20 s more"):
        scene.ask(every=5)
    assert scene.tracer.limits.every == 1


def test_what_is_not_said_is_as_always_and_nought_is_none() -> None:
    assert FollowArguments().limits == USUAL
    wanted = FollowArguments(
        every=0, slow_ms=0, operation="write_zeroes", initiator="iqn.a", first=512, end=1024
    )
    assert wanted.limits == TraceLimits(0, NEVER, Op.WRITE_ZEROES, "iqn.a", 512, 1024)
    assert FollowArguments(slow_ms=0.5).limits.slow_ns == 500_000


def test_a_range_without_a_byte_is_refused() -> None:
    assert FollowArguments(first=512, end=512).check() is not None
    assert FollowArguments(first=512, end=513).check() is None


def test_it_has_one_action_which_may_take_long() -> None:
    (action,) = Scene().following.actions()
    assert (action.name, action.is_long, action.arguments) == ("follow", True, FollowArguments)
