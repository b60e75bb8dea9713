"""The messages of the Fluent forward protocol v1 as bytes, without a socket.

::

    peer                                         here
    ["HELO", {nonce, auth, keepalive}]     --->        only with a shared key
                                           <---  ["PING", host, salt, digest, user, password digest]
    ["PONG", is_let_in, why, host, digest] --->
                                           <---  [tag, entries, {chunk, size[, compressed]}]
    {"ack": chunk}                         --->

Entries are PackedForward's: the msgpack of one `[time, record]` after the other, as one binary
value, or that compressed by gzip (CompressedPackedForward). Digests are SHA-512 in hexadecimal
digits.

A peer's messages are small: what is longer, nested deeper, or none of these is refused.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import attrs
import msgpack

from tierce import ProtocolError

#: The longest word in a peer's message: a reason, a name, a nonce.
WORD_BYTES_MAX = 4096
#: What may come at once; a peer sends a few hundred bytes for each chunk at most.
RECEIVE_BYTES = 16 << 10
#: The most fields of a peer's message.
FIELD_COUNT_MAX = 16
_BUFFER_BYTES = 4 * RECEIVE_BYTES

assert WORD_BYTES_MAX * 2 < _BUFFER_BYTES - RECEIVE_BYTES, "a message and what follows it fit"


@attrs.frozen
class Helo:
    """The peer's greeting.

    Attributes:
        nonce: It is part of both digests.
        auth: The salt of the password's digest; empty where the peer asks for no user.
    """

    nonce: bytes
    auth: bytes


@attrs.frozen
class Pong:
    """The peer's answer to a PING.

    Attributes:
        is_let_in: It takes what is sent now.
        reason: Why it does not.
        host: Its name.
        digest: It knows the shared key too.
    """

    is_let_in: bool
    reason: str
    host: str
    digest: str


@attrs.frozen
class Ack:
    """The peer has a chunk.

    Attributes:
        chunk: Which.
    """

    chunk: str


@attrs.frozen(kw_only=True)
class Secrets:
    """What a peer asks for.

    Attributes:
        shared_key: Both ends know it.
        user: Who asks; empty for nobody in particular.
        password: Of the user.
    """

    shared_key: bytes = attrs.field(repr=False)
    user: str = ""
    password: bytes = attrs.field(default=b"", repr=False)


class PeerReader:
    """Messages of a peer from bytes that come in any pieces."""

    def __init__(self) -> None:
        # Binary values come as text too: from old peers.
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="surrogateescape",
            max_buffer_size=_BUFFER_BYTES,
            max_str_len=WORD_BYTES_MAX,
            max_bin_len=WORD_BYTES_MAX,
            max_ext_len=0,
            max_array_len=FIELD_COUNT_MAX,
            max_map_len=FIELD_COUNT_MAX,
        )

    def receive(self, data: bytes) -> Iterator[Helo | Pong | Ack]:
        """Yield the messages that are whole with these bytes, `RECEIVE_BYTES` at most.

        Raises:
            ProtocolError: What came is none.
        """
        try:
            self._unpacker.feed(data)
            for value in self._unpacker:
                yield _message(value)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            # The library's errors are of these kinds; ours pass.
            raise ProtocolError(f"the peer does not speak the forward protocol: {error}") from error


def _message(value: Any) -> Helo | Pong | Ack:
    if isinstance(value, dict) and isinstance(value.get("ack"), str):
        return Ack(value["ack"])
    if isinstance(value, list) and value and value[0] == "HELO":
        return _helo(value)
    if isinstance(value, list) and value and value[0] == "PONG":
        return _pong(value)
    raise ProtocolError(
        "the peer does not speak the forward protocol: expected HELO, PONG or an ack, got "
        f"{type(value).__name__}"
    )


def _helo(value: list[Any]) -> Helo:
    options = value[1] if len(value) == 2 else None
    if not isinstance(options, dict):
        raise ProtocolError("the peer's HELO has no options")
    nonce, auth = _bytes(options.get("nonce", b"")), _bytes(options.get("auth", b""))
    if not nonce:
        raise ProtocolError("the peer's HELO has no nonce: a digest of it would prove nothing")
    return Helo(nonce, auth)


def _pong(value: list[Any]) -> Pong:
    is_let_in, *words = value[1:] or (None,)
    texts = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in words]
    if not isinstance(is_let_in, bool) or [type(one) for one in texts] != [str] * 3:
        raise ProtocolError("the peer's PONG is not [bool, reason, host, digest]")
    return Pong(is_let_in, *texts)


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not isinstance(value, bytes):
        raise ProtocolError("the peer's HELO has a nonce or salt that is no bytes")
    return value


def ping(helo: Helo, host: str, salt: bytes, secrets: Secrets) -> bytes:
    """Return the answer to a HELO.

    Args:
        helo: The HELO.
        host: This machine's name.
        salt: Random bytes.
        secrets: What is known here.
    """
    password = _digest(helo.auth, secrets.user.encode(), secrets.password) if helo.auth else ""
    user = secrets.user if helo.auth else ""
    digest = _digest(salt, host.encode(), helo.nonce, secrets.shared_key)
    return _packed(["PING", host, salt, digest, user, password])


def check_pong(pong: Pong, helo: Helo, host: str, salt: bytes, secrets: Secrets) -> None:
    """Check that a peer lets in whom it was sent a PING of, and that it knows the key itself.

    Args:
        pong: Its answer.
        helo: Its HELO.
        host: This machine's name.
        salt: That of the PING.
        secrets: What is known here.

    Raises:
        ProtocolError: It does not.
    """
    if not pong.is_let_in:
        raise ProtocolError(f"the peer refuses the login: {pong.reason[:200]}")
    if pong.host == host:
        # As its own words came back, it has proved nothing.
        raise ProtocolError(f"the peer calls itself {host}, as this machine is called")
    digest = _digest(salt, _bytes(pong.host), helo.nonce, secrets.shared_key)
    if not hmac.compare_digest(digest.encode(), _bytes(pong.digest)):
        raise ProtocolError("the peer does not know the shared key")


def chunk_message(
    tag: str, entries: bytes, count: int, chunk: str, *, is_compressed: bool
) -> bytes:
    """Return entries as a message that asks for an ack.

    Args:
        tag: What Fluentd routes it by.
        entries: The msgpack of each, one after the other.
        count: How many.
        chunk: Its id, the same each time that it is sent.
        is_compressed: Compress it.
    """
    options: dict[str, Any] = {"chunk": chunk, "size": count}
    if is_compressed:
        options["compressed"] = "gzip"
        entries = gzip.compress(entries, mtime=0)
    return _packed([tag, entries, options])


def _digest(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


def _packed(value: Any) -> bytes:
    packed = msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape")
    assert isinstance(packed, bytes)
    return packed
