"""Responses as bytes."""

from __future__ import annotations

from tierce_exporters.http.response import Response, head_of, plain


def test_a_head_says_what_comes_and_whether_the_connection_stays() -> None:
    response = Response(200, "text/plain", (b"ab", b"c"))
    assert head_of(response, keeps_alive=True, now=784111777.5) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 3\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Connection: keep-alive\r\n\r\n"
    )


def test_a_line_of_text_has_its_further_headers() -> None:
    response = plain(405, "expected GET", Allow="GET")
    assert response.body == (b"expected GET\n",)
    head = head_of(response, keeps_alive=False, now=0)
    assert head.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert head.endswith(b"Connection: close\r\nAllow: GET\r\n\r\n")
