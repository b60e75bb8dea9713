"""One replica, told frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jiva.ladder import frames_of
from jiva.nodes import MemoryStore
from tierce_jiva.ballot import NO_BALLOT, Ballot, Membership, Record
from tierce_jiva.replica import Replica
from tierce_jiva.replica_actions import Action, Save, Send
from tierce_jiva.wire import Frame, Kind, encode_control, encode_extents

SIZE = 32 << 20
NAMES = ("a", "b", "c")
T1, T2 = Ballot(1, 7), Ballot(2, 9)
INCARNATION = 55
FRESH = Record(NO_BALLOT, Membership(NO_BALLOT, 0, NAMES, NAMES), "boot", head="1:1")


class Ladder:
    """Replica `a`, whose disk is quick unless it is held."""

    def __init__(self, record: Record = FRESH, **changes: Any) -> None:
        self.store = MemoryStore(SIZE)
        arguments: dict[str, Any] = {
            "name": "a",
            "uuid": "00ff",
            "size_bytes": SIZE,
            "record": record,
            "store": self.store,
            "boot_id": "boot",
            "head": "1:1",
            "facts": {"head": "/a/head", "device": 1, "inode": 1, "incarnation": INCARNATION},
        }
        self.replica = Replica(**arguments | changes)
        self.durable = record
        self.is_held = False
        self.others: list[Action] = []
        self.sent: list[tuple[int, Frame]] = []
        self._sequence = 0

    def connect(self, *connections: int) -> None:
        """Connect, and greet."""
        for connection in connections:
            self.replica.connected(connection)
            assert self.say(connection, NO_BALLOT, self.hello())["kind"] == "welcome"

    @staticmethod
    def hello(**changes: Any) -> dict[str, Any]:
        return {"kind": "hello", "uuid": "00ff", "replica": "a"} | changes

    def give(self, connection: int, data: bytes) -> None:
        self.do(self.replica.received(connection, frames_of(data)))

    def do(self, actions: list[Action]) -> None:
        """Carry out what the replica asks for."""
        for action in actions:
            if isinstance(action, Send):
                self.sent += [(action.connection, frame) for frame in frames_of(action.data)]
            elif isinstance(action, Save) and not self.is_held:
                self.durable = action.record
                self.do(self.replica.saved())
            else:
                self.others.append(action)

    def release(self) -> None:
        """The save that was held is done, and those that follow are quick."""
        self.is_held = False
        (save,) = (action for action in self.others if isinstance(action, Save))
        self.others.remove(save)
        self.do([save])

    def say(self, connection: int, ballot: Ballot, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a control message; return the answer, or nothing if there is none yet."""
        self._sequence += 1
        before = len(self.sent)
        self.give(connection, encode_control(self._sequence, ballot, message))
        if len(self.sent) == before:
            return {}
        where, frame = self.sent[-1]
        assert (where, frame.sequence) == (connection, self._sequence)
        return frame.control()

    def prepare(self, connection: int, ballot: Ballot) -> dict[str, Any]:
        return self.say(connection, ballot, {"kind": "prepare"})

    def accept(
        self, connection: int, ballot: Ballot, sequence: int, *in_sync: str, **changes: Any
    ) -> dict[str, Any]:
        membership = Membership(ballot, sequence, NAMES, in_sync or NAMES)
        message = {"kind": "accept", "membership": membership.to_json(), "let_in": [], "suspect": 0}
        return self.say(connection, ballot, message | changes)

    def mark(
        self, connection: int, ballot: Ballot, order: int, marks: str, settled: int = 0
    ) -> dict[str, Any]:
        message = {"kind": "mark", "order": order, "settled": settled, "marks": marks}
        return self.say(connection, ballot, message)

    def reads(self, connection: int, ballot: Ballot) -> str:
        """Ask for bytes; return how that is answered."""
        self.give(connection, encode_extents(Kind.READ, 900, ballot, [(0, 512)]))
        frame = self.sent[-1][1]
        return "data" if frame.kind is Kind.DATA else str(frame.control()["why"])

    @property
    def record(self) -> Record:
        return self.replica.record


def promised() -> Ladder:
    """Return one that is promised to T1 on connection 1."""
    ladder = Ladder()
    ladder.connect(1)
    assert ladder.prepare(1, T1)["kind"] == "promise"
    return ladder
