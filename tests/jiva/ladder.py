"""Aids for ladders on one part: links that are ready, what was asked on them, and answers."""

from __future__ import annotations

from typing import Any

from tierce import Event
from tierce_jiva.ballot import Ballot
from tierce_jiva.host import Host, Volume
from tierce_jiva.links import Link, Links, LinkState
from tierce_jiva.regions import Regions
from tierce_jiva.unflushed import Unflushed
from tierce_jiva.unsettled import Unsettled
from tierce_jiva.wire import Frame, FrameReader, Kind, encode, encode_ack, encode_control
from tierce_jiva.write_path import WritePath

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


def taken(link: Link) -> list[Frame]:
    """Return what the link would send, and take it away."""
    buffers, link.outgoing = link.outgoing, []
    return frames_of(b"".join(map(bytes, buffers)))


def asked(link: Link) -> list[str]:
    """Return the kinds of the control messages that the link would send."""
    return [str(frame.control()["kind"]) for frame in taken(link)]


def answer(link: Link, message: dict[str, Any]) -> None:
    """Answer the oldest question with a control message."""
    sequence = next(iter(link.questions))
    (frame,) = frames_of(encode_control(sequence, BALLOT, message))
    link.questions.pop(sequence).answer(frame)


def answer_frame(link: Link, frame: Frame) -> None:
    """Answer the oldest question with any frame."""
    link.questions.pop(next(iter(link.questions))).answer(frame)


def digests(*found: bytes) -> Frame:
    """Return an answer to a DIGEST."""
    table = b"".join(found)
    return frames_of(encode(Kind.DIGESTS, 1, BALLOT, table=table, count=len(found)))[0]


def ack(sequence: int = 1, failures: Any = ()) -> Frame:
    return frames_of(encode_ack(sequence, BALLOT, failures))[0]


def quiet_host(events: list[Event], restarts: list[str] | None = None) -> Host:
    """Return surroundings that keep what is told."""
    return Host(
        emit=events.append,
        publish=lambda _shown: None,
        fenced=lambda _reason: None,
        restart=(restarts if restarts is not None else []).append,
        local=None,
        wall_ms=lambda: 0,
    )


def volume_of(links: Links) -> Volume:
    """Return a volume of these replicas."""
    return Volume("demo", "00ff", SIZE_BYTES, tuple(links.by_name), BALLOT.target, "boot")


def idle_writes(links: Links, unflushed: Unflushed, unsettled: Unsettled) -> WritePath:
    """Return a write path that nobody listens to."""
    return WritePath(
        links,
        unsettled,
        unflushed,
        answer=lambda _request, _settled: None,
        suspect=lambda _links, _reason: None,
        sync_failed=lambda _link: None,
        doubted=lambda _reason: None,
        unequal=lambda _extents, _lacking: None,
        given_up=lambda _links: None,
        flushed=lambda _batch: None,
    )
