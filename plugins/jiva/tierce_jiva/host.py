"""What the replication state machines know of the world around them."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from tierce import Tracer
from tierce_jiva.target_actions import LocalReader
from tierce_jiva.timing import Timing


class State(enum.Enum):
    """Where the target stands."""

    OPENING = "opening"
    ELECTING = "electing"
    SERVING = "serving"
    CLOSING = "closing"
    ENDED = "ended"


@attrs.define(eq=False)
class Standing:
    """Where the target stands now; shared by those who move it."""

    state: State = State.OPENING


@attrs.frozen
class Host:
    """What the state machine has at hand of its surroundings.

    Attributes:
        local: Reads files of this machine, or None.
        wall_ms: Returns the wall clock in milliseconds, for the ballot's number.
        timing: What replicas are to time.
    """

    local: LocalReader | None
    wall_ms: Callable[[], int]
    timing: Timing = attrs.field(factory=lambda: Timing(Tracer()))


@attrs.frozen
class Volume:
    """The volume that is replicated.

    Attributes:
        name: Its name.
        uuid: Its uuid.
        size_bytes: Its size in bytes.
        members: The replicas' names, in the order of the config.
        target: 64 random bits of this target process.
        boot_id: Of this machine; replicas with the same one may be read in-process.
    """

    name: str
    uuid: str
    size_bytes: int
    members: tuple[str, ...]
    target: int
    boot_id: str
