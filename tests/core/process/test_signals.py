"""Signals as events of a loop."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tierce.process.signals import caught_signals


def test_a_signal_calls_its_action_from_the_loop(reactor: Any) -> None:
    heard: list[str] = []
    with caught_signals(reactor, {signal.SIGHUP: lambda: heard.append("hup")}):
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard == []
        reactor.turn()
    assert heard == ["hup"]
    assert not reactor.watched


def test_no_signal_is_lost_while_they_begin_to_be_caught(
    reactor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    install = signal.signal

    def install_and_send(number: int, handler: Any) -> Any:
        before = install(number, handler)
        if number == signal.SIGHUP and callable(handler):
            # It comes as soon as it has a handler.
            os.kill(os.getpid(), signal.SIGHUP)
        return before

    monkeypatch.setattr(signal, "signal", install_and_send)
    with caught_signals(reactor, {signal.SIGHUP: lambda: heard.append("hup")}):
        reactor.turn()
    assert heard == ["hup"]


def test_a_storm_of_signals_is_one_wish(reactor: Any) -> None:
    heard: list[str] = []
    with caught_signals(reactor, {signal.SIGHUP: lambda: heard.append("hup")}):
        for _count in range(50):
            os.kill(os.getpid(), signal.SIGHUP)
        reactor.turn()
    assert heard == ["hup"]


def test_what_was_before_is_again_afterwards(reactor: Any) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with caught_signals(reactor, {signal.SIGHUP: lambda: None}):
        assert signal.getsignal(signal.SIGHUP) is not before
    assert signal.getsignal(signal.SIGHUP) is before
