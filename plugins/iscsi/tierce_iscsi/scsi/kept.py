"""What is kept of a unit over a restart of its target, as bytes: two small sealed files
(tierce.durable).

| file | key | value |
|---|---|---|
| both | volume | the volume's uuid: another volume's file is never taken for ours |
| reservations | boot_id | of the machine that wrote it: it changes when power was lost |
| | registrations | [initiator port, key as 16 hex digits] each |
| | holder, type | of the reservation; null and 0 if nothing is reserved |
| | generation | PRGENERATION |
| | outlives_power | APTPL of the last registration |
| | in_doubt | true if what was here before could not be read |
| sessions | initiators | the initiator ports that have to hear of a restart |
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tierce import FormatError, seal, unseal
from tierce_iscsi.scsi.registrations import TYPES, Registrations
from tierce_iscsi.scsi.transport import from_text, to_text

VERSION = 1
RESERVATIONS, SESSIONS = "reservations", "sessions"
_FAMILY = "tierce-iscsi"


class OtherVolumeError(FormatError):
    """It was kept of another volume."""


def _open(data: bytes, kind: str, volume: str, path: Path) -> dict[str, Any]:
    body = unseal(data, _FAMILY, kind, VERSION, path=path)
    if not data.startswith(f"{_FAMILY} {kind} {VERSION} ".encode()):
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


def encode_sessions(initiators: Iterable[bytes], volume: str) -> bytes:
    """Return the contents of the file `sessions`."""
    body = {"volume": volume, "initiators": [to_text(identity) for identity in initiators]}
    return seal(_FAMILY, SESSIONS, VERSION, body)


def decode_sessions(data: bytes, volume: str, path: Path) -> frozenset[bytes]:
    """Return who has to hear of a restart.

    Raises:
        FormatError: It can't be used.
    """
    body = _open(data, SESSIONS, volume, path)
    try:
        return frozenset(from_text(one) for one in body["initiators"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"lacks what it should hold: {error!r}", path=path) from error
