"""Transport IDs: how SCSI names an initiator port (SPC-4 section 7.6.4.6, format 01b)."""

from __future__ import annotations

#: Format 01b, protocol iSCSI: name, ",i,0x", ISID.
_HEAD = 0x45
_SEPARATOR = ",i,0x"
_ISID_BYTES = 6
#: A transport ID has at least 20 bytes behind its length, and a multiple of four.
_NAME_BYTES_MIN = 20


def transport_id(initiator: str, isid: bytes) -> bytes:
    """Return the transport ID of an initiator's name and ISID: whose session it is."""
    return from_text(f"{initiator}{_SEPARATOR}{isid.hex()}")


def to_text(identity: bytes) -> str:
    """Return the name in a transport ID, for people and files: "iqn...,i,0x800000000001"."""
    return identity[4:].rstrip(b"\0").decode("utf-8", "replace")


def from_text(text: str) -> bytes:
    """Return the transport ID whose name this is.

    Raises:
        ValueError: It names no initiator port.
    """
    name, separator, isid = text.rpartition(_SEPARATOR)
    if not name or not separator or len(bytes.fromhex(isid)) != _ISID_BYTES:
        raise ValueError(f"{text!r} names no initiator port; expected NAME{_SEPARATOR}ISID")
    padded = text.encode() + b"\0"
    padded = padded.ljust(_NAME_BYTES_MIN, b"\0") + bytes(-max(len(padded), _NAME_BYTES_MIN) & 3)
    return bytes((_HEAD, 0)) + len(padded).to_bytes(2, "big") + padded
