"""What the state keeps of a volume."""

from __future__ import annotations

import enum
from typing import Any

import attrs


class Owner(enum.Enum):
    """Who decides about a volume."""

    #: The config file: editing it and reloading changes the volume; commands don't.
    FILE = "file"
    #: The state: made by command, changed by command.
    STATE = "state"


class Phase(enum.Enum):
    """How far a volume's making or unmaking has come: what a crash left is gone on with."""

    #: Meant, and perhaps half made: its folders may exist and carry its uuid.
    CREATING = "creating"
    READY = "ready"
    #: To be deleted; nothing of it is gone, so that it can be taken back.
    DELETING = "deleting"
    #: Everything of it says that it is deleted, and its bytes go.
    EMPTYING = "emptying"
    #: Its bytes are gone; what is left are the marks that said so.
    CLEARING = "clearing"

    @property
    def is_removal(self) -> bool:
        """True from the wish to delete it."""
        return self in (Phase.DELETING, Phase.EMPTYING, Phase.CLEARING)


@attrs.frozen
class VolumeRecord:
    """One volume as the state knows it.

    Attributes:
        name: Its name.
        uuid: Given at creation, 32 hex digits.
        created: Seconds since the epoch.
        owner: Who decides about it.
        phase: How far it has come.
        mapping: What `volumes:` of a config file would hold for it.
        origin: Where that came from: "tierce.yaml:12", "tierce volume create".
        fenced: Why it may not be served here, empty if it may.
        without: Parts of it that its deletion leaves alone because they are lost or damaged.
    """

    name: str
    uuid: str
    created: float
    owner: Owner
    phase: Phase
    mapping: dict[str, Any]
    origin: str = ""
    fenced: str = ""
    without: tuple[str, ...] = ()
