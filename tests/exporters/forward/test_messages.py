"""Messages as bytes, both ways, against the text of the protocol."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.forward.peer import (
    KEY,
    NONCE,
    SALT_OF_USER,
    ack,
    entries,
    helo,
    pong,
    sha512,
    values,
)
from tierce import ProtocolError
from tierce_exporters.forward.messages import (
    RECEIVE_BYTES,
    WORD_BYTES_MAX,
    Ack,
    Helo,
    PeerReader,
    Pong,
    Secrets,
    check_pong,
    chunk_message,
    ping,
)

SALT = b"pepper"
#: So many pieces fit into what is kept of a message.
_FULL = 4
SECRETS = Secrets(shared_key=KEY, user="ann", password=b"word")


def read(data: bytes, piece: int = RECEIVE_BYTES) -> list[Helo | Pong | Ack]:
    reader = PeerReader()
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    return [one for each in pieces for one in reader.receive(each)]


def packed(value: Any) -> bytes:
    return msgpack.packb(value)  # type: ignore[no-any-return]


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_messages_are_read_from_any_pieces(piece: int) -> None:
    asked = packed(["PONG", True, "", "peer", "digest"])
    data = helo(auth=SALT_OF_USER) + asked + ack("a") + ack("b")
    assert read(data, piece) == [
        Helo(NONCE, SALT_OF_USER),
        Pong(True, "", "peer", "digest"),
        Ack("a"),
        Ack("b"),
    ]


def test_a_nonce_that_comes_as_text_is_the_same_bytes() -> None:
    old = msgpack.packb(["HELO", {"nonce": NONCE, "auth": b""}], use_bin_type=False)
    assert read(old) == [Helo(NONCE, b"")]


def test_a_ping_proves_the_key_and_names_the_user_where_one_is_asked_for() -> None:
    (message,) = values(ping(Helo(NONCE, SALT_OF_USER), "here", SALT, SECRETS))
    shared, password = sha512(SALT, b"here", NONCE, KEY), sha512(SALT_OF_USER, b"ann", b"word")
    assert message == ["PING", "here", SALT, shared, "ann", password]
    (message,) = values(ping(Helo(NONCE, b""), "here", SALT, SECRETS))
    assert message == ["PING", "here", SALT, shared, "", ""]


def check(answer: bytes) -> None:
    (message,) = read(answer)
    assert isinstance(message, Pong)
    check_pong(message, Helo(NONCE, b""), "here", SALT, SECRETS)


def test_only_a_peer_that_knows_the_key_itself_is_sent_anything() -> None:
    asked = values(ping(Helo(NONCE, b""), "here", SALT, SECRETS))[0]
    check(pong(asked))
    for wrong, why in (
        (pong(asked, host="here"), "calls itself here"),
        (packed(["PONG", True, "", "peer", asked[3]]), "does not know the shared key"),
        (packed(["PONG", True, "", "peer", ""]), "does not know the shared key"),
        (packed(["PONG", False, "go away", "peer", ""]), "refuses the login: go away"),
        (pong(asked, key=b"another"), "refuses the login: shared_key mismatch"),
    ):
        with pytest.raises(ProtocolError, match=why):
            check(wrong)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_chunk_says_its_id_and_its_size(is_compressed: bool) -> None:
    packed_entries = [packed([msgpack.ExtType(0, bytes(8)), {"n": n}]) for n in range(3)]
    data = chunk_message("a.b", b"".join(packed_entries), 3, "id", is_compressed=is_compressed)
    (message,) = values(data)
    assert message[0] == "a.b"
    assert message[2] == {"chunk": "id", "size": 3} | (
        {"compressed": "gzip"} if is_compressed else {}
    )
    assert entries(message) == [[0, {"n": n}] for n in range(3)]


@pytest.mark.parametrize(
    "wrong",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xc1",
        packed({}),
        packed({"ack": 1}),
        packed({"ack": "x" * (WORD_BYTES_MAX + 1)}),
        packed([]),
        packed(["HELO"]),
        packed(["HELO", {"nonce": 3}]),
        packed(["HELO", {"nonce": b""}]),
        packed(["PONG"]),
        packed(["PONG", 1, "", "", ""]),
        packed(["PONG", True, "", "", None]),
        packed(["PONG", True, "", ""]),
        packed(list(range(1000))),
        packed({(1,): 2}),
    ],
)
def test_what_is_no_message_is_refused(wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(wrong)


def test_a_message_that_does_not_end_is_refused_before_much_of_it_is_kept() -> None:
    reader = PeerReader()
    # 2^32 - 1 bytes are announced.
    assert list(reader.receive(b"\xc6\xff\xff\xff\xff")) == []
    for _piece in range(_FULL):
        assert list(reader.receive(bytes(RECEIVE_BYTES))) == []
    with pytest.raises(ProtocolError):
        list(reader.receive(bytes(RECEIVE_BYTES)))


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_are_messages_or_refused(pieces: list[bytes]) -> None:
    reader = PeerReader()
    try:
        for one in pieces:
            list(reader.receive(one))
    except ProtocolError:
        pass
