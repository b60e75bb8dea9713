"""Whose time the I/O of a volume was, from its counters.

A stage holds those below it, so what is its own is what it took less what they took:

- from the outermost filter to the device each stage holds the next one;
- the device holds what the engine counts of its own ("engine.call", "jiva.local_miss") and the
  round trips to its members;
- of members that are asked beside each other only the answer that came last was waited for. How
  many were the last is counted; those are taken to be the member's slowest. Where none was "last",
  one member was asked at a time, and all were waited for;
- a round trip holds what the member's own page says that its store took. What is left is the way
  there and back, and the time in which its process did not get to it.

Where an initiator does not take its answers, what it asks for besides waits in the front end behind
them, without having begun: that is the initiator's time too.

A command may be carried out as others: a write that must be durable as a write and a flush. Then
the device has flushed more than initiators asked for, and what it had more lies within the writes.

What a stage takes of what is below it is cut to its own time, so that the shares of an operation
sum to the whole of it, whatever the clocks and the counters a batch apart say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tierce.seeing.causes import OF_STAGES, Cause, Kind
from tierce.seeing.interval import MEMBER_MARK, WAIT, Counted, VolumeInterval
from tierce.stage import ROOT_STAGE

#: ns by cause.
Times = dict[Cause, float]

_DEVICE, _SEND = "device", "frontend.send"
_ENGINE_WAIT, _ENGINE_CALL, _LOCAL_MISS = "engine.wait", "engine.call", "jiva.local_miss"
#: What an operation may be carried out as, besides itself.
_CARRIED_OUT_AS: Mapping[str, tuple[str, ...]] = {
    "write": ("flush",),
    "write_zeroes": ("write", "flush"),
    "discard": ("write_zeroes",),
    "compare_and_write": ("read", "write", "flush"),
}
_KINDS_OF_PARTS = {
    _ENGINE_WAIT: Kind.ENGINE_WAIT,
    _ENGINE_CALL: Kind.ENGINE_CALL,
    _LOCAL_MISS: Kind.LOCAL_MISS,
}


def self_times(interval: VolumeInterval, engine: str = "") -> dict[str, Times]:
    """Return by operation what took which time: all of it sums to what initiators waited.

    Args:
        interval: What the volume did.
        engine: The name of its engine, empty if it is not known.
    """
    asked = {operation: one.total_ns for operation, one in interval.root.items()}
    done = {one for stage in _layers(interval) for one in interval.stages.get(stage, {})}
    below = {operation: _pipeline(interval, operation, engine) for operation in done | set(asked)}
    #: What was done below of each operation beyond what was asked for.
    spare = {one: sum(below[one].values()) - asked.get(one, 0) for one in below}
    found: dict[str, Times] = {}
    for operation, whole in asked.items():
        times = _scaled(below[operation], whole)
        left = whole - sum(times.values())
        for other in _CARRIED_OUT_AS.get(operation, ()):
            moved = min(left, spare.get(other, 0.0))
            if moved > 0:
                _add(times, _scaled(below[other], moved))
                spare[other] -= moved
                left -= moved
        behind = min(left, _behind_answers(interval, operation))
        unsent = interval.of(_SEND, operation).total_ns
        _add(times, {Cause(Kind.FRONTEND): left - behind, Cause(Kind.SEND): behind + unsent})
        found[operation] = {cause: ns for cause, ns in times.items() if ns > 0}
    return found


def _behind_answers(interval: VolumeInterval, operation: str) -> float:
    """Return how long operations can have waited in the front end behind answers that were not
    taken: as long as those lay there, times how many there were at a time."""
    if not interval.seconds:
        return 0.0
    lay_ns = sum(one.total_ns for one in interval.stages.get(_SEND, {}).values())
    at_a_time = interval.of(ROOT_STAGE, operation).total_ns / (interval.seconds * 1e9)
    return lay_ns * at_a_time


def _layers(interval: VolumeInterval) -> tuple[str, ...]:
    """Return the stages that hold each other, the outermost first."""
    return (*interval.filters, _DEVICE)


def _pipeline(interval: VolumeInterval, operation: str, engine: str) -> Times:
    """Return whose time it was from the outermost filter on down."""
    layers = _layers(interval)
    counted = [interval.of(layer, operation).total_ns for layer in layers]
    times: Times = {}
    # A filter that answers by itself, or asks for more, is no shorter than what is below it.
    whole = float(max(counted))
    held = whole
    for index, layer in enumerate(layers[:-1]):
        inner = min(float(max(counted[index + 1 :])), held)
        _add(times, _filter(interval, operation, layer, held - inner))
        held = inner
    _add(times, _device(interval, operation, held, engine))
    return times


def _filter(interval: VolumeInterval, operation: str, stage: str, own: float) -> Times:
    """Split a filter's own time into the wait for its turn and the rest."""
    name = stage.removeprefix("filter.")
    wait = min(float(interval.of(stage + WAIT, operation).total_ns), own)
    return {Cause(Kind.FILTER_WAIT, name): wait, Cause(Kind.FILTER, name): own - wait}


