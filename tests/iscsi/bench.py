"""A front end on a loop that the test turns by hand, and initiators on real sockets."""

from __future__ import annotations

import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from iscsi import initiator
from iscsi.initiator import Answer, command, only
from iscsi.standalone import Counters, Due, MemoryDevice, make_volume
from tierce import Event, FrontendContext, FrontendStatus, Lane
from tierce_iscsi.connection import Connection
from tierce_iscsi.connection_router import Handed
from tierce_iscsi.frontend import IscsiFrontend
from tierce_iscsi.memory import SHARED_BYTES, Memory
from tierce_iscsi.options import IscsiOptions
from tierce_iscsi.session import Session


class HandLoop:
    """A reactor whose time stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.ready: dict[int, tuple[int, Callable[[int], None]]] = {}
        self.timers: list[tuple[float, Due]] = []
        self.soon: deque[Callable[[], None]] = deque()
        #: What is on worker threads; it stays there while `holds_work` is set.
        self.work: list[tuple[Callable[[], Any], Callable[[Any, Any], None]]] = []
        self.holds_work = False

    def now(self) -> float:
        return self.time_s

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        self.ready[descriptor] = (events, ready)

    def unwatch(self, descriptor: int) -> None:
        self.ready.pop(descriptor, None)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Due:
        due = Due(call)
        self.timers.append((self.time_s + delay_s, due))
        return due

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    def lane(self) -> Lane:
        raise AssertionError("no front end has a thread of its own")

    def offload(self, work: Callable[[], Any], done: Callable[[Any, Any], None]) -> None:
        self.work.append((work, done))

    def work_off(self) -> None:
        """Do what is on worker threads, and what comes of it."""
        while self.work:
            work, done = self.work.pop(0)
            try:
                result, error = work(), None
            except Exception as caught:  # noqa: BLE001 - as a worker thread does
                result, error = None, caught
            done(result, error)

    def turn(self) -> None:
        """Serve every descriptor until all are quiet."""
        while self.turn_once():
            pass

    def turn_once(self) -> bool:
        """Serve every descriptor that is ready, once; False if there was nothing to do."""
        poll = select.poll()
        for descriptor, (events, _) in self.ready.items():
            poll.register(descriptor, events)
        found = poll.poll(0)
        for descriptor, events in found:
            if descriptor in self.ready:
                self.ready[descriptor][1](events)
        had_calls = bool(self.soon)
        for _ in range(len(self.soon)):
            self.soon.popleft()()
        had_work = bool(self.work) and not self.holds_work
        if had_work:
            self.work_off()
        return had_calls or had_work or bool(found)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = self.time_s + seconds
        while True:
            due = [item for item in self.timers if item[0] <= end]
            if not due:
                break
            first = min(due, key=lambda item: item[0])
            self.timers.remove(first)
            self.time_s = max(self.time_s, first[0])
            if first[1].call is not None:
                first[1].call()
            self.turn()
        self.time_s = end


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
        **options: Any,
    ) -> None:
        self.loop = HandLoop()
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
                stage=lambda _: Counters(),
                emit=self.events.append,
                publish=self._publish,
                folder=folder,
                is_folder_lasting=is_folder_lasting,
                boot_id=boot_id,
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
