"""Requests from bytes: whole ones, cut ones, wrong ones."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierce_exporters.http.request import (
    HEAD_BYTES_MAX,
    HEADER_COUNT_MAX,
    BadRequestError,
    Request,
    RequestParser,
)

SCRAPE = b"GET /metrics?x=1 HTTP/1.1\r\nHost: node:9500\r\nAccept: text/plain\r\n\r\n"


def parse(data: bytes) -> Request | None:
    parser = RequestParser()
    parser.receive(data)
    return parser.next_request()


def refusal(data: bytes) -> int:
    with pytest.raises(BadRequestError) as caught:
        parse(data)
    return caught.value.status


def head(*lines: str, first: str = "GET / HTTP/1.1", host: str = "Host: a") -> bytes:
    return "\r\n".join([first, *filter(None, [host]), *lines, "", ""]).encode("latin-1")


def test_a_scrape_is_read() -> None:
    request = parse(SCRAPE)
    assert request is not None
    assert (request.method, request.path, request.keeps_alive) == ("GET", "/metrics", True)
    assert request.headers == {"host": "node:9500", "accept": "text/plain"}


def test_a_request_comes_in_any_pieces() -> None:
    parser = RequestParser()
    for index in range(len(SCRAPE) - 1):
        parser.receive(SCRAPE[index : index + 1])
        assert parser.next_request() is None
        assert parser.has_begun
    parser.receive(SCRAPE[-1:])
    assert parser.next_request() == parse(SCRAPE)
    assert not parser.has_begun


def test_requests_follow_each_other_and_empty_lines_between_them_are_passed_over() -> None:
    parser = RequestParser()
    parser.receive(SCRAPE + b"\r\n\r\n" + head(first="HEAD /-/healthy HTTP/1.1"))
    assert parser.next_request() == parse(SCRAPE)
    second = parser.next_request()
    assert second is not None
    assert (second.method, second.path) == ("HEAD", "/-/healthy")
    assert parser.next_request() is None


@pytest.mark.parametrize(
    ("first", "lines", "keeps"),
    [
        ("GET / HTTP/1.1", ("Connection: close",), False),
        ("GET / HTTP/1.1", ("Connection: TE, Close",), False),
        ("GET / HTTP/1.0", (), False),
        ("GET / HTTP/1.0", ("Connection: Keep-Alive",), True),
    ],
)
def test_who_keeps_the_connection_open_is_read_from_version_and_header(
    first: str, lines: tuple[str, ...], keeps: bool
) -> None:
    request = parse(head(*lines, first=first))
    assert request is not None
    assert request.keeps_alive is keeps


def test_a_whole_url_is_taken_as_its_path() -> None:
    for target, path in (("http://localhost/metrics?a", "/metrics"), ("http://localhost", "/")):
        request = parse(head(first=f"GET {target} HTTP/1.1"))
        assert request is not None
        assert request.path == path


def test_a_header_that_comes_twice_is_one_with_commas_and_spaces_around_values_go() -> None:
    request = parse(head("Accept:  a\t", "ACCEPT:b"))
    assert request is not None
    assert request.headers["accept"] == "a,b"


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (400, b"GET /\r\n\r\n"),
        (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
        (400, head(host="")),
        (400, head("Host: b")),
        (400, head("Accept : text/plain")),
        (400, head("Accept: a", " folded")),
        (400, head("Accept: \x00")),
        (400, head(first="GET metrics HTTP/1.1")),
        (400, head("Content-Length: -1")),
        (400, head("Content-Length: 0", "Content-Length: 5")),
        (413, head("Content-Length: 5")),
        (413, head("Transfer-Encoding: chunked")),
        (505, head(first="GET / HTTP/2.0")),
        (414, b"GET /" + b"a" * HEAD_BYTES_MAX),
        (431, SCRAPE[:-2] + b"A: " + b"b" * HEAD_BYTES_MAX),
        (431, head(*(f"A{index}: b" for index in range(HEADER_COUNT_MAX)))),
    ],
)
def test_what_is_no_request_is_refused_with_its_status(status: int, data: bytes) -> None:
    assert refusal(data) == status


def test_a_length_of_zero_is_no_body() -> None:
    assert parse(head("Content-Length: 0", "Content-Length: 0")) is not None


@given(st.binary(max_size=300), st.integers(0, len(SCRAPE)))
def test_any_bytes_give_requests_or_a_refusal(data: bytes, kept: int) -> None:
    parser = RequestParser()
    parser.receive(SCRAPE[:kept] + data)
    with contextlib.suppress(BadRequestError):
        while (request := parser.next_request()) is not None:
            assert request.path.startswith("/")


@given(st.binary(max_size=400), st.lists(st.integers(1, 40), max_size=20))
def test_how_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    stream = SCRAPE + data + SCRAPE

    def outcome(pieces: list[bytes]) -> list[object]:
        parser, found = RequestParser(), list[object]()
        try:
            for piece in pieces:
                parser.receive(piece)
                while (request := parser.next_request()) is not None:
                    found.append(request)
        except BadRequestError as error:
            found.append(error.status)
        return found

    pieces, rest = [], stream
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert outcome([*pieces, rest]) == outcome([stream])
