"""Hostile frames: what a peer sends must not end a process. Each fails today."""

from __future__ import annotations

import math

from jiva.cluster import UUID, opened
from jiva.ladder import frames_of
from tierce import Op, Request
from tierce_jiva.links import Head
from tierce_jiva.local_reader import LocalFiles
from tierce_jiva.replica_actions import Hangup
from tierce_jiva.wire import encode_control


def test_an_order_of_infinite_number_ends_a_connection_not_the_replica() -> None:
    """H15. JSON knows Infinity (and 1e999); `int()` of it is an OverflowError that nobody takes."""
    cluster = opened()
    node = cluster.nodes["replica-1"]
    assert node.replica is not None
    ballot = node.record.promised
    message = {"kind": "mark", "order": math.inf, "settled": 0, "marks": ""}
    frames = frames_of(encode_control(7, ballot, message))
    actions = node.replica.received(cluster.pipes["replica-1"].number, frames)
    assert any(isinstance(action, Hangup) for action in actions)


def test_a_welcome_with_an_infinite_number_ends_a_connection_not_the_target() -> None:
    """H15. The same in WELCOME."""
    cluster = opened()
    cluster.break_pipe("replica-1", "blip")
    cluster.target.connected("replica-1")
    link = cluster.target.links["replica-1"]
    (sequence,) = link.questions
    message = {
        "kind": "welcome",
        "promised": [1, 1],
        "boot_id": "b",
        "size_bytes": cluster.size_bytes,
        "uuid": UUID,
        "head": "/head",
        "device": 1,
        "inode": math.inf,
        "incarnation": 1,
    }
    frames = frames_of(encode_control(sequence, link.promise.accepted.ballot, message))  # type: ignore[union-attr]
    cluster.target.received("replica-1", frames)
    assert not link.is_ready


def test_a_path_that_is_none_is_a_file_that_is_not_here() -> None:
    """H15. A WELCOME may name any string as the head's path: with a NUL or a lone surrogate in it
    `os.open` raises ValueError, not OSError, at the first read."""
    for path in ("/a\0b", "/a\ud800"):
        files = LocalFiles(
            reactor=None,  # type: ignore[arg-type]
            size_bytes=4096,
            before=lambda: None,
            after=lambda: None,
        )
        request = Request(Op.READ, 0, 512, memoryview(bytearray(512)))
        assert files.read(Head(path, 1, 1, 1, 1), [request], lambda _done: None) is None
