"""A connection as a ladder of what comes and what is sent, on a clock of the test's own."""

from __future__ import annotations

import pytest

from tierce_exporters.http.connection import (
    ANSWER_S,
    DRAIN_S,
    HEAD_S,
    IDLE_S,
    Connection,
    Phase,
)
from tierce_exporters.http.request import Request
from tierce_exporters.http.response import Response

GET = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
PAGE = Response(200, "text/plain", (b"page" * 100, b"end"))


def asked(connection: Connection, data: bytes, now: float) -> Request | None:
    connection.receive(data, now)
    return connection.next_request(now, 0)


def take(connection: Connection, now: float) -> bytes:
    """Send all that waits."""
    data = b"".join(connection.outgoing)
    connection.sent(len(data), now)
    return data


def test_requests_are_answered_one_after_the_other() -> None:
    connection = Connection(0)
    assert asked(connection, GET + GET, 1) is not None
    # The second waits until the first is answered.
    assert connection.next_request(1, 0) is None
    connection.answer(PAGE, 2, 0)
    assert take(connection, 3).endswith(b"\r\n\r\n" + b"page" * 100 + b"end")
    assert connection.next_request(3, 0) is not None
    assert not connection.is_idle
    connection.answer(PAGE, 4, 0)
    take(connection, 5)
    assert connection.is_idle


def test_the_bytes_of_an_answer_are_shared_not_copied() -> None:
    first, second = Connection(0), Connection(0)
    for connection in (first, second):
        asked(connection, GET, 0)
        connection.answer(PAGE, 0, 0)
        assert connection.outgoing[1].obj is PAGE.body[0]


def test_an_answer_is_sent_in_any_pieces() -> None:
    connection = Connection(0)
    asked(connection, GET, 0)
    connection.answer(PAGE, 0, 0)
    whole = b"".join(connection.outgoing)
    got = b""
    while connection.phase is Phase.SENDING:
        got += bytes(connection.outgoing[0][:7])
        connection.sent(min(7, len(connection.outgoing[0])), 1)
    assert got == whole


def test_head_gets_the_head_of_the_page_alone() -> None:
    connection = Connection(0)
    asked(connection, GET.replace(b"GET", b"HEAD"), 0)
    connection.answer(PAGE, 0, 0)
    got = take(connection, 0)
    assert b"Content-Length: 403\r\n" in got
    assert got.endswith(b"\r\n\r\n")


def test_a_wrong_request_is_answered_and_is_the_last() -> None:
    connection = Connection(0)
    assert asked(connection, b"nonsense\r\n\r\n" + GET, 0) is None
    assert take(connection, 1).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert (connection.phase, connection.deadline) == (Phase.DRAINING, 1 + DRAIN_S)
    # What still comes is not read as a request.
    assert asked(connection, GET, 2) is None


def test_who_asks_for_the_end_gets_it_after_the_answer() -> None:
    connection = Connection(0)
    asked(connection, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), 0)
    connection.answer(PAGE, 0, 0)
    assert b"Connection: close\r\n" in take(connection, 0)
    assert connection.phase is Phase.DRAINING


def test_every_step_has_its_time() -> None:
    connection = Connection(0)
    assert connection.deadline == IDLE_S
    connection.receive(GET[:5], 100)
    assert connection.deadline == 100 + HEAD_S
    # A byte now and then does not make it longer.
    connection.receive(GET[5:9], 105)
    assert connection.deadline == 100 + HEAD_S
    assert asked(connection, GET[9:], 106) is not None
    assert connection.deadline is None
    connection.answer(PAGE, 200, 0)
    assert connection.deadline == 200 + ANSWER_S
    take(connection, 210)
    assert connection.deadline == 210 + IDLE_S


def test_a_part_of_a_request_that_came_before_an_answer_was_sent_has_its_time_from_then() -> None:
    connection = Connection(0)
    asked(connection, GET + GET[:5], 0)
    connection.answer(PAGE, 20, 0)
    take(connection, 25)
    assert connection.deadline == 25 + HEAD_S


def test_what_was_not_asked_is_not_answered() -> None:
    with pytest.raises(AssertionError, match="what is answered was asked"):
        Connection(0).answer(PAGE, 0, 0)
