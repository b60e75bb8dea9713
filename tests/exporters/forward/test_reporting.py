"""When it is told that something is dropped, or that the peer is not there."""

from __future__ import annotations

from tierce import Event, Severity
from tierce_exporters.forward.reporting import QUIET_S, TROUBLE_S, Reporter


def reporter() -> Reporter:
    return Reporter("forward", "127.0.0.1:24224")


def look(one: Reporter, now: float, trouble: str = "", events: int = 0) -> list[Event]:
    return list(one.look(now, trouble, {"events": events, "records": 0}))


def test_drops_are_told_once_when_they_begin_and_once_when_they_end_with_all_of_them() -> None:
    one = reporter()
    assert look(one, 0.0) == []
    (began,) = look(one, 1.0, events=2)
    assert (began.code, began.severity) == ("exporter.dropping", Severity.WARNING)
    assert began.fields == {"exporter": "forward", "dropped": {"events": 2}}
    for second in range(100):
        assert look(one, 2.0 + second, events=3 + second) == []
    assert look(one, 101.0 + QUIET_S - 0.1, events=102) == []
    (ended,) = look(one, 101.0 + QUIET_S, events=102)
    assert ended.code == "exporter.dropping-ended"
    assert ended.fields == {"exporter": "forward", "dropped": {"events": 100}}
    assert look(one, 1000.0, events=102) == []


def test_drops_that_begin_again_are_told_again() -> None:
    one = reporter()
    look(one, 0.0, events=1)
    look(one, QUIET_S, events=1)
    (again,) = look(one, 2 * QUIET_S, events=5)
    assert again.code == "exporter.dropping"
    assert again.fields["dropped"] == {"events": 4}


def test_a_peer_that_is_away_for_long_is_told_once_with_why_and_once_when_it_is_back() -> None:
    one = reporter()
    assert look(one, 0.0, "refused") == []
    assert look(one, TROUBLE_S - 0.1, "closed") == []
    (lost,) = look(one, TROUBLE_S, "refused")
    assert (lost.code, lost.severity) == ("exporter.peer-lost", Severity.WARNING)
    assert "127.0.0.1:24224" in lost.message
    assert "refused" in lost.message
    assert look(one, 2 * TROUBLE_S, "closed") == []
    (back,) = look(one, 3 * TROUBLE_S)
    assert (back.code, back.severity) == ("exporter.peer-back", Severity.INFO)
    assert look(one, 4 * TROUBLE_S) == []


def test_a_peer_that_is_restarted_is_not_worth_a_word() -> None:
    one = reporter()
    for second in range(100):
        assert look(one, float(second), "closed" if second % 8 else "") == []
