"""What the target tells of its sessions: each begin and end, why, once, and never too much."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from iscsi.bench import Bench, Initiator
from iscsi.initiator import (
    LOGIN_KEYS,
    NAME,
    command,
    login,
    nop_out,
    only,
    read_10,
    request,
    task_management,
)
from tierce import Event
from tierce_iscsi.session import Cause
from tierce_iscsi.session_events import EVENT_COUNT_MAX, WINDOW_S

BEGAN, ENDED, REFUSED = "iscsi.session.began", "iscsi.session.ended", "iscsi.login.refused"


def told(bench: Bench, code: str) -> list[Event]:
    return [event for event in bench.events if event.code == code]


def test_a_session_that_begins_is_told_with_whose_it_is(bench: Bench) -> None:
    bench.session()
    event = only(told(bench, BEGAN))
    assert (event.subject, event.severity) == ("volume/demo", "info")
    assert event.fields["initiator"] == NAME
    assert event.fields["address"].startswith("127.0.0.1:")
    assert NAME in event.message


def test_an_initiator_that_offered_authentication_and_got_none_is_told_of(bench: Bench) -> None:
    bench.session(keys={"AuthMethod": "CHAP,None"})
    assert "without the CHAP,None that it offered" in only(told(bench, BEGAN)).message
    assert only(told(bench, BEGAN)).fields["auth_offered"] == "CHAP,None"


def silent(bench: Bench, _session: Initiator) -> None:
    bench.loop.advance(60)


def closed(bench: Bench, session: Initiator) -> None:
    session.close()
    bench.loop.turn()


def bad_digest(_bench: Bench, session: Initiator) -> None:
    session.ask(nop_out(1) + b"\0\0\0\0")


ENDS: dict[Cause, Callable[[Bench, Initiator], object]] = {
    Cause.LOGGED_OUT: lambda _bench, session: session.ask(request(6, 1)),
    Cause.CLOSED: closed,
    Cause.SILENT: silent,
    Cause.DIGEST: bad_digest,
    Cause.PROTOCOL: lambda _bench, session: session.ask(command(read_10(0, 1), 5, read=512)),
    Cause.RESET: lambda _bench, session: session.ask(task_management(7, 1)),
    Cause.TARGET: lambda bench, _session: bench.frontend.close(lambda: None),
    Cause.REPLACED: lambda bench, _session: bench.session(),
}


@pytest.mark.parametrize("cause", ENDS, ids=lambda cause: cause.value)
def test_the_end_of_a_session_is_told_once_with_its_cause(bench: Bench, cause: Cause) -> None:
    keys = {"HeaderDigest": "CRC32C"} if cause is Cause.DIGEST else {}
    session = bench.session(keys=keys)
    session.header_digest = cause is Cause.DIGEST
    ENDS[cause](bench, session)
    event = only(told(bench, ENDED))
    assert event.fields["cause"] == cause.value
    assert event.fields["initiator"] == NAME
    is_fault = cause in {Cause.SILENT, Cause.DIGEST, Cause.PROTOCOL}
    assert event.severity == ("warning" if is_fault else "info")
    assert NAME in event.message


def test_a_login_that_is_refused_is_told_with_its_status_and_why(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(session_count_max=1)
    bench.session()
    bench.initiator().login(isid=b"\x80\0\0\0\0\7")
    event = only(told(bench, REFUSED))
    assert event.fields["status"] == "0x0302"
    assert "too many sessions" in event.message
    assert told(bench, ENDED) == [], "it was no session"


def test_a_login_that_ends_unanswered_is_told(bench: Bench) -> None:
    made = bench.initiator()
    made.start(login(LOGIN_KEYS, flags=0x04))
    made.close()
    bench.loop.turn()
    assert "closed the connection" in only(told(bench, "iscsi.login.given-up")).message


def test_what_a_stranger_can_have_told_is_bounded_and_counted(bench: Bench) -> None:
    for _ in range(EVENT_COUNT_MAX + 7):
        bench.initiator().start(login(LOGIN_KEYS, flags=0x8F))
    assert len(told(bench, REFUSED)) == EVENT_COUNT_MAX
    bench.session()
    assert len(told(bench, BEGAN)) == 1, "each kind has a budget of its own"
    bench.loop.advance(WINDOW_S)
    bench.initiator().start(login(LOGIN_KEYS, flags=0x8F))
    assert "7 such events were left out" in told(bench, REFUSED)[-1].message
