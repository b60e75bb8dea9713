"""What hostile and unlucky initiators do: each storm is a function that says what it has seen."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
from collections import Counter
from collections.abc import Callable
from multiprocessing.synchronize import Event

import attrs

from iscsi.fuzz_connection import mutate, random_session
from iscsi.initiator import command, nop_out, read_10, request, task_management, text, write_10
from serving.server import IQN
from system.wire import Address, Wire

TARGET = f"{IQN}:demo"
INQUIRY = bytes((0x12, 0, 0, 0, 96, 0))
LBA_STATUS = bytes((0x9E, 0x12)) + bytes(8) + b"\0\0\0\x40\0\0"
MIB = 1 << 20
#: Sessions of most storms: what a target takes by default, but one for the honest initiator and
#: one for its logins.
SESSION_COUNT = 14
#: Storms that send target cold resets, which end every session.
ENDS_ALL = frozenset({"mutants"})


Seen = Counter[str]


@attrs.frozen
class Size:
    """How large a storm is.

    Attributes:
        seconds: How long it lasts.
        runs: Mutated sessions, all in all.
        connections: Slow connections.
        logins: Logins at once.
        sessions: Sessions of the storm that wants many.
    """

    seconds: float = 20.0
    runs: int = 100_000
    connections: int = 1000
    logins: int = 500
    sessions: int = 600


SHORT = Size(seconds=2.0, runs=300, connections=200, logins=100, sessions=100)


def sessions(address: Address, count: int, **keys: str) -> list[Wire]:
    wires = []
    for number in range(1, count + 1):
        # One after the other: of connections that say nothing the portal keeps some hundreds only.
        wires.append(Wire(address, TARGET, initiator="storm", number=number))
        assert wires[-1].login(**keys) == 0
    return wires


def pour(wires: list[Wire], streams: list[bytes], stop: Event, *, reads: bool) -> Seen:
    """Send as fast as the sockets take it; drop the answers, or leave them."""
    seen: Seen = Counter()
    with selectors.DefaultSelector() as selector:
        for wire, stream in zip(wires, streams, strict=True):
            wire.socket.setblocking(False)
            mask = selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0)
            selector.register(wire.socket, mask, memoryview(stream))
        while not stop.is_set():
            for key, events in selector.select(0.1):
                try:
                    _pour_some(selector, key, events, seen)
                except BlockingIOError:
                    continue
                except OSError:
                    seen["sessions that were ended"] += 1
                    selector.unregister(key.fileobj)
    return seen


def _pour_some(
    selector: selectors.BaseSelector, key: selectors.SelectorKey, events: int, seen: Seen
) -> None:
    connection, left = key.fileobj, key.data
    assert isinstance(connection, socket.socket)
    if events & selectors.EVENT_READ and not connection.recv(MIB):
        raise ConnectionResetError
    if events & selectors.EVENT_WRITE:
        left = left[connection.send(left[: 1 << 18]) :]
        seen["KiB that were taken"] += (len(key.data) - len(left)) >> 10
        # What was taken whole is only listened to from now on.
        selector.modify(connection, key.events if left else selectors.EVENT_READ, left)


def flood(address: Address, stop: Event, _size: Size) -> Seen:
    """Small commands of every kind, as fast as they are taken."""
    kinds: list[Callable[[int], bytes]] = [
        lambda n: command(INQUIRY, n, read=96),
        lambda n: command(LBA_STATUS, n, read=64),
        lambda n: nop_out(n, tag=n),
        lambda n: request(4, n, text({"SendTargets": ""}), tag=n),
        lambda n: command(read_10(0, 8), n, read=4096),
        lambda n: command(write_10(0, 8, fua=True), n, write=4096, data=bytes(4096)),
    ]
    wires = sessions(address, SESSION_COUNT)
    streams = [
        b"".join(kinds[index % len(kinds)](n) for n in range(1, 60_000 if index % 6 < 5 else 6000))
        for index in range(len(wires))
    ]
    return pour(wires, streams, stop, reads=True)


def deaf(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that ask for much and never read it."""
    wires = sessions(address, SESSION_COUNT)
    reads = b"".join(command(read_10(0, 2048), n, read=MIB) for n in range(1, 129))
    pings = b"".join(nop_out(129, bytes(1024), tag=n) for n in range(1, 2000))
    return pour(wires, [reads + pings] * len(wires), stop, reads=False)


