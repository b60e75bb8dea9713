"""How a volume is, in one word: what `tierce volume list`, `show` and the live line begin with, and
what everything else that speaks of a volume's state is to say.

The words, their meaning and what to do are in docs/reference/states.md, which is written from here.
"""

from __future__ import annotations

import enum
from typing import Self

import attrs


class Health(enum.Enum):
    """How a volume is. The value is the word; each member says what it means and what to do."""

    meaning: str
    todo: str

    HEALTHY = (
        "healthy",
        "Everything that was asked for is there.",
        "",
    )
    DEGRADED = (
        "degraded",
        "Served, with less than was asked for: a replica is missing or catches up, its medium has "
        "failed, or not every address can be reached.",
        "see `tierce volume show NAME`; a replica that comes back catches up by itself",
    )
    STALLED = (
        "stalled",
        "Its I/O waits: too few replicas answer, or its process does not.",
        "bring back what does not answer; what waits then goes on by itself",
    )
    READ_ONLY = (
        "read-only",
        "Read as always; writes are refused, because no medium can take them.",
        "make room on its disks, or look at why they can't be written",
    )
    FENCED = (
        "fenced",
        "Another writer has taken it: nothing is served here.",
        "if this server is to have it: `tierce volume claim NAME`",
    )
    DOWN = (
        "down",
        "Nothing of it is served.",
        "look at why, and at its target's log",
    )
    OPENING = (
        "opening",
        "On its way: its target is starting, or waits for its replicas.",
        "wait; if it lasts, look at what it waits for",
    )
    DELETING = (
        "deleting",
        "On its way out: it is not served, and its data are going.",
        "wait; if it lasts, look at why it can't go on",
    )
    UNKNOWN = (
        "unknown",
        "Nobody can say: its process runs, and what it shows can't be read or understood.",
        "look at its target's log",
    )

    def __new__(cls, word: str, meaning: str, todo: str) -> Self:
        """Make a member whose value is its word."""
        member = object.__new__(cls)
        member._value_ = word
        member.meaning = meaning
        member.todo = todo
        return member


@attrs.frozen
class Condition:
    """How a volume is, and more than a word about it.

    Attributes:
        health: The word.
        why: What makes it so, empty if nothing has to be said.
        todo: What to do, empty if nothing has to be done.
        since: Since when it is so; seconds since the epoch.
    """

    health: Health
    why: str = ""
    todo: str = ""
    since: float = 0.0
