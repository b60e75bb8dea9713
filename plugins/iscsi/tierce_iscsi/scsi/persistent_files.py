"""What of a unit outlives a restart of its target, as bytes: two small files.

`reservations` is a sealed file (tierce.durable):

| key | value |
|---|---|
| volume | the volume's uuid: another volume's file is never taken for ours |
| boot_id | of the machine that wrote it: it changes when power was lost |
| registrations | [initiator port, key as 16 hex digits] each |
| holder, type | of the reservation; null and 0 if nothing is reserved |
| generation | PRGENERATION |
| outlives_power | APTPL of the last registration |
| in_doubt | true if what was here before could not be read |

`sessions` names the initiator ports that have to hear of a restart. Each has a slot of its own, so
that a login writes a few hundred bytes and no more:

| offset | size | field |
|---|---|---|
| 0 | `sessions_header` | a sealed file whose only key is `volume` |
| then, each | 8 | CRC32C of the port's name, in hex; spaces if the slot is free |
| | 1 | space |
| | 310 | the port's name, filled up with spaces; `*`: everyone has to hear of it |
| | 1 | line feed |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crc32c import crc32c

from tierce import FormatError, seal, unseal
from tierce_iscsi.scsi.registrations import TYPES, Registrations
from tierce_iscsi.scsi.transport import from_text, to_text

VERSION = 1
RESERVATIONS, SESSIONS = "reservations", "sessions"
_FAMILY = "tierce-iscsi"
SLOT_BYTES = 320
#: iSCSI names have 223 bytes at most, and ",i,0x" and the ISID follow.
_NAME_BYTES = SLOT_BYTES - 10
EVERYONE = b"*"
FREE_SLOT = b" " * (SLOT_BYTES - 1) + b"\n"
assert _NAME_BYTES >= 223 + 17


class OtherVolumeError(FormatError):
    """It is that of another volume."""


def _open(data: bytes, kind: str, volume: str, path: Path) -> dict[str, Any]:
    version, body = unseal(data, _FAMILY, kind, VERSION, path=path)
    if version != VERSION:
        # The checksum does not cover the version, and there has been no other.
        raise FormatError("has a format that there has never been", path=path)
    if body.get("volume") != volume:
        found = body.get("volume")
        raise OtherVolumeError(f"is that of volume {found}, not of {volume}", path=path)
    return body


def encode_reservations(now: Registrations, volume: str, boot_id: str) -> bytes:
    """Return the contents of the file `reservations`."""
    body = {
        "volume": volume,
        "boot_id": boot_id,
        "registrations": [[to_text(one), f"{key:016x}"] for one, key in now.keys.items()],
        "holder": None if now.holder is None else to_text(now.holder),
        "type": now.kind,
        "generation": now.generation,
        "outlives_power": now.outlives_power,
        "in_doubt": now.is_in_doubt,
    }
    return seal(_FAMILY, RESERVATIONS, VERSION, body)


def decode_reservations(data: bytes, volume: str, boot_id: str, path: Path) -> Registrations:
    """Return what such a file says is so now: a loss of power ends what was not to outlive it.

    Raises:
        FormatError: It can't be used.
    """
    body = _open(data, RESERVATIONS, volume, path)
    try:
        now = Registrations(
            keys={from_text(one): int(key, 16) for one, key in body["registrations"]},
            holder=None if body["holder"] is None else from_text(body["holder"]),
            kind=int(body["type"]),
            generation=int(body["generation"]),
            outlives_power=body["outlives_power"] is True,
            is_in_doubt=body["in_doubt"] is True,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"lacks what it should hold: {error!r}", path=path) from error
    is_held = now.holder in now.keys and now.kind in TYPES
    if not is_held and (now.holder is not None or now.kind):
        raise FormatError("has a reservation that nobody registered holds", path=path)
    if body["boot_id"] != boot_id and not (now.outlives_power or now.is_in_doubt):
        return Registrations()
    return now


def sessions_header(volume: str) -> bytes:
    """Return how the file `sessions` begins; slots follow."""
    return seal(_FAMILY, SESSIONS, VERSION, {"volume": volume})


def session_slot(initiator: bytes) -> bytes:
    """Return the slot of an initiator port. A name that no slot holds stands for everyone."""
    name = to_text(initiator).encode()
    if len(name) > _NAME_BYTES or initiator != from_text(name.decode()):
        name = EVERYONE
    return b"%08x %s\n" % (crc32c(name), name.ljust(_NAME_BYTES))


def decode_sessions(data: bytes, volume: str, path: Path) -> frozenset[bytes] | None:
    """Return who has to hear of a restart; None: everyone.

    Raises:
        FormatError: It can't be used.
    """
    header = sessions_header(volume)
    if not data.startswith(header):
        _open(data[: len(header)], SESSIONS, volume, path)
    slots = data[len(header) :]
    if len(slots) % SLOT_BYTES:
        raise FormatError("is cut short", path=path)
    found: set[bytes] = set()
    for at in range(0, len(slots), SLOT_BYTES):
        slot = slots[at : at + SLOT_BYTES]
        if slot == FREE_SLOT:
            continue
        name = slot[9:-1].rstrip(b" ")
        if slot != b"%08x %s\n" % (crc32c(name), name.ljust(_NAME_BYTES)):
            raise FormatError("is damaged: the checksum of a slot does not match", path=path)
        if name == EVERYONE:
            return None
        try:
            found.add(from_text(name.decode()))
        except ValueError as error:
            raise FormatError(f"lacks what it should hold: {error}", path=path) from error
    return frozenset(found)
