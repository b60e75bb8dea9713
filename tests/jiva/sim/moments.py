"""Moments worth striking at: what passes between target and replicas, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tierce_jiva.frame_head import HEADER_BYTES, MAGIC
from tierce_jiva.wire import Frame, Kind

_SEQUENCE_AT = 8
_EXTENSION_AT = 36
_ANSWERS = {
    Kind.ACK: "ack",
    Kind.DATA: "data",
    Kind.DIGESTS: "digests",
    Kind.EXTENTS: "extents",
}
_QUESTIONS = {Kind.READ: "read", Kind.DIGEST: "digest", Kind.STATUS: "status"}


def moment_of_question(buffer: Any, is_client: Callable[[int], bool]) -> str:
    """Return what a buffer that a target sends begins, empty if it is the middle of something.

    Args:
        buffer: What is sent.
        is_client: True if a frame of that sequence carries a client's write or flush.
    """
    if type(buffer) is not bytes or buffer[:4] != MAGIC:
        return ""
    kind = buffer[5]
    if kind == Kind.CONTROL:
        return control_moment(buffer)
    if kind in _QUESTIONS:
        return _QUESTIONS[Kind(kind)]
    is_ours = is_client(int.from_bytes(buffer[_SEQUENCE_AT : _SEQUENCE_AT + 8], "little"))
    if kind == Kind.BATCH:
        return "write" if is_ours else "copy"
    return "flush" if is_ours else "last flush"


def control_moment(buffer: bytes) -> str:
    """Return the kind of a control frame's message."""
    return str(_message(buffer)["kind"])


def let_in_by(buffer: bytes) -> dict[str, int]:
    """Return whom an *accept* lets in, each with the start of its process."""
    return dict(_message(buffer)["let_in"])


def _message(buffer: bytes) -> dict[str, Any]:
    at = HEADER_BYTES + int.from_bytes(buffer[_EXTENSION_AT : _EXTENSION_AT + 2], "little")
    message: dict[str, Any] = json.loads(buffer[at:])
    return message


def moment_of_answer(frame: Frame) -> str:
    """Return what a frame that has arrived at a target is."""
    if frame.kind is Kind.CONTROL:
        return str(frame.control().get("kind"))
    if frame.kind is Kind.ACK and frame.count:
        return "failure"
    return _ANSWERS.get(frame.kind, "")
