"""What is done for a volume by a process of its own: what is asked, and what comes of it, as JSON
values.

A work is one call of an engine's lifecycle. It may take its time, hang, or end the process that
does it: all of that costs the volume that it is done for, and no other.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.block import Code, Status
from tierce.config import volume_to_mapping
from tierce.errors import (
    ConfigError,
    ConflictError,
    DeviceError,
    FormatError,
    PluginError,
    ProtocolError,
    TemporaryError,
    TierceError,
    UsageError,
    explain,
)
from tierce.process.local_volume import local_volume, volume_of, volume_values
from tierce.registry import Registry
from tierce.spec import Finding, LocalVolume, VolumeSpec

_ORIGIN = "what this process was given to do"
#: A stranger's message may be of any length; a control message may not.
_TEXT_COUNT_MAX = 8192


class Call(enum.Enum):
    """What is called: the lifecycle's method, with what core does before and after it."""

    CREATE = "create"
    DELETE = "delete"
    CHECK_CHANGE = "check_change"
    CONDEMN = "condemn"
    SPARE = "spare"
    EMPTY = "empty"
    TIDY = "tidy"
    ADOPT = "adopt"
    #: `adopt`, of a volume's own folders: whose they are that can't be made.
    IDENTIFY = "identify"
    LOSS = "loss"
    ACCEPT_LOSS = "accept_loss"
    CREATE_MEMBER = "create_member"
    DELETE_MEMBER = "delete_member"
    CONDEMN_MEMBER = "condemn_member"
    SPARE_MEMBER = "spare_member"
    EMPTY_MEMBER = "empty_member"
    TIDY_MEMBER = "tidy_member"
    ADOPT_MEMBER = "adopt_member"
    #: `adopt_member`, of a member's own folder, if anything is there.
    IDENTIFY_MEMBER = "identify_member"
    ADOPT_FOUND = "adopt_found"

    @property
    def method(self) -> str:
        """The method of the lifecycle."""
        return _METHODS.get(self, self).value


_METHODS = {Call.IDENTIFY: Call.ADOPT, Call.IDENTIFY_MEMBER: Call.ADOPT_MEMBER}


@attrs.frozen(kw_only=True)
class Work:
    """One work.

    Attributes:
        call: What is called.
        engine: The engine whose lifecycle it is.
        volume: The volume; None where folders are asked for one. What is done for a member has it
            without a folder of its own, which only this node knows of.
        member: The member that it is done for, by its name; empty for the volume as a whole.
        before: The volume as it is, or was last, served.
        folders: The folders that are asked for a volume.
        without: Names of the parts that are lost or damaged.
        keep: The part whose bytes are to count.
        findings: What was found in the folders that are asked for a volume.
    """

    call: Call
    engine: str
    volume: VolumeSpec | None = None
    member: str = ""
    before: LocalVolume | None = None
    folders: tuple[Path, ...] = ()
    without: tuple[str, ...] = ()
    keep: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def title(self) -> str:
        """Name it in a sentence: "create of the engine file", "create_member of the engine jiva for
        replica-1"."""
        what = f"{self.call.method} of the engine {self.engine}"
        return f"{what} for {self.member}" if self.member else what

    def to_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "call": self.call.value,
            "engine": self.engine,
            "volume": _volume_values(self.volume),
            "member": self.member,
            "before": _volume_values(self.before),
            "folders": [str(folder) for folder in self.folders],
            "without": list(self.without),
            "keep": self.keep,
            "findings": [[str(one.folder), dict(one.found)] for one in self.findings],
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any], registry: Registry) -> Work:
        """Make one from what `to_values` returned.

        Raises:
            ConfigError: A plugin takes no such options.
        """
        return cls(
            call=Call(values["call"]),
            engine=values["engine"],
            volume=_volume(values["volume"], registry),
            member=values["member"],
            before=_local(values["before"], registry),
            folders=tuple(Path(folder) for folder in values["folders"]),
            without=tuple(values["without"]),
            keep=values["keep"],
            findings=tuple(Finding(Path(folder), found) for folder, found in values["findings"]),
        )


def work_for(call: Call, volume: LocalVolume, **more: Any) -> Work:
    """Return a work for a volume as a whole."""
    return Work(call=call, engine=volume.engine, volume=volume, **more)


def member_work(call: Call, volume: VolumeSpec, member: str) -> Work:
    """Return a work for one member of a volume. It holds nothing that another node could not
    read: the volume's own folder on this one stays out of it."""
    if isinstance(volume, LocalVolume):
        volume = volume.anywhere()
    return Work(call=call, engine=volume.engine, volume=volume, member=member)


def _volume_values(volume: VolumeSpec | None) -> dict[str, Any] | None:
    return None if volume is None else volume_values(volume, volume_to_mapping(volume))


def _volume(values: Mapping[str, Any] | None, registry: Registry) -> VolumeSpec | None:
    return None if values is None else volume_of(values, registry, _ORIGIN)


def _local(values: Mapping[str, Any] | None, registry: Registry) -> LocalVolume | None:
    return None if values is None else local_volume(values, registry, _ORIGIN)


# -- what it failed by -----------------------------------------------------------------------------

_KINDS: Mapping[str, type[TierceError]] = {
    kind.__name__: kind
    for kind in (
        TierceError,
        UsageError,
        ConfigError,
        PluginError,
        ProtocolError,
        DeviceError,
        FormatError,
        TemporaryError,
        ConflictError,
    )
}


def failure_values(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON values. One of a class of a plugin's own travels as the class of ours
    that it is derived from, one that is none of ours as its words."""
    if isinstance(error, TierceError):
        kind = next(one for one in type(error).__mro__ if one.__name__ in _KINDS)
        return {"kind": kind.__name__, "text": str(error)[:_TEXT_COUNT_MAX], **_facts(error)}
    if isinstance(error, OSError):
        names = [error.filename, error.filename2]
        return {"kind": "OSError", "text": str(error.strerror or error), "number": error.errno} | {
            "files": [
                os.fsdecode(one) for one in names if isinstance(one, str | bytes | os.PathLike)
            ]
        }
    return {"kind": "TierceError", "text": explain(error)[:_TEXT_COUNT_MAX]}


def error_of(values: Mapping[str, Any]) -> Exception:
    """Return the error that `failure_values` made the values of."""
    if values["kind"] == "OSError":
        if values["number"] is None:
            return OSError(values["text"])
        first, second = [*values["files"], None, None][:2]
        return OSError(values["number"], values["text"], first, None, second)
    kind = _KINDS[values["kind"]]
    # Its text is whole already: to make it anew would name file or plugin twice.
    error = kind.__new__(kind, values["text"])
    known = {key: values[key] for key in values if key not in {"kind", "text", "path", "status"}}
    error.__dict__.update(known)
    if isinstance(error, FormatError):
        error.path = Path(values["path"])
    if isinstance(error, DeviceError):
        error.status = Status(Code(values["status"]), reason=values["text"])
    return error


def _facts(error: TierceError) -> dict[str, Any]:
    """Return what an error carries beside its text."""
    match error:
        case ConfigError():
            return {"file": error.file, "line": error.line}
        case PluginError():
            return {
                "why": error.why[:_TEXT_COUNT_MAX],
                "plugin": error.plugin,
                "package": error.package,
            }
        case FormatError():
            return {"path": str(error.path)}
        case TemporaryError():
            return {"delay_s": error.delay_s}
        case DeviceError():
            return {"status": error.status.code.value}
    return {}
