"""A front end on a loop that the test turns by hand, and initiators on real sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from core.fake_reactor import FakeReactor
from iscsi import initiator
from iscsi.initiator import Answer, command, only
from iscsi.standalone import Counters, MemoryDevice, make_volume
from tierce import Event, FrontendContext, FrontendStatus, Stage, Tracer
from tierce_iscsi.connection import Connection
from tierce_iscsi.connection_router import Handed
from tierce_iscsi.frontend import IscsiFrontend
from tierce_iscsi.memory import SHARED_BYTES, Memory
from tierce_iscsi.options import IscsiOptions
from tierce_iscsi.session import Session


@attrs.frozen
class Delivery:
    """What the kernel has done for one end of a connection, in bytes.

    Attributes:
        sent: Given to the network.
        unsent: Taken from this end and not given to the network yet.
        received: Come from the other end, read or not.
    """

    sent: int
    unsent: int
    received: int

    @classmethod
    def of(cls, end: socket.socket) -> Delivery:
        told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 216)
        # struct tcp_info: tcpi_bytes_received, tcpi_notsent_bytes, tcpi_bytes_sent and _retrans.
        sent, again = struct.unpack_from("QQ", told, 200)
        (received,) = struct.unpack_from("Q", told, 128)
        (unsent,) = struct.unpack_from("I", told, 144)
        return cls(sent - again, unsent, received)


class Initiator:
    """One socket to the front end."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.socket = socket.create_connection(listener.getsockname())
            self.served, _ = listener.accept()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.served.setblocking(False)
        self.header_digest = self.data_digest = False

    def start(self, data: bytes) -> list[Answer]:
        """What the portal would hand over."""
        self._bench.frontend.adopt(self.served, Handed(0, b"", data).encode())
        return self.hear()

    def login(self, **settings: Any) -> Answer:
        pairs = initiator.LOGIN_KEYS | settings.pop("keys", {})
        answer: Answer = initiator.only(self.start(initiator.login(pairs, **settings)))
        return answer

    def ask(self, *requests: bytes) -> list[Answer]:
        """Send and return what comes back without any time passing."""
        self.say(b"".join(requests))
        return self.hear()

    def say(self, data: bytes) -> None:
        """Send, turning the loop whenever the socket is full."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                self._bench.loop.turn()

    def hear(self) -> list[Answer]:
        self._bench.loop.turn()
        stream = b""
        while True:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                break
            except BlockingIOError:
                if not self._is_under_way():
                    break
                # On a busy machine even the loopback delivers late.
                self._bench.loop.turn()
                continue
            if not data:
                break
            stream += data
            self._bench.loop.turn()
        return initiator.answers(
            stream, header_digest=self.header_digest, data_digest=self.data_digest
        )

    def _is_under_way(self) -> bool:
        """True while one side has sent what the other's kernel has not got."""
        if self.served.fileno() < 0:
            # Its end comes last.
            return True
        here, there = Delivery.of(self.socket), Delivery.of(self.served)
        return there.sent + there.unsent > here.received or here.sent > there.received

    @property
    def is_closed(self) -> bool:
        """True if the target has closed the connection."""
        self._bench.loop.turn()
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Go away without a word; the target's end is the target's."""
        self.socket.close()


class Disk:
    """Commands of one session, numbered."""

    def __init__(self, session: Initiator) -> None:
        self.session = session
        self.number = 0

    def ask(self, cdb: bytes, *, read: int = 0, data: bytes = b"", lun: int = 0) -> list[Answer]:
        """Send a command with all its data; return what comes back at once."""
        self.number += 1
        return self.session.ask(
            command(cdb, self.number, read=read, write=len(data), data=data, lun=lun)
        )

    def do(self, cdb: bytes, *, read: int = 0, data: bytes = b"", lun: int = 0) -> Answer:
        """Send a command that is answered at once with one PDU."""
        answer: Answer = only(self.ask(cdb, read=read, data=data, lun=lun))
        return answer


class Bench:
    """The front end, its device, its initiators.

    Args:
        size: The device's, in bytes.
        folder: The target's own.
        leaves_pending: It leaves writes and flushes pending until `complete`.
        device: Another one instead.
        memory_bytes: What the sessions share.
        clock_ns: The front end's clock; time stands still without one.
        boot_id: The machine's.
        uuid: The volume's.
        created: When the volume was made.
        is_folder_lasting: The folder outlives the machine's memory.
        stages: The counters of stages that the test looks at, by name.
        tracer: Who is followed; nobody without one.
        options: The section `iscsi:`.
    """

    def __init__(
        self,
        size: int = 1 << 20,
        *,
        folder: Path,
        leaves_pending: bool = False,
        device: MemoryDevice | None = None,
        memory_bytes: int = SHARED_BYTES,
        clock_ns: Callable[[], int] = lambda: 0,
        boot_id: str = "this one",
        uuid: str = "0123456789abcdef0123456789abcdef",
        created: float = 0.0,
        is_folder_lasting: bool = True,
        stages: Mapping[str, Stage] | None = None,
        tracer: Tracer | None = None,
        **options: Any,
    ) -> None:
        self.loop = FakeReactor()
        self.events: list[Event] = []
        self.pending: list[Callable[[], None]] = []
        later = self.pending.append if leaves_pending else None
        self.device = device or MemoryDevice(size, later=later)
        self.published = FrontendStatus()
        volume = attrs.evolve(make_volume(size), uuid=uuid, created=created)
        self.frontend = IscsiFrontend(
            FrontendContext(
                volume=volume,
                options=IscsiOptions(**options),
                export=volume.exports[0],
                volume_options=volume.exports[0].options,
                device=self.device,
                reactor=self.loop,
                stage=lambda name: (stages or {}).get(name) or Counters(),
                emit=self.events.append,
                publish=self._publish,
                folder=folder,
                is_folder_lasting=is_folder_lasting,
                boot_id=boot_id,
                tracer=tracer or Tracer(),
            ),
            clock_ns,
        )
        self.frontend.memory = Memory(self.frontend.slices, memory_bytes)
        self._initiators: list[Initiator] = []
        self.loop.turn()

    def _publish(self, what: FrontendStatus) -> None:
        self.published = what

    def complete(self) -> None:
        """Let the device finish everything that it has pending."""
        while self.pending:
            self.pending.pop(0)()

    def initiator(self) -> Initiator:
        made = Initiator(self)
        self._initiators.append(made)
        return made

    def session(self, **settings: Any) -> Initiator:
        """An initiator that has logged in."""
        made = self.initiator()
        answer = made.login(**settings)
        assert answer.login_status == 0, answer
        return made

    @property
    def told(self) -> list[Event]:
        """What was told beside the sessions' comings and goings."""
        return [event for event in self.events if not event.code.startswith("iscsi.session.")]

    def connection(self) -> Connection:
        """The connection of the one session that there is."""
        found: Connection = initiator.only(self.frontend.connections())
        return found

    def sessions(self) -> list[Session]:
        """The sessions as the target knows them, the oldest first."""
        return [connection.session for connection in self.frontend.connections()]

    def close(self) -> None:
        self.frontend.abandon("the test is over")
        self.complete()
        self.loop.turn()
        for made in self._initiators:
            made.close()
            made.served.close()
