"""What commands show of a volume with a slow disk, for the documents: `python -m core.cli.screens`
writes it into them, from looks at volumes that are recorded here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from core.seeing.volumes import interval, operation, record
from tierce.cli.journal import as_text as journal_as_text
from tierce.cli.top import Frame, View, text_of
from tierce.cli.why import as_text
from tierce.seeing.interval import VolumeInterval
from tierce.seeing.top import STAGE_COLUMNS, VOLUME_COLUMNS
from tierce.seeing.why import decide
from tierce.services import Parked

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("howto/why-is-my-volume-slow.md", "howto/monitor.md")
#: 2026-11-25 12:00:00Z.
AT = 1_795_608_000.0
_BLOCK = re.compile(r"^```console\n\$ ([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def database() -> VolumeInterval:
    """A volume of which one replica's disk is slow to make writes durable."""
    members: dict[str, Any] = {}
    target: dict[str, Any] = {
        "volume": {
            "read": operation((11_900, 0.12), length=11_900 * 4096),
            "write": operation((7_900, 0.62), (300, 1.1), length=8_200 * 4096),
            "flush": operation((380, 19.9), (20, 71.0)),
        },
        "device": {
            "read": (11_900, 0.11),
            "write": [(7_900, 0.60), (300, 1.08)],
            "flush": [(380, 19.8), (20, 70.9)],
        },
    }
    for number, sync_ms, lasts in ((1, 0.3, 0), (2, 19.3, 400), (3, 0.4, 0)):
        late = (20, 70.4 if number == 2 else 0.4, lasts // 20)
        target[f"jiva.replica/replica-{number}"] = {
            "write": (8_200, 0.5 + number / 50, 8_200 // 3),
            "flush": [(380, sync_ms + 0.3, lasts - lasts // 20), late],
        }
        members[f"replica-{number}"] = {
            "replica.apply": {"write": (8_200, 0.05)},
            "replica.sync": {"flush": [(380, sync_ms), (20, 69.9 if number == 2 else 0.3)]},
        }
    parked = {"device": Parked(3, 0.012)}
    return interval(target, members, name="database", parked=parked)


def mail() -> VolumeInterval:
    """One that has little to do."""
    target: dict[str, Any] = {
        "volume": {"read": operation((400, 0.2), length=400 * 4096), "write": (120, 0.4)},
        "device": {"read": (400, 0.18), "write": (120, 0.38)},
    }
    return interval(target, name="mail")


def slow_records() -> list[Any]:
    found = []
    for number, took in enumerate((71.2, 70.8)):
        made = record(
            took,
            ("jiva.replica/replica-2", 0.1, took - 0.3),
            ("device", 0.0, took - 0.1),
            operation="flush",
        )
        start_ns = int(AT * 1e9) + number * 2_170_000_000
        found.append(attrs.evolve(made, offset=0, length=0, start_ns=start_ns))
    return found


def screens() -> Mapping[str, str]:
    """Return what each command shows."""
    frame = Frame((database(), mail()), 10.0, is_served=True, at=AT)
    one = attrs.evolve(frame, intervals=(database(),))
    p99 = [column.key for column in VOLUME_COLUMNS].index("p99_ns")
    pending = {
        "is_served": True,
        "trouble": "",
        "parked": {},
        "pending_count": 1,
        "pending": [
            {
                "operation": "write",
                "offset": 8192,
                "length": 4096,
                "age_s": 12.3,
                "stage": "device",
                "waits_for": ["replica-2", "replica-3"],
                "why": "",
            }
        ],
        "recent": slow_records(),
    }
    return {
        "tierce volume top": text_of(frame, View("", VOLUME_COLUMNS, p99)),
        "tierce volume top database": text_of(one, View("database", STAGE_COLUMNS, 0)),
        "tierce volume why database": as_text(decide(database(), slow_records())),
        "tierce volume why mail": as_text(decide(mail(), [])),
        "tierce volume journal database": journal_as_text(pending),
    }


def renewed(page: str) -> str:
    """Return a page with its blocks as the commands show them now."""
    shown = screens()

    def block(found: re.Match[str]) -> str:
        command = found[1]
        if command not in shown:
            return found[0]
        return f"```console\n$ {command}\n{shown[command]}```"

    return _BLOCK.sub(block, (DOCS / page).read_text(encoding="utf-8"))


if __name__ == "__main__":
    for name in PAGES:
        (DOCS / name).write_text(renewed(name), encoding="utf-8")
