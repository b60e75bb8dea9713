"""A limit of time that a stranger's code can't catch."""

from __future__ import annotations

import signal

import pytest

from tierce.node.timebox import TooLongError, limited


def test_what_is_in_time_answers() -> None:
    assert limited(lambda: 5, 60) == 5
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_hangs_is_interrupted_and_the_signal_is_put_back() -> None:
    before = signal.getsignal(signal.SIGALRM)

    def hang() -> None:
        while True:
            pass

    with pytest.raises(TooLongError):
        limited(hang, 0.01)
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_raises_leaves_no_timer_behind() -> None:
    with pytest.raises(ZeroDivisionError):
        limited(lambda: 1 // 0, 60)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_is_raised_where_it_is_lost_is_raised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception within a finalizer ends nothing but that."""
    lost: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lost.append)
    monkeypatch.setattr("tierce.node.timebox.AGAIN_S", 0.01)

    class Slow:
        def __del__(self) -> None:
            while True:
                pass

    def hang() -> None:
        Slow()
        while True:
            pass

    with pytest.raises(TooLongError):
        limited(hang, 0.01)
    assert len(lost) == 1
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
