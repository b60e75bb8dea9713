"""Garbage at the ports ends at worst its own connection, and memory stays bounded."""

from __future__ import annotations

import contextlib
import random
import socket
import struct

import pytest

from serving.server import IQN, Server
from serving.volumes import jiva
from tierce import Address

pytestmark = [pytest.mark.system, pytest.mark.needs("libiscsi")]

CONNECTIONS = 150
#: What a process may grow by while it is shouted at: its buffers, not what it was sent.
GROWTH_KIB_MAX = 48 << 10


def login(chooser: random.Random) -> bytes:
    """A Login Request (RFC 7143, 11.12), straight to full feature, for the volume."""
    pairs = (
        f"InitiatorName={IQN}:garbage-{chooser.randrange(4)}",
        f"TargetName={IQN}:demo",
        "SessionType=Normal",
        "HeaderDigest=None",
        "DataDigest=None",
    )
    text = "".join(f"{pair}\0" for pair in pairs).encode()
    header = struct.pack(
        ">BBBBI6sHIHHII16x",
        *(0x43, 0x87, 0, 0, len(text)),
        *(b"\x80\0\0\0\0\1", 0, 1, 0, 0, 1, 0),
    )
    return header + text + bytes(-len(text) % 4)


def mutated(chooser: random.Random, data: bytes) -> bytes:
    """Change some bytes, cut some out, or repeat some."""
    changed = bytearray(data)
    for _ in range(chooser.randint(1, 8)):
        at = chooser.randrange(len(changed))
        kind = chooser.randrange(3)
        if kind == 0:
            changed[at] = chooser.randrange(256)
        elif kind == 1 and len(changed) > 8:
            del changed[at : at + chooser.randint(1, 4)]
        else:
            changed[at:at] = changed[at : at + 64]
    return bytes(changed)


def shout(address: tuple[str, int], messages: list[bytes]) -> bytes:
    """Send for as long as the other side bears it; return the beginning of what it says."""
    heard = bytearray()
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=0.5) as one:
        for message in messages:
            one.sendall(message)
            one.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                while part := one.recv(65536):
                    heard += part[: 4096 - len(heard)]
    return bytes(heard)


def command(chooser: random.Random, sequence: int) -> bytes:
    """A SCSI Command PDU (RFC 7143, 11.3) with a random CDB and random lengths."""
    data = chooser.randbytes(chooser.choice((0, 0, 512, 4096)))
    cdb = bytes([chooser.randrange(256)]) + chooser.randbytes(15)
    header = struct.pack(
        ">BBHIQIIII16s",
        *(chooser.choice((0x01, 0x41)), chooser.choice((0x80, 0xA0, 0xC0, 0xE0)), 0),
        *(len(data), 0, chooser.randrange(1 << 32), chooser.choice((0, 512, 4096, 1 << 31))),
        *(sequence, 0, cdb),
    )
    return header + data


def test_garbage_at_the_iscsi_port_harms_nobody_else(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    session = server.session()
    session.write_now(0, b"kept" * 1024)
    before = {name: server.rss_kib(name) for name in ("portal", "target.demo")}
    pids = server.pids()
    chooser = random.Random(11)
    address = ("127.0.0.1", server.port)
    for number in range(CONNECTIONS):
        kind = number % 3
        if kind == 0:
            shout(address, [chooser.randbytes(chooser.choice((1, 47, 48, 500, 200_000)))])
        elif kind == 1:
            shout(address, [mutated(chooser, login(chooser))])
        else:
            # Log in well, then talk nonsense. Some of it may be a WRITE by chance.
            commands = [mutated(chooser, command(chooser, 1 + index)) for index in range(20)]
            heard = shout(address, [login(chooser), *commands])
            assert heard[0] == 0x23, "a Login Response"
            assert heard[36:38] == b"\0\0", "Status-Class and Status-Detail: success"
    assert server.pids() == pids
    for name, size in before.items():
        assert server.rss_kib(name) - size < GROWTH_KIB_MAX, name
    session.write_now(0, b"here" * 1024)
    assert session.read_now(0, 4096) == b"here" * 1024
    session.close()


def test_a_length_is_not_believed_before_it_is_checked(server: Server) -> None:
    """DataSegmentLength has 24 bits; a login that announces 16 MiB gets no 16 MiB buffer."""
    server.configure(jiva("demo"))
    server.run("demo")
    before = server.rss_kib("portal")
    connections = []
    announced = bytes.fromhex("43870000 00ffffff") + bytes(40)
    for _ in range(60):
        connections.append(socket.create_connection(("127.0.0.1", server.port)))
        with contextlib.suppress(OSError):
            connections[-1].sendall(announced + bytes(4096))
    server.session().close()
    for connection in connections:
        connection.close()
    assert server.rss_kib("portal") - before < GROWTH_KIB_MAX


def test_garbage_at_a_replica_port_harms_nobody_else(server: Server) -> None:
    server.configure(jiva("demo"))
    server.run("demo")
    session = server.session()
    session.write_now(0, b"kept" * 1024)
    pids = server.pids()
    chooser = random.Random(12)
    members = [name for name in pids if name.startswith("member.")]
    assert len(members) == 3
    before = {name: server.rss_kib(name) for name in members}
    for name in members:
        _role, volume, member = name.split(".")
        where = Address.parse(
            (server.data / "run" / f"{volume}.{member}.address").read_text().strip()
        )
        for number in range(CONNECTIONS // 3):
            size = chooser.choice((1, 15, 16, 32, 64, 4096, 300_000))
            messages = [chooser.randbytes(size)]
            if number % 2:
                messages = [b"\xff" * 64 + bytes(1 << 20)]
            shout((where.host, where.port), messages)
    assert server.pids() == pids
    for name, size in before.items():
        assert server.rss_kib(name) - size < GROWTH_KIB_MAX, name
    assert session.read_now(0, 4096) == b"kept" * 1024
    session.write_now(0, b"more" * 1024)
    session.flush_now()
    session.close()
