"""Aids for ladders on one part: links that are ready, what was asked on them, and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from crc32c import crc32c

from tierce import Event
from tierce_jiva.ballot import Ballot
from tierce_jiva.findings import Finding
from tierce_jiva.host import Volume
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.regions import Regions
from tierce_jiva.target_actions import Agenda, Report, Restart
from tierce_jiva.wire import Frame, FrameReader, Kind, encode, encode_ack, encode_control

T = TypeVar("T")

BALLOT = Ballot(1, 7)
#: Eight regions.
SIZE_BYTES = 32 << 20


def ready_links(count: int = 3, size_bytes: int = SIZE_BYTES) -> Links:
    names = tuple(f"replica-{number}" for number in range(1, count + 1))
    links = Links(names, Regions(size_bytes))
    links.ballot = BALLOT
    for link in links:
        link.state = LinkState.READY
        link.is_current = True
    return links


def frames_of(data: bytes) -> list[Frame]:
    """Return the frames in some bytes."""
    reader = FrameReader()
    reader.space()[: len(data)] = data
    return reader.received(len(data))


def extended_by(front: bytes, extension: bytes, flags: int = 0) -> bytes:
    """Return a frame, or its front, with these bytes as its extension and these flags, and a
    checksum that fits."""
    body = int.from_bytes(front[32:36], "little") + len(extension)
    sizes = body.to_bytes(4, "little") + len(extension).to_bytes(2, "little")
    head = front[:32] + sizes + flags.to_bytes(2, "little")
    check = crc32c(head + extension + front[44:])
    return head + check.to_bytes(4, "little") + extension + front[44:]


def taken(link: Link) -> list[Frame]:
    """Return what the link would send, and take it away."""
    buffers, link.outgoing = link.outgoing, []
    return frames_of(b"".join(map(bytes, buffers)))


def asked(link: Link) -> list[str]:
    """Return the kinds of the control messages that the link would send."""
    return [str(frame.control()["kind"]) for frame in taken(link)]


def answer(link: Link, message: dict[str, Any]) -> None:
    """Answer the oldest question with a control message."""
    sequence = next(iter(link.calls))
    (frame,) = frames_of(encode_control(sequence, BALLOT, message))
    link.calls.pop(sequence).answer(frame)


def answer_frame(link: Link, frame: Frame) -> None:
    """Answer the oldest question with any frame."""
    link.calls.pop(next(iter(link.calls))).answer(frame)


def digests(*found: bytes) -> Frame:
    """Return an answer to a DIGEST."""
    table = b"".join(found)
    return frames_of(encode(Kind.DIGESTS, 1, BALLOT, table=table, count=len(found)))[0]


def ack(sequence: int = 1, failures: Any = ()) -> Frame:
    return frames_of(encode_ack(sequence, BALLOT, failures))[0]


def said(agenda: Agenda, kind: type[T]) -> list[T]:
    """Return what of that kind was found, or is asked for."""
    return [one for one in (*agenda.findings, *agenda.actions) if isinstance(one, kind)]


class _Told(list[Finding]):
    def __init__(self, hear: Callable[[Finding], None]) -> None:
        self._hear = hear

    def append(self, found: Finding) -> None:
        super().append(found)
        self._hear(found)


def hearing(hear: Callable[[Finding], None]) -> Agenda:
    """Return an agenda of one part alone, whose findings are heard as they come."""
    agenda = Agenda()
    agenda.findings = _Told(hear)
    return agenda


def events_of(agenda: Agenda) -> list[Event]:
    """Return the events that are to be told."""
    return [report.event for report in said(agenda, Report)]


def restarts_of(agenda: Agenda) -> list[str]:
    """Return why it is to be started again."""
    return [restart.reason for restart in said(agenda, Restart)]


def volume_of(links: Links) -> Volume:
    """Return a volume of these replicas."""
    return Volume("demo", "00ff", SIZE_BYTES, tuple(links.by_name), BALLOT.target, "boot")
