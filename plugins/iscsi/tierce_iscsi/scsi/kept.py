"""What is kept of a unit over a restart of its target, as bytes: two small sealed files.

A first line ``tierce-iscsi KIND 1 CRC32C`` (checksum in hex, of the rest), then one JSON object:

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

import json
from collections.abc import Iterable
from typing import Any

from crc32c import crc32c

from tierce_iscsi.scsi.registrations import TYPES, Registrations
from tierce_iscsi.scsi.transport import from_text, to_text

VERSION = 1
RESERVATIONS, SESSIONS = "reservations", "sessions"
_SEAL = "tierce-iscsi"
_VERSION_DIGITS_MAX = 9
#: 256 registrations take about 80 KiB, 1,024 sessions 260; more is damage.
KEPT_BYTES_MAX = 1 << 20


class KeptError(Exception):
    """What was kept can't be used; the message says why."""


class OtherVolumeError(KeptError):
    """It was kept of another volume."""


def _seal(kind: str, body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode() + b"\n"
    return f"{_SEAL} {kind} {VERSION} {crc32c(text):08x}\n".encode() + text


def _open(data: bytes, kind: str, volume: str) -> dict[str, Any]:
    line, _, text = data.partition(b"\n")
    words = line.decode("ascii", "replace").split(" ")
    is_ours = len(words) == 4 and words[:2] == [_SEAL, kind]
    if not is_ours or not words[2].isdecimal() or len(words[2]) > _VERSION_DIGITS_MAX:
        raise KeptError(f"it is no {kind} file")
    if words[2] != str(VERSION):
        raise KeptError(f"it has format {words[2]}, this version of Tierce reads {VERSION}")
    if words[3] != f"{crc32c(text):08x}":
        raise KeptError("it is damaged: its checksum does not match")
    try:
        body = json.loads(text)
    except ValueError as error:
        raise KeptError(f"it holds no JSON: {error}") from error
    if not isinstance(body, dict):
        raise KeptError("it holds JSON that is no object")
    if body.get("volume") != volume:
        raise OtherVolumeError(f"it is that of volume {body.get('volume')}, not of {volume}")
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
    return _seal(RESERVATIONS, body)


def decode_reservations(data: bytes, volume: str, boot_id: str) -> Registrations:
    """Return what such a file says is so now: a loss of power ends what was not to outlive it.

    Raises:
        KeptError: It can't be used.
    """
    body = _open(data, RESERVATIONS, volume)
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
        raise KeptError(f"it lacks what it should hold: {error!r}") from error
    is_held = now.holder in now.keys and now.kind in TYPES
    if not is_held and (now.holder is not None or now.kind):
        raise KeptError("its reservation is held by nobody who is registered")
    if body["boot_id"] != boot_id and not (now.outlives_power or now.is_in_doubt):
        return Registrations()
    return now


def encode_sessions(initiators: Iterable[bytes], volume: str) -> bytes:
    """Return the contents of the file `sessions`."""
    body = {"volume": volume, "initiators": [to_text(identity) for identity in initiators]}
    return _seal(SESSIONS, body)


def decode_sessions(data: bytes, volume: str) -> frozenset[bytes]:
    """Return who has to hear of a restart.

    Raises:
        KeptError: It can't be used.
    """
    body = _open(data, SESSIONS, volume)
    try:
        return frozenset(from_text(one) for one in body["initiators"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise KeptError(f"it lacks what it should hold: {error!r}") from error
