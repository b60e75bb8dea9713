"""Whether a process answers."""

from __future__ import annotations

from tierce.supervision.pulse import Pulse, Verdict

TELL_S, KILL_S = 10.0, 30.0


def judge(pulse: Pulse, now: float) -> Verdict:
    return pulse.judge(now, tell_s=TELL_S, kill_s=KILL_S)


def asked(pulse: Pulse, now: float) -> None:
    assert judge(pulse, now) is Verdict.ASK
    pulse.asked(now, tell_s=TELL_S)


def test_one_that_answers_is_asked_no_more_often_than_its_silence_would_be_told() -> None:
    pulse = Pulse()
    for second in range(100):
        if judge(pulse, float(second)) is Verdict.ASK:
            assert second % TELL_S == 0
            pulse.asked(float(second), tell_s=TELL_S)
            assert not pulse.answered()


def test_one_that_falls_silent_is_told_of_once_and_then_killed() -> None:
    pulse = Pulse()
    asked(pulse, 0.0)
    pulse.answered()
    asked(pulse, 10.0)
    assert judge(pulse, 19.9) is Verdict.LEAVE
    assert judge(pulse, 20.0) is Verdict.TELL
    pulse.is_told = True
    assert judge(pulse, 39.9) is Verdict.LEAVE
    assert judge(pulse, 40.0) is Verdict.KILL


def test_an_answer_that_comes_late_ends_the_silence() -> None:
    pulse = Pulse(is_told=True, has_answered=True)
    pulse.asked(0.0, tell_s=TELL_S)
    assert pulse.answered()
    assert judge(pulse, 50.0) is Verdict.ASK


def test_one_that_has_never_answered_is_starting_and_is_not_killed() -> None:
    pulse = Pulse()
    asked(pulse, 0.0)
    assert judge(pulse, 10.0) is Verdict.TELL
    pulse.is_told = True
    assert judge(pulse, 1e6) is Verdict.LEAVE


def test_after_a_sleep_of_ours_everybody_has_the_whole_time_again() -> None:
    pulse = Pulse(has_answered=True)
    asked(pulse, 0.0)
    pulse.forgive(5000.0)
    assert judge(pulse, 5009.0) is Verdict.LEAVE
    assert judge(pulse, 5010.0) is Verdict.TELL
