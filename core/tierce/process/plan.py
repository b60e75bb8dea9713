"""What a process is to be: the values that the supervisor plans with and processes start from."""

from __future__ import annotations

import enum
import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import attrs


class Role(enum.Enum):
    """What a process is for."""

    PORTAL = "portal"
    TARGET = "target"
    MEMBER = "member"
    SERVICE = "service"
    POLICIES = "policies"
    WORK = "work"
    #: By the name under which operators know its process, its lock and its log.
    FORK_SERVER = "template"

    @property
    def is_called_for(self) -> bool:
        """True of what runs while there is something for it to do, and ends by itself: its end is
        no failure, and it is neither wanted nor unwanted while it runs."""
        return self in (Role.POLICIES, Role.WORK)

    @property
    def rank(self) -> int:
        """The order of stopping: what accepts goes before what serves, that before what keeps."""
        return {Role.PORTAL: 0, Role.TARGET: 1, Role.MEMBER: 2}.get(self, 3)


#: How a process ends.
EXIT_ORDERLY = 0
EXIT_FAILED = 1
#: Another writer has the volume: it stays down.
EXIT_FENCED = 3
#: Another process of this name is alive.
EXIT_TAKEN = 4

#: The name of the process that the others are forked from.
FORK_SERVER = Role.FORK_SERVER.value


@attrs.frozen
class Plan:
    """One process that should run.

    Attributes:
        name: Its name (tierce.process.paths).
        role: What it is for.
        volume: The volume that it works for, empty if for all.
        settings: What it is started with; JSON values. A process that was started with other
            settings is replaced.
        live: What may change while it runs; JSON values. It is told, not replaced.
        is_volatile: What it holds would be lost with it: other settings wait for its next start.
    """

    name: str
    role: Role
    volume: str = ""
    settings: dict[str, Any] = attrs.field(factory=dict, hash=False)
    live: dict[str, Any] = attrs.field(factory=dict, hash=False)
    is_volatile: bool = False

    @functools.cached_property
    def digest(self) -> str:
        """Tells one plan from another."""
        text = json.dumps([self.name, self.role.value, self.volume, self.settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def fork_server_plan(
    plugins: tuple[str, ...], code: str, without: Iterable[tuple[str, str]] = ()
) -> Plan:
    """Return the plan of a fork server with these plugins, of that code (see `code_identity`),
    without some of the things that the plugins bring: their family and name."""
    settings: dict[str, Any] = {"plugins": sorted(plugins), "code": code}
    if left_out := sorted(f"{family}:{name}" for family, name in without):
        settings["without"] = left_out
    return Plan(FORK_SERVER, Role.FORK_SERVER, settings=settings)
