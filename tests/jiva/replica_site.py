"""A replica's process on a real socket and folder; its worker threads are the test's hands."""

from __future__ import annotations

import errno
import socket
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tierce
from core.fake_reactor import FakeReactor
from core.volume.model import Tally
from jiva.nodes import MemoryStore
from tierce import (
    Address,
    Event,
    MemberContext,
    MemberSpec,
    StoreChoice,
    StoreContext,
    StoreOpenContext,
)
from tierce_jiva.ballot import NO_BALLOT, Ballot
from tierce_jiva.folder import Identity
from tierce_jiva.making import create_folder
from tierce_jiva.replica_process import ReplicaProcess
from tierce_jiva.store import SparseFileStore
from tierce_jiva.wire import Frame, FrameReader, Kind, encode_control

SIZE = 1 << 20
T1 = Ballot(1, 7)
IDENTITY = Identity("demo", "00ff", "replica-1", ("replica-1",), SIZE, 512, 1.0)
EIO = OSError(errno.EIO, "Input/output error")


class Store(MemoryStore, tierce.Store):
    """Bytes in memory with the calls of a worker thread."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.is_closed = False
        #: What it says of a file that others may read.
        self.path: Path | None = None

    @classmethod
    def create(cls, context: StoreContext) -> None:
        raise AssertionError("it is there")

    @classmethod
    def destroy(cls, context: StoreContext) -> None:
        raise AssertionError("it stays")

    @classmethod
    def open(cls, context: StoreOpenContext) -> Store:
        raise AssertionError("it is open")

    def local_path(self) -> Path | None:
        return self.path

    def flush(self) -> None:
        self.end_sync(self.begin_sync())

    def close(self) -> None:
        self.is_closed = True


def choice_of(opened: Callable[[StoreOpenContext], tierce.Store]) -> StoreChoice:
    """Return the sparse-file store, but opened so."""

    class Opened(SparseFileStore):
        open = staticmethod(opened)  # type: ignore[assignment]

    return StoreChoice("sparse-file", Opened)


class Site:
    """A folder, and what the process of its replica is started with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        create_folder(IDENTITY, path, "boot")
        self.reactor = FakeReactor(by_hand=True)
        self.stages: defaultdict[str, Tally] = defaultdict(Tally)
        self.events: list[Event] = []
        self.addresses: list[str] = []
        self.store = Store(SIZE)
        self.process: ReplicaProcess | None = None
        self.peers: list[Peer] = []

    def start(self, **changes: Any) -> ReplicaProcess:
        arguments: dict[str, Any] = {
            "volume_name": "demo",
            "volume_uuid": "00ff",
            "size_bytes": SIZE,
            "block_size": 512,
            "member": MemberSpec("replica-1", self.path, "127.0.0.1:0"),
            "reactor": self.reactor,
            "boot_id": "boot",
            "announce": self.addresses.append,
            "stage": lambda name: self.stages[name],
            "emit": self.events.append,
            "publish": lambda _shown: None,
            "store": choice_of(self.open_store),
            "store_options": None,
        }
        self.process = ReplicaProcess(MemberContext(**arguments | changes))
        return self.process

    def open_store(self, context: StoreOpenContext) -> tierce.Store:
        assert (context.folder, context.size_bytes) == (self.path, SIZE)
        return self.store

    def turn(self, count: int = 5) -> None:
        """Let the loop go round."""
        for _ in range(count):
            self.reactor.call_soon(self.reactor.stop)
            self.reactor.run()

    def connect(self) -> Peer:
        peer = Peer(self, self.addresses[-1])
        self.peers.append(peer)
        self.turn()
        return peer

    def work_off(self) -> None:
        """Do what is asked of worker threads, and all that follows from it."""
        self.turn()
        while self.reactor.work:
            self.reactor.work_off()
            self.turn()

    def codes(self) -> list[str]:
        return [event.code for event in self.events]


class Peer:
    """A target's end of a connection."""

    def __init__(self, site: Site, address: str) -> None:
        where = Address.parse(address)
        self.site = site
        self.socket = socket.create_connection((where.host, where.port))
        self.socket.setblocking(False)
        self._reader = FrameReader()

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))
        self.site.turn()

    def received(self) -> list[Frame]:
        self.site.turn()
        try:
            return self._reader.received(self.socket.recv_into(self._reader.space()))
        except BlockingIOError:
            return []

    def said(self) -> list[str]:
        """Return the kinds of what has come."""
        return [
            str(frame.control()["kind"]) if frame.kind is Kind.CONTROL else frame.kind.name
            for frame in self.received()
        ]

    def begin(self) -> None:
        """Greet, and be promised T1."""
        hello = {"kind": "hello", "uuid": "00ff", "replica": "replica-1"}
        self.send(encode_control(1, NO_BALLOT, hello), encode_control(2, T1, {"kind": "prepare"}))
        self.site.work_off()
        assert self.said() == ["welcome", "promise"]

    @property
    def is_closed(self) -> bool:
        self.site.turn()
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
