"""What a volume is, and what it is made of: the values that every package speaks of."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

#: Stands for the uuid of a volume that has not been made.
NO_UUID = "0" * 32


class Access(enum.Enum):
    """What may be done through an export. One export of a volume writes at most; any number read
    beside it."""

    RW = "rw"
    RO = "ro"


@attrs.frozen(kw_only=True)
class Export:
    """One way to a volume: a front end that serves it.

    Attributes:
        frontend: Name of the front end; unique among the exports of a volume.
        options: Instance of the front end's per-volume option class.
        access: What may be done through it.
    """

    frontend: str
    options: Any
    access: Access = Access.RW


class SourceKind(enum.Enum):
    """What a volume may begin as."""

    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"


@attrs.frozen(kw_only=True)
class VolumeSource:
    """What a volume begins as, in place of zeroes.

    Attributes:
        kind: What that is.
        name: Which: the volume's name, "VOLUME/SNAPSHOT", or where the backup lies.
    """

    kind: SourceKind
    name: str


@attrs.frozen
class VolumeSpec:
    """One volume: what the config file or a command asks for, the state keeps and a process serves,
    on whichever node. Immutable but for growth.

    Attributes:
        name: Its name: 1 to 63 of a-z, 0-9 and '-', starting with a letter.
        uuid: 128 random bits as 32 hex digits, given at creation; what folders and peers are
            checked against. Two volumes of one name in succession have different ones. `NO_UUID`
            before.
        size_bytes: Size in bytes, a multiple of `block_size`.
        block_size: Logical block in bytes: 512 or 4096.
        engine: Name of the engine.
        engine_options: Instance of the engine's own option class.
        exports: How it is served, one or more; the first is the one that is shown first.
        filters: (name, option instance) pairs, the one nearest the front end first.
        created: Seconds since the epoch.
        store_options: Instance of the option class of the engine's store; None without one.
        labels: What its users call it by; it means nothing to core. Known to the server, its
            services and policies. Not in a target or member, which a label doesn't concern: to
            change one reaches no process.
        source: What it began as; None, as it is now: no engine makes volumes of anything yet.
    """

    name: str
    uuid: str
    size_bytes: int
    block_size: int
    engine: str
    engine_options: Any
    exports: tuple[Export, ...]
    filters: tuple[tuple[str, Any], ...] = ()
    created: float = 0.0
    store_options: Any = None
    labels: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    source: VolumeSource | None = None


@attrs.frozen
class LocalVolume(VolumeSpec):
    """A volume on this node: what it is, and where it has room of its own here.

    Attributes:
        folder: The volume's own folder under the data folder, for what has no other place. It is
            there when the volume is made.
    """

    folder: Path = attrs.field(kw_only=True)

    @classmethod
    def of(cls, volume: VolumeSpec, folder: Path, **known: Any) -> LocalVolume:
        """Return a volume on this node.

        Args:
            volume: The volume.
            folder: Its own folder.
            known: What else this node knows of it: uuid, created.
        """
        fields = {one.name: getattr(volume, one.name) for one in attrs.fields(VolumeSpec)}
        return cls(**fields | known, folder=folder)

    def anywhere(self) -> VolumeSpec:
        """Return the volume without what only this node knows of."""
        return VolumeSpec(**{one.name: getattr(self, one.name) for one in attrs.fields(VolumeSpec)})

    def frontend_folder(self, frontend: str) -> Path:
        """Return where a front end keeps what is its own of this volume: what outlives the target,
        and its socket, if it listens at one. It need not be there."""
        return self.folder / f"frontend.{frontend}"


@attrs.frozen
class MemberSpec:
    """One process that a volume needs beside its target: a replica.

    Attributes:
        name: Unique in the volume, fit for a file name: "replica-1".
        folder: Where it keeps its bytes. It has one process at a time, held by a lock.
        address: Where it should listen, "HOST:PORT"; port 0 = any free one, which the member
            announces through `MemberContext.announce`.
        settings: What else the engine wants to tell its process; JSON values only.
    """

    name: str
    folder: Path
    address: str = "127.0.0.1:0"
    settings: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Finding:
    """What `adopt_member` has returned of one folder.

    Attributes:
        folder: The folder, as who wants the volume back has named it.
        found: What was found there: JSON values.
    """

    folder: Path
    found: Mapping[str, Any]


class Severity(enum.StrEnum):
    """How much an event matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen
class Event:
    """Something that an operator may want to know. Recorded in the state, the log and listeners.

    Attributes:
        code: Dotted, stable, declared (`tierce_events`): "jiva.replica.voted-out".
        message: One sentence: what happened, and what to do where there is something.
        subject: What it is about: "volume/demo", "volume/demo/replica-1".
        severity: How much it matters; its word will do.
        fields: JSON values. `trace_id` and `span_id`, in hexadecimal digits, say which I/O it is
            about, where it is about one that is traced: logs have them beside the other names.
            `took_ns`, where it tells the end of something, says how long that took, and
            `traceparent` which span, as W3C's header has it, it was done for: exporters make a
            span of such an event.
        time_ns: When it happened, in nanoseconds since the epoch. Filled in by `emit`, in the
            process in which it happened, if it is 0.
    """

    code: str
    message: str
    subject: str
    severity: Severity = attrs.field(default=Severity.INFO, converter=Severity)
    fields: dict[str, Any] = attrs.field(factory=dict)
    time_ns: int = attrs.field(default=0, eq=False)
