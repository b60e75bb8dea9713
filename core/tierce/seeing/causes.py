"""What an I/O can have waited for, how that is called, and what to do about it."""

from __future__ import annotations

import enum
from typing import Self

import attrs


class Kind(enum.Enum):
    """A kind of cause. Each says how one is called ("{name}" is whose it is, empty where there is
    only one), how all of several are, and what to do where it takes too long."""

    label: str
    of_all: str
    todo: str

    SEND = (
        "send",
        "the initiator, which is slow to read its answers",
        "",
        "look at the initiator's machine and at the network to it: answers lie ready and are not "
        "taken",
    )
    FRONTEND = (
        "frontend",
        "the front end",
        "",
        "look at the CPU of the target's process: it parses, answers and counts there",
    )
    FILTER = (
        "filter",
        "filter {name}",
        "the filters",
        "look at the options of filter {name}, or take it out of the volume's `filters`",
    )
    FILTER_WAIT = (
        "filter-wait",
        "the wait for a turn in filter {name}",
        "the wait for a turn in filters",
        "filter {name} takes one I/O after the other: look at what its method waits for",
    )
    ENGINE = (
        "engine",
        "the engine{name}",
        "",
        "look at the medium that the engine uses, and at its options",
    )
    ENGINE_WAIT = (
        "engine-wait",
        "the wait for a turn in the engine{name}",
        "",
        "the engine is called on few threads: its calls take too long, or too many come at once",
    )
    ENGINE_CALL = (
        "engine-call",
        "the method of the engine{name}",
        "",
        "look at what the engine does in its read, write and flush: its author's code has the time",
    )
    REPLICATION = (
        "replication",
        "the replicator itself, not its replicas",
        "",
        "writes to the same place wait for each other, and all wait for a majority of replicas: "
        "look at `tierce volume show` for their states",
    )
    PART = (
        "part",
        "{name}",
        "",
        "look at what docs/explanation/counters.md says of {name}",
    )
    LOCAL_MISS = (
        "local-miss",
        "this machine's own copy, read from its disk",
        "",
        "reads miss the page cache: look at the disk of this machine's replica (`iostat -x 1`), or "
        "give the machine more memory",
    )
    SYNC = (
        "sync",
        "{name}'s fdatasync",
        "the replicas' fdatasync",
        "look at the disk of {name} (`iostat -x 1`: w_await, %util): it is slow to make writes "
        "durable; move the replica to a better one",
    )
    APPLY = (
        "apply",
        "{name}'s store, which takes writes",
        "the replicas' stores, which take writes",
        "look at the disk and the memory of {name}: its store waits for them with each write",
    )
    READ = (
        "read",
        "{name}'s store, which reads",
        "the replicas' stores, which read",
        "look at the disk of {name} (`iostat -x 1`: r_await, %util): it is slow to read",
    )
    QUEUE = (
        "queue",
        "the queue in {name}",
        "the queues in the replicas",
        "the process of {name} has more to do than it can: look at its CPU and at its disk",
    )
    LINK = (
        "link",
        "the link to {name} or its process, not its disk",
        "the links to the replicas or their processes, not their disks",
        "look whether the process of {name} gets CPU (a stopped process, a machine that swaps), "
        "then at the network to it (`ping`, lost packets)",
    )
    REPLICA = (
        "replica",
        "{name}",
        "the replicas",
        "watch it: `tierce volume why` without --records splits what its disk takes from the link",
    )

    def __new__(cls, word: str, label: str, of_all: str, todo: str) -> Self:
        """Make a member whose value is its word."""
        member = object.__new__(cls)
        member._value_ = word
        member.label, member.of_all, member.todo = label, of_all, todo
        return member


#: Kinds whose name is a member's.
OF_MEMBERS = frozenset({Kind.SYNC, Kind.APPLY, Kind.READ, Kind.QUEUE, Kind.LINK, Kind.REPLICA})
#: Of a member's own stages, by the word behind the last dot.
OF_STAGES = {
    "sync": Kind.SYNC,
    "apply": Kind.APPLY,
    "read": Kind.READ,
    "queue": Kind.QUEUE,
    "sync_wait": Kind.QUEUE,
}
#: Whose name begins a sentence, not the engine's.
_ENGINES = frozenset({Kind.ENGINE, Kind.ENGINE_CALL, Kind.ENGINE_WAIT})


@attrs.frozen
class Cause:
    """What an I/O can have waited for.

    Attributes:
        kind: Its kind.
        name: Which of several: a replica, a filter; empty for all of them, or the only one.
    """

    kind: Kind
    name: str = ""

    @property
    def label(self) -> str:
        """How it is called within a sentence."""
        if not self.name and self.kind.of_all:
            return self.kind.of_all
        return self.kind.label.format(name=self._word)

    @property
    def todo(self) -> str:
        """What to do about it."""
        return self.kind.todo.format(name=self.name or "each of them")

    @property
    def _word(self) -> str:
        return f" {self.name}" if self.name and self.kind in _ENGINES else self.name