def _device(interval: VolumeInterval, operation: str, whole: float, engine: str) -> Times:
    """Split the device's time into what its engine counts, and what is left."""
    times: Times = {}
    for stage in _parts(interval):
        kind = _KINDS_OF_PARTS.get(stage, Kind.PART)
        name = {Kind.PART: stage, Kind.LOCAL_MISS: ""}.get(kind, engine)
        _add(times, {Cause(kind, name): float(interval.of(stage, operation).total_ns)})
    _add(times, _members(interval, operation))
    times = _scaled(times, whole)
    rest = Cause(Kind.REPLICATION) if interval.trips else Cause(Kind.ENGINE, engine)
    _add(times, {rest: whole - sum(times.values())})
    return times


def _parts(interval: VolumeInterval) -> Iterable[str]:
    """Return the stages that an engine counts itself, but for its round trips."""
    outer = {ROOT_STAGE, _DEVICE, _SEND}
    return [
        name
        for name in interval.stages
        if name not in outer and MEMBER_MARK not in name and not name.startswith("filter.")
    ]


def _members(interval: VolumeInterval, operation: str) -> Times:
    """Return what was waited for of each member."""
    trips = {name: interval.of(stage, operation) for name, stage in interval.trips.items()}
    is_beside = any(trip.last for trip in trips.values())
    times: Times = {}
    for name, trip in trips.items():
        # An answer that never came, or was an error, was waited for as well.
        count = min(trip.last + trip.failed, trip.count)
        waited = trip.slowest_ns(count) if is_beside else float(trip.total_ns)
        _add(times, _member(name, trip, interval.of_member(name, operation), waited))
    return times


def _member(name: str, trip: Counted, stages: Mapping[str, Counted], waited: float) -> Times:
    """Split what was waited for of a member into its stages' shares and what is left."""
    times: Times = {}
    mean_ns = trip.mean_ns
    for stage, counted in stages.items():
        kind = OF_STAGES.get(stage.rpartition(".")[2])
        if kind is not None and mean_ns:
            _add(times, {Cause(kind, name): waited * counted.mean_ns / mean_ns})
    times = _scaled(times, waited)
    _add(times, {Cause(Kind.LINK, name): waited - sum(times.values())})
    return times


def _scaled(times: Times, whole: float) -> Times:
    """Return times that take no more than the whole, in the same proportion."""
    total = sum(times.values())
    if total <= whole:
        return dict(times)
    return {cause: ns * (whole / total) for cause, ns in times.items()}


def _add(times: Times, more: Mapping[Cause, float]) -> None:
    """Add times; what is below zero by rounding is nothing."""
    for cause, ns in more.items():
        if ns > 0:
            times[cause] = times.get(cause, 0.0) + ns
