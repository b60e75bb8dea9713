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
from tierce.process.local_volume import local_values, local_volume
from tierce.registry import Registry
from tierce.spec import LocalVolume

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

    @property
    def method(self) -> str:
        """The method of the lifecycle."""
        return Call.ADOPT.value if self is Call.IDENTIFY else self.value


@attrs.frozen(kw_only=True)
class Work:
    """One work.

    Attributes:
        call: What is called.
        engine: The engine whose lifecycle it is.
        volume: The volume; None where folders are asked for one.
        before: The volume as it is, or was last, served.
        folders: The folders that are asked for a volume.
        without: Names of the parts that are lost or damaged.
        keep: The part whose bytes are to count.
    """

    call: Call
    engine: str
    volume: LocalVolume | None = None
    before: LocalVolume | None = None
    folders: tuple[Path, ...] = ()
    without: tuple[str, ...] = ()
    keep: str = ""

    @property
    def title(self) -> str:
        """Name it in a sentence: "create of the engine jiva"."""
        return f"{self.call.method} of the engine {self.engine}"

    def to_values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "call": self.call.value,
            "engine": self.engine,
            "volume": _volume_values(self.volume),
            "before": _volume_values(self.before),
            "folders": [str(folder) for folder in self.folders],
            "without": list(self.without),
            "keep": self.keep,
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
            before=_volume(values["before"], registry),
            folders=tuple(Path(folder) for folder in values["folders"]),
            without=tuple(values["without"]),
            keep=values["keep"],
        )


def work_for(call: Call, volume: LocalVolume, **more: Any) -> Work:
    """Return a work for a volume."""
    return Work(call=call, engine=volume.engine, volume=volume, **more)


def _volume_values(volume: LocalVolume | None) -> dict[str, Any] | None:
    return None if volume is None else local_values(volume, volume_to_mapping(volume))


def _volume(values: Mapping[str, Any] | None, registry: Registry) -> LocalVolume | None:
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
