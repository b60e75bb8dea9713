"""A frame that is watched: what is told of it in the answer, and when in the log."""

from __future__ import annotations

from jiva.ladder import BALLOT, frames_of
from tierce_jiva.frame_head import Asking, Durations, Extension, Stages
from tierce_jiva.watched import SLOW_NS, Watched, asking_of, ids_of
from tierce_jiva.wire import encode_ack

ASKING = Asking(bytes(range(16)), bytes(range(8)))
ACK = encode_ack(3, BALLOT)


def test_an_answer_tells_how_long_the_question_waited_and_took() -> None:
    watched = Watched(Extension(is_timed=True), 1000, 1300, 1700)
    (frame,) = frames_of(watched.tell(ACK, Stages.QUEUE_READ))
    assert frame.sequence == 3
    told = Durations(Stages.QUEUE_READ, 300, 400)
    assert frame.extension == Extension(durations=told)


def test_who_does_not_ask_for_it_is_not_told() -> None:
    assert Watched(Extension(asking=ASKING), 1, 2, 3).tell(ACK, Stages.QUEUE_READ) is ACK


def test_no_duration_is_below_zero_whatever_the_clock_did() -> None:
    (frame,) = frames_of(Watched(Extension(is_timed=True), 9, 5, 1).tell(ACK, Stages.QUEUE_APPLY))
    assert frame.extension == Extension(durations=Durations(Stages.QUEUE_APPLY, 0, 0))


def test_only_what_is_followed_and_slow_is_for_the_log() -> None:
    assert Watched(Extension(asking=ASKING), 0, 1, SLOW_NS + 1).is_slow
    assert not Watched(Extension(asking=ASKING), 0, 1, SLOW_NS).is_slow
    assert not Watched(Extension(is_timed=True), 0, 1, SLOW_NS + 1).is_slow


def test_whose_question_it_is_is_told_in_hexadecimal_digits_or_not_at_all() -> None:
    followed = Watched(Extension(asking=ASKING), 0)
    assert asking_of([None, Watched(Extension(is_timed=True), 0), followed]) is ASKING
    assert asking_of([None]) is None
    assert ids_of(ASKING) == {"trace_id": bytes(range(16)).hex(), "span_id": bytes(range(8)).hex()}
    assert ids_of(None) == {}