def mute(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that announce large writes and never send their data."""
    wires = sessions(address, SESSION_COUNT)
    stream = b"".join(
        command(write_10(0, 2048), n, write=MIB, data=bytes(64 << 10)) for n in range(1, 129)
    )
    return pour(wires, [stream] * len(wires), stop, reads=True)


def tiny(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that take 512 bytes in a PDU and read much."""
    wires = sessions(address, SESSION_COUNT, MaxRecvDataSegmentLength="512")
    stream = b"".join(command(read_10(0, 2048), n, read=MIB) for n in range(1, 2000))
    return pour(wires, [stream] * len(wires), stop, reads=True)


def resets(address: Address, stop: Event, _size: Size) -> Seen:
    """Sessions that write, abort and reset, all the time."""
    wires = sessions(address, SESSION_COUNT)
    stream = b"".join(
        command(write_10(n % 64, 1), n, write=512, data=bytes(512))
        + task_management(1 + n % 6, n + 1, task=n)
        for n in range(1, 30_000)
    )
    return pour(wires, [stream] * len(wires), stop, reads=True)


def logins(address: Address, stop: Event, size: Size) -> Seen:
    """Logins by the hundred at once; each must be answered."""
    seen: Seen = Counter()
    wave = 0
    while not stop.is_set():
        wires = []
        for number in range(size.logins):
            wire = Wire(address, TARGET, initiator="storm", number=wave << 16 | number)
            wire.socket.sendall(wire.login_request())
            wires.append(wire)
        for wire in wires:
            try:
                seen[f"logins answered {wire.answer().login_status:#06x}"] += 1
            except (OSError, EOFError) as error:
                seen[f"logins unanswered ({type(error).__name__})"] += 1
            wire.close()
        wave += 1
    return seen


def slow(address: Address, stop: Event, size: Size) -> Seen:
    """Connections that say a byte at a time, and never whom they want."""
    seen: Seen = Counter()
    whole = Wire(address, TARGET).login_request()
    wires: dict[Wire, int] = {}
    while not stop.is_set():
        while len(wires) < size.connections:
            with contextlib.suppress(OSError):
                wires[Wire(address, TARGET, initiator="slow")] = 0
                seen["connections"] += 1
        for wire, at in list(wires.items()):
            try:
                wire.socket.send(whole[at : at + 1])
                wires[wire] = min(at + 1, len(whole) - 2)
            except OSError:
                del wires[wire]
                wire.close()
        stop.wait(0.05)
    return seen


def mutants(address: Address, stop: Event, size: Size) -> Seen:
    """Sessions that are mostly right, with some bytes changed, lost or repeated."""
    seen: Seen = Counter()
    dice = random.Random(size.runs)
    while seen["runs"] < size.runs:
        seed = dice.getrandbits(32)
        wire = Wire(address, TARGET, initiator="mutant", number=seed & 7, timeout_s=5)
        stream = random_session(seed)
        begin = wire.login_request()
        with contextlib.suppress(OSError):
            if seed % 8:
                wire.socket.sendall(begin + mutate(stream, seed))
            else:
                wire.socket.sendall(mutate(begin, seed) + stream)
            wire.socket.shutdown(socket.SHUT_WR)
            while wire.socket.recv(1 << 16):
                pass
        wire.close()
        seen["runs"] += 1
    stop.wait(0)
    return seen


def many(address: Address, stop: Event, size: Size) -> Seen:
    """Many sessions on one target, each of which says something now and then."""
    wires = sessions(address, size.sessions)
    seen: Seen = Counter({"sessions": len(wires)})
    while not stop.is_set():
        for wire in wires:
            wire.ping()
            seen["pings"] += 1
    return seen


STORMS = {
    one.__name__: one for one in (flood, deaf, mute, tiny, resets, logins, slow, mutants, many)
}
