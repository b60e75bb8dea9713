"""An initiator's side of the wire, for tests: requests as bytes, answers as values."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import attrs
from crc32c import crc32c

NAME = "iqn.2026-11.io.example:tester"
TARGET = "iqn.2026-11.io.tierce:demo"
LOGIN_KEYS = {
    "InitiatorName": NAME,
    "TargetName": TARGET,
    "SessionType": "Normal",
    "MaxRecvDataSegmentLength": "262144",
    "InitialR2T": "No",
    "ImmediateData": "Yes",
    "MaxBurstLength": "262144",
    "FirstBurstLength": "262144",
}
NO_TAG = 0xFFFFFFFF


def text(pairs: dict[str, str]) -> bytes:
    return b"".join(f"{key}={value}\0".encode() for key, value in pairs.items())


def keys(data: bytes) -> dict[str, str]:
    """Read text keys back."""
    pairs = [item.split(b"=", 1) for item in data.split(b"\0") if item]
    return {key.decode(): value.decode() for key, value in pairs}


def pdu(header: bytes, data: bytes = b"") -> bytes:
    assert len(header) == 48
    return header + data + bytes(-len(data) & 3)


def login(
    pairs: dict[str, str] | bytes = b"",
    *,
    flags: int = 0x87,
    isid: bytes = b"\x80\0\0\0\0\1",
    tsih: int = 0,
    cmd_sn: int = 1,
    version: int = 0,
) -> bytes:
    """A login request; by default from the operational stage to the full feature phase."""
    data = text(pairs) if isinstance(pairs, dict) else pairs
    header = struct.pack(
        *(">BBBBI6sHIH2xII16x", 0x43, flags, version, version, len(data), isid, tsih, 7, 1),
        *(cmd_sn, 0),
    )
    return pdu(header, data)


def command(
    cdb: bytes,
    cmd_sn: int,
    *,
    tag: int | None = None,
    read: int = 0,
    write: int = 0,
    data: bytes = b"",
    final: bool = True,
    immediate: bool = False,
    lun: int = 0,
    flags: int | None = None,
) -> bytes:
    """A SCSI command with immediate data."""
    bits = (0x80 if final else 0) | (0x40 if read else 0) | (0x20 if write else 0) | 1
    header = struct.pack(
        *(">BBHIQIIII16s", 0x41 if immediate else 0x01, bits if flags is None else flags, 0),
        *(len(data), lun, cmd_sn if tag is None else tag, read or write, cmd_sn, 0),
        cdb.ljust(16, b"\0"),
    )
    return pdu(header, data)


def read_10(lba: int, count: int) -> bytes:
    return struct.pack(">BBIBHB", 0x28, 0, lba, 0, count, 0)


def write_10(lba: int, count: int, *, fua: bool = False) -> bytes:
    return struct.pack(">BBIBHB", 0x2A, 8 if fua else 0, lba, 0, count, 0)


def data_out(
    tag: int, transfer_tag: int, number: int, offset: int, data: bytes, *, final: bool
) -> bytes:
    header = struct.pack(
        *(">BB2xIQII4xI4xII4x", 5, 0x80 if final else 0, len(data), 0, tag, transfer_tag, 0),
        *(number, offset),
    )
    return pdu(header, data)


def nop_out(cmd_sn: int, data: bytes = b"", *, tag: int = 99, transfer_tag: int = NO_TAG) -> bytes:
    return pdu(
        struct.pack(">BB2xIQIIII16x", 0x40, 0x80, len(data), 0, tag, transfer_tag, cmd_sn, 0), data
    )


def request(
    opcode: int,
    cmd_sn: int,
    data: bytes = b"",
    *,
    flags: int = 0x80,
    tag: int = 99,
    transfer_tag: int = NO_TAG,
) -> bytes:
    """A text or logout request."""
    return pdu(
        struct.pack(
            ">BB2xIQIIII16x", opcode | 0x40, flags, len(data), 0, tag, transfer_tag, cmd_sn, 0
        ),
        data,
    )


def task_management(function: int, cmd_sn: int, *, task: int = NO_TAG, lun: int = 0) -> bytes:
    return pdu(
        struct.pack(">BB2xIQIIIII12x", 0x42, 0x80 | function, 0, lun, 98, task, cmd_sn, 0, 0)
    )


@attrs.frozen
class Answer:
    """A PDU from the target."""

    header: bytes
    data: bytes

    @property
    def opcode(self) -> int:
        return self.header[0] & 0x3F

    @property
    def flags(self) -> int:
        return self.header[1]

    @property
    def status(self) -> int:
        return self.header[3]

    @property
    def response(self) -> int:
        return self.header[2]

    @property
    def tag(self) -> int:
        return self.field(16)

    @property
    def transfer_tag(self) -> int:
        return self.field(20)

    @property
    def stat_sn(self) -> int:
        return self.field(24)

    @property
    def max_cmd_sn(self) -> int:
        return self.field(32)

    @property
    def login_status(self) -> int:
        return self.field(36) >> 16

    @property
    def sense(self) -> tuple[int, int]:
        """Key and ASC << 8 | ASCQ."""
        return self.data[2 + 2] & 0x0F, int.from_bytes(self.data[2 + 12 : 2 + 14], "big")

    def field(self, offset: int) -> int:
        return int.from_bytes(self.header[offset : offset + 4], "big")


def answers(
    stream: bytes, *, header_digest: bool = False, data_digest: bool = False
) -> list[Answer]:
    """Split what the target sent; every byte must belong to a whole PDU."""
    return list(_split(stream, header_digest, data_digest))


def _split(stream: bytes, header_digest: bool, data_digest: bool) -> Iterator[Answer]:
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        assert at <= len(stream), "the target sends whole PDUs"
        return stream[at - count : at]

    while at < len(stream):
        header = take(48)
        if header_digest:
            assert crc32c(header).to_bytes(4, "little") == take(4)
        length = int.from_bytes(header[4:8], "big")
        data = take(length + (-length & 3))
        if data_digest and length:
            assert crc32c(data).to_bytes(4, "little") == take(4)
        yield Answer(header, data[:length])


def only(found: list[Any]) -> Any:
    assert len(found) == 1, found
    return found[0]
