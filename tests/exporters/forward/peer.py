"""A peer of the forward protocol as tests make it up: written from the protocol's text, not from
ours."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator
from typing import Any

import msgpack

KEY = b"both ends know it"
NONCE, SALT_OF_USER = b"\xffnonce", b"salt"


def sha512(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


def values(data: bytes) -> list[Any]:
    """Return the values of a msgpack stream."""
    return list(msgpack.Unpacker(io.BytesIO(data), max_buffer_size=0))


def helo(*, auth: bytes = b"", nonce: bytes = NONCE) -> bytes:
    return msgpack.packb(["HELO", {"nonce": nonce, "auth": auth, "keepalive": True}])  # type: ignore[no-any-return]


def ack(chunk: str) -> bytes:
    return msgpack.packb({"ack": chunk})  # type: ignore[no-any-return]


def pong(ping: list[Any], *, key: bytes = KEY, host: str = "peer", nonce: bytes = NONCE) -> bytes:
    """The answer to a PING of who knows the key, which the peer has checked."""
    _word, from_host, salt, digest, _user, _password = ping
    is_known = digest == sha512(salt, from_host.encode(), nonce, key)
    own = sha512(salt, host.encode(), nonce, key)
    reason = "" if is_known else "shared_key mismatch"
    return msgpack.packb(["PONG", is_known, reason, host, own])  # type: ignore[no-any-return]


def entries(message: list[Any]) -> list[Any]:
    """Return the entries of a chunk's message: time in ns, record."""
    _tag, data, options = message
    assert isinstance(data, bytes)
    if options.get("compressed") == "gzip":
        data = gzip.decompress(data)
    found = [[_ns(when), record] for when, record in values(data)]
    assert len(found) == options["size"]
    return found


def _ns(when: Any) -> int:
    assert when.code == 0, "an EventTime"
    seconds, rest_ns = (int.from_bytes(when.data[at : at + 4], "big") for at in (0, 4))
    return seconds * 1_000_000_000 + rest_ns


class Peer:
    """One connection as a peer sees it: takes bytes, keeps what they say, answers.

    Args:
        taken: Chunks with their entries go there, by id; other connections' too.
        key: The shared key; empty: it asks for none.
        acks: Chunks are acknowledged.
    """

    def __init__(self, taken: dict[str, list[Any]], key: bytes = b"", *, acks: bool = True) -> None:
        self.taken = taken
        self.tags: list[str] = []
        self._key = key
        self._acks = acks
        self._unpacker = msgpack.Unpacker(max_buffer_size=0)

    def greeting(self) -> bytes:
        return helo() if self._key else b""

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Yield the answers."""
        self._unpacker.feed(data)
        for message in self._unpacker:
            if message[0] == "PING":
                yield pong(message, key=self._key)
                continue
            chunk = message[2]["chunk"]
            self.tags.append(message[0])
            self.taken.setdefault(chunk, entries(message))
            if self._acks:
                yield ack(chunk)
