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
    #: Being deleted: its folders may be gone in part.
    DELETING = "deleting"


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
    """

    name: str
    uuid: str
    created: float
    owner: Owner
    phase: Phase
    mapping: dict[str, Any]
    origin: str = ""
    fenced: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "uuid": self.uuid,
            "created": self.created,
            "owner": self.owner.value,
            "phase": self.phase.value,
            "mapping": self.mapping,
            "origin": self.origin,
            "fenced": self.fenced,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> VolumeRecord:
        """Make one from what `to_json` returned.

        Raises:
            ValueError: It is not such a thing.
        """
        try:
            return cls(
                name=str(values["name"]),
                uuid=str(values["uuid"]),
                created=float(values["created"]),
                owner=Owner(values["owner"]),
                phase=Phase(values["phase"]),
                mapping=dict(values["mapping"]),
                origin=str(values["origin"]),
                fenced=str(values["fenced"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"a volume record lacks {error}") from error
