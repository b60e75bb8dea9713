"""Whose time an I/O was that was written down, from its record."""

from __future__ import annotations

from collections.abc import Iterable

from tierce.seeing.causes import OF_STAGES, Cause, Kind
from tierce.seeing.interval import CALL, WAIT, VolumeInterval
from tierce.seeing.self_times import Times
from tierce.services import TraceRecord
from tierce.spans import SpanNode, spans_of

_KINDS = {
    "device": Kind.ENGINE,
    "engine.wait": Kind.ENGINE_WAIT,
    "engine.call": Kind.ENGINE_CALL,
    "jiva.local_miss": Kind.LOCAL_MISS,
    "frontend.send": Kind.SEND,
}


def record_times(
    records: Iterable[TraceRecord], interval: VolumeInterval, engine: str = ""
) -> dict[str, Times]:
    """Return by operation what took which time of these I/Os: all of it sums to what they took.

    Args:
        records: The I/Os.
        interval: What the volume did meanwhile. It tells a member's disk from the way to it, where
            a record has the round trip alone.
        engine: The name of its engine, empty if it is not known.
    """
    found: dict[str, Times] = {}
    for record in records:
        times = found.setdefault(record.operation, {})
        spans = spans_of(record)
        split = {(span.parent, span.member) for span in spans if span.is_remote}
        for index, span in enumerate(spans):
            is_split = any(parent == index for parent, _member in split)
            cause = _cause(span, interval, engine, is_split=is_split)
            if span.self_ns:
                times[cause] = times.get(cause, 0.0) + span.self_ns
    return found


def _cause(span: SpanNode, interval: VolumeInterval, engine: str, *, is_split: bool) -> Cause:
    if span.member:
        return Cause(_kind_of_member(span, interval, is_split=is_split), span.member)
    if span.parent < 0 or (span.name.startswith("frontend.") and span.name not in _KINDS):
        return Cause(Kind.FRONTEND)
    if span.name.startswith("filter."):
        name = span.name.removeprefix("filter.").removesuffix(CALL)
        is_wait = name.endswith(WAIT)
        return Cause(Kind.FILTER_WAIT if is_wait else Kind.FILTER, name.removesuffix(WAIT))
    kind = _KINDS.get(span.name, Kind.PART)
    if kind in {Kind.ENGINE, Kind.PART} and interval.trips:
        kind = Kind.REPLICATION
    if kind is Kind.PART:
        return Cause(kind, span.name)
    is_named = kind in {Kind.ENGINE, Kind.ENGINE_WAIT, Kind.ENGINE_CALL}
    return Cause(kind, engine if is_named else "")


def _kind_of_member(span: SpanNode, interval: VolumeInterval, *, is_split: bool) -> Kind:
    """Say what of a member it was: what its process has timed, or else what its page allows."""
    if span.is_remote:
        return OF_STAGES.get(span.name.rpartition(".")[2], Kind.QUEUE)
    if is_split:
        return Kind.LINK
    stages = interval.members.get(span.member)
    if not stages:
        return Kind.REPLICA
    # Nothing of its store took half as long: so it was not that.
    longest, kind = 0.0, Kind.LINK
    for stage, operations in stages.items():
        ns = max((one.longest_ns for one in operations.values()), default=0.0)
        if stage.rpartition(".")[2] in OF_STAGES and ns > longest:
            longest, kind = ns, OF_STAGES[stage.rpartition(".")[2]]
    return kind if longest >= span.elapsed_ns / 2 else Kind.LINK
