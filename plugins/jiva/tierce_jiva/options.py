"""What an operator can set for a volume of engine `jiva`."""

from __future__ import annotations

from pathlib import Path

import attrs

from tierce import Address, option

#: More replicas than this cost every write more than they protect.
REPLICA_COUNT_MAX = 7
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@attrs.frozen
class ReplicaOptions:
    """One replica."""

    folder: str = option(doc="Where this replica keeps its bytes.", unit="folder")
    address: str = option(
        default="127.0.0.1:0",
        unit="address",
        doc="Where its process listens; port 0 takes a free one. Loopback only.",
    )


@attrs.frozen
class JivaOptions:
    """How a volume is replicated."""

    replicas: tuple[ReplicaOptions, ...] = option(
        doc=f"The replicas, 1 to {REPLICA_COUNT_MAX}, each in a folder of its own; 3 survive the "
        "loss of one, 2 stop at the first loss.",
    )
    reconnect_grace_s: float = option(
        default=1.0,
        unit="seconds",
        minimum=0.05,
        maximum=30,
        doc="How long a replica whose connection broke may stay away before it is voted out.",
    )
    dead_s: float = option(
        default=5.0,
        unit="seconds",
        minimum=0.2,
        maximum=20,
        doc="How long a connected replica may leave an operation unanswered before it is voted "
        "out.",
    )
    flush_dead_s: float = option(
        default=15.0,
        unit="seconds",
        minimum=0.2,
        maximum=24,
        doc="The same for a flush, which waits for the disk.",
    )
    alone_after_s: float = option(
        default=12.0,
        unit="seconds",
        minimum=0.2,
        maximum=24,
        doc="Where only one other copy is left: how long a connected replica may show no life at "
        "all before the volume goes on with that copy alone.",
    )
    not_ready_after_s: float = option(
        default=25.0,
        unit="seconds",
        minimum=0.2,
        maximum=29,
        doc="How long an operation may wait for a majority before it is answered NOT READY; "
        "below the 30 s after which Linux gives a command up.",
    )
    opening_patience_s: float = option(
        default=2.0,
        unit="seconds",
        minimum=0,
        maximum=60,
        doc="How long an opening waits for the rest of the replicas once it has a majority.",
    )
    clean_after_s: float = option(
        default=5.0,
        unit="seconds",
        minimum=0.1,
        maximum=3600,
        doc="How long after a flush without new writes the replicas are marked clean.",
    )
    rebuild_window: int = option(
        default=2,
        minimum=1,
        maximum=16,
        doc="How many extents of 1 MiB are compared and copied at once for a replica that "
        "is rebuilt.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the options together, if anything is."""
        if not 1 <= len(self.replicas) <= REPLICA_COUNT_MAX:
            return f"expected 1 to {REPLICA_COUNT_MAX} replicas, got {len(self.replicas)}"
        folders = [str(Path(replica.folder)) for replica in self.replicas]
        for folder in folders:
            if folders.count(folder) > 1:
                return f"two replicas share the folder {folder}; give each its own"
        for replica in self.replicas:
            if Address.parse(replica.address).host not in _LOOPBACK:
                return (
                    f"replica address {replica.address}: replicas listen on loopback only, since "
                    "their protocol is not encrypted; use 127.0.0.1:PORT"
                )
        if self.alone_after_s < self.dead_s:
            return (
                f"alone_after_s ({self.alone_after_s}) is below dead_s ({self.dead_s}); going on "
                "with one copy must not be quicker than with two"
            )
        if self.flush_dead_s < self.dead_s:
            return (
                f"flush_dead_s ({self.flush_dead_s}) is below dead_s ({self.dead_s}); a flush "
                "waits for the disk and needs the longer one"
            )
        return None

    def advice(self) -> str | None:
        """Return what the operator should know though it is allowed, if there is anything."""
        count = len(self.replicas)
        if count == 2:
            return (
                "two replicas without a third vote stop at the first loss: use three, or one if "
                "the loss of its disk is acceptable"
            )
        if count % 2 == 0:
            return (
                f"{count} replicas survive the loss of no more than {count - 1} do: a majority of "
                f"{count} is {count // 2 + 1}"
            )
        return None
