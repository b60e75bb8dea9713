"""What the live line says: pure functions from two looks at the statistics pages to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tierce.health import Health
from tierce.stage import ROOT_STAGE
from tierce.statuses import from_mappings

#: The healths that are named in the live line, those first that need somebody most.
_WORST_FIRST = (
    Health.DOWN,
    Health.STALLED,
    Health.FENCED,
    Health.READ_ONLY,
    Health.UNKNOWN,
    Health.DEGRADED,
    Health.OPENING,
    Health.DELETING,
)
#: Volumes that are named for each health; of more only the number is told.
NAME_COUNT_MAX = 5
#: The stage that initiators see; of a volume that nothing has asked for anything, the engine's.
STAGES = (ROOT_STAGE, "device")
#: Operations that move data for an initiator, by the names in a snapshot.
READS = ("READ",)
WRITES = ("WRITE", "WRITE_ZEROES", "COMPARE_AND_WRITE", "DISCARD")


@attrs.frozen
class Totals:
    """What a volume has done since its target started.

    Attributes:
        reads: Reads answered.
        writes: Writes answered.
        length: Bytes read and written.
    """

    reads: int = 0
    writes: int = 0
    length: int = 0

    def plus(self, other: Totals) -> Totals:
        """Return the sum of both."""
        return Totals(
            self.reads + other.reads, self.writes + other.writes, self.length + other.length
        )


def totals(snapshot: Mapping[str, Any]) -> Totals:
    """Return the totals that a snapshot of a statistics page holds."""
    stages = snapshot.get("stages", {})
    stage: Mapping[str, Any] = next((stages[name] for name in STAGES if name in stages), {})
    operations = {str(name).upper(): values for name, values in stage.items()}

    def total(names: Sequence[str], key: str) -> int:
        return sum(int(operations[name].get(key, 0)) for name in names if name in operations)

    return Totals(
        reads=total(READS, "count"),
        writes=total(WRITES, "count"),
        length=total((*READS, "WRITE"), "bytes"),
    )


def describe_rate(before: Totals, after: Totals, elapsed_s: float) -> str:
    """Say what was done between two looks: IOPS and MB/s (10^6 bytes).

    A target that was started anew counts from zero again.
    """
    assert elapsed_s > 0
    if after.reads < before.reads or after.writes < before.writes:
        before = Totals()
    reads, writes = after.reads - before.reads, after.writes - before.writes
    rate = (reads + writes) / elapsed_s
    megabytes = (after.length - before.length) / elapsed_s / 1e6
    return (
        f"{rate:,.0f} IOPS (r {reads / elapsed_s:,.0f} w {writes / elapsed_s:,.0f}) "
        f"{megabytes:,.1f} MB/s"
    )


def describe_replicas(published: Mapping[str, Any]) -> str:
    """Say how the replicas are, from what the engine has published; empty without any."""
    status = from_mappings(published)
    if status is None or not status.volume.members:
        return ""
    states: dict[str, int] = {}
    for member in status.volume.members:
        states[member.state] = states.get(member.state, 0) + 1
    return "replicas " + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def describe_volume(
    name: str, phase: str, snapshot: Mapping[str, Any], before: Totals, elapsed_s: float
) -> str:
    """Return one volume's part of the live line."""
    if phase != "up":
        return f"{name}: {phase}"
    rate = describe_rate(before, totals(snapshot), elapsed_s)
    replicas = describe_replicas(snapshot.get("published", {}))
    return f"{name}: {rate}" + (f", {replicas}" if replicas else "")


def describe_health(healths: Mapping[str, Health]) -> str:
    """Say how the volumes are: "3 volumes, all healthy", or "3 volumes, 1 down: a; 1 degraded: b".

    Args:
        healths: Health by name; one at least.
    """
    count = len(healths)
    groups = []
    for health in _WORST_FIRST:
        names = [name for name, one in healths.items() if one is health]
        if names:
            more = len(names) - NAME_COUNT_MAX
            named = [*names[:NAME_COUNT_MAX], *([f"{more} more"] if more > 0 else [])]
            groups.append(f"{len(names)} {health.value}: {', '.join(named)}")
    well = "healthy" if count == 1 else "all healthy"
    return f"{count} volume{'' if count == 1 else 's'}, {'; '.join(groups) or well}"
