"""Cluster nodes that reserve a volume, and what they say and are told."""

from __future__ import annotations

import struct
from collections.abc import Callable

from iscsi.bench import Bench, Disk
from iscsi.initiator import write_10

GOOD, CHECK_CONDITION, CONFLICT, TASK_ABORTED = 0, 2, 0x18, 0x40
READY_TO_TRANSFER = 0x31
REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE = range(7)
WRITE_EXCLUSIVE, EXCLUSIVE_ACCESS, REGISTRANTS_ONLY, ALL_REGISTRANTS = 1, 3, 5, 7
APTPL, ALL_TG_PT, SPEC_I_PT = 1, 4, 8
#: Unit attentions.
RESTARTED, PREEMPTED, RELEASED, UNREGISTERED = (6, 0x2900), (6, 0x2A03), (6, 0x2A04), (6, 0x2A05)
FAILED = (4, 0x4400)
BLOCK = b"n" * 512
ONE, TWO, THREE = (bytes((0x80, 0, 0, 0, 0, number)) for number in (1, 2, 3))
READY = bytes(6)
MakeBench = Callable[..., Bench]


def out(action: int, kind: int, key: int, new: int = 0, flags: int = 0) -> tuple[bytes, bytes]:
    cdb = struct.pack(">BBB2xIx", 0x5F, action, kind, 24)
    return cdb, struct.pack(">QQ4xB3x", key, new, flags)


class Node(Disk):
    """A cluster's node: one initiator port with its key."""

    def __init__(self, bench: Bench, isid: bytes, key: int) -> None:
        super().__init__(bench.session(isid=isid))
        self.key = key

    def order(self, action: int, kind: int = 0, new: int = 0, flags: int = 0) -> int:
        """Send a PERSISTENT RESERVE OUT that is answered at once; return its status."""
        cdb, data = out(action, kind, self.key, new, flags)
        return self.do(cdb, data=data).status

    def register(self, flags: int = 0) -> None:
        cdb, data = out(REGISTER, 0, 0, self.key, flags)
        assert self.do(cdb, data=data).status == GOOD

    def write(self) -> int:
        return self.do(write_10(0, 1), data=BLOCK).status

    def attention(self) -> tuple[int, int] | None:
        """What the node is told by its next command."""
        answer = self.do(READY)
        return answer.sense if answer.status else None

    def inquire(self, action: int, length: int = 255) -> bytes:
        """The answer of a PERSISTENT RESERVE IN."""
        return self.do(struct.pack(">BB5xHx", 0x5E, action, length), read=length).data

    def keys(self) -> list[int]:
        data = self.inquire(0)
        return [int.from_bytes(data[at : at + 8], "big") for at in range(8, len(data), 8)]

    def reserved(self) -> tuple[int, int] | None:
        """The holder's key and the type, None if nothing is reserved."""
        data = self.inquire(1)
        return (int.from_bytes(data[8:16], "big"), data[21]) if len(data) > 8 else None


def pair(bench: Bench) -> tuple[Node, Node]:
    """Two nodes, both registered."""
    one, two = Node(bench, ONE, 0xA), Node(bench, TWO, 0xB)
    one.register()
    two.register()
    return one, two
