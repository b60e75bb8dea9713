"""The config file as values: what `load_config` returns."""

# ruff: noqa: RUF009 - `option` declares a field, it is no default value

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.descriptions import Scope
from tierce.errors import ConfigError
from tierce.options import option
from tierce.registry import Registry
from tierce.spec import Access, VolumeSpec

#: The largest volume, in bytes: 1 PiB. Every count of bytes and blocks stays far below 2**63.
VOLUME_BYTES_MAX = 1 << 50
BLOCK_SIZES = (512, 4096)


@attrs.frozen
class Limits:
    """The section `limits:`, what a server as a whole may take."""

    restart_delay_s_max: float = option(
        default=30.0,
        unit="seconds",
        minimum=0.125,
        maximum=3600,
        doc="The longest pause before a process that died again and again is started once more; "
        "the first pause is 1/8 s, each next one twice as long.",
    )
    stop_timeout_s: float = option(
        default=10.0,
        unit="seconds",
        minimum=0.1,
        maximum=600,
        doc="How long a process may take to end orderly before it is killed.",
    )
    silence_told_s: float = option(
        default=10.0,
        unit="seconds",
        minimum=1,
        maximum=3600,
        doc="A process that leaves a question of the supervisor unanswered for so long is told of: "
        "it is stopped, or hangs.",
    )
    silence_killed_s: float = option(
        default=30.0,
        unit="seconds",
        minimum=2,
        maximum=86400,
        doc="One that goes on so is killed after as long, and started anew; one that has never "
        "answered is still starting, and is left alone.",
    )
    event_count_max: int = option(
        default=10_000,
        minimum=100,
        maximum=1_000_000,
        doc="How many events the state keeps; the oldest go first.",
    )

    def check(self) -> str | None:
        """Return what is wrong with the limits together, if anything is."""
        if self.silence_killed_s <= self.silence_told_s:
            return (
                f"silence_killed_s ({self.silence_killed_s:g} s) is not above silence_told_s "
                f"({self.silence_told_s:g} s): a process must be told of before it is killed"
            )
        return None


@attrs.frozen
class PluginsSection:
    """The section `plugins:`, which of the installed plugins are used."""

    enable: tuple[str, ...] | None = option(
        default=None, doc="The plugins to use; without it, every one that is installed."
    )
    disable: tuple[str, ...] = option(
        default=(), doc="Plugins to leave out all the same; not even imported."
    )


@attrs.frozen
class Selector:
    """Which volumes a policy document, or a service of volumes, is about."""

    volumes: tuple[str, ...] = option(default=(), doc="Their names; none named: every volume.")


@attrs.frozen(kw_only=True)
class PolicyShape:
    """One document under `policies:`."""

    kind: str = option(doc="Which policy handler takes it; see `tierce plugin list`.")
    name: str = option(doc="Its name, unique among the documents.")
    selector: Selector = option(factory=Selector, doc="Which volumes it is about.")
    parameters: Any = option(default=None, doc="What the handler wants to know: its own options.")


@attrs.frozen(kw_only=True)
class ExportShape:
    """One export under `exports:` of a volume."""

    frontend: str = option(doc="What serves it; see `tierce plugin list`. Once in a volume.")
    access: Access = option(
        default=Access.RW,
        doc="What may be done through it. One export of a volume writes at most; any number read.",
    )
    options: Any = option(
        default=None, doc="What the front end wants to know of this volume: its own options."
    )


@attrs.frozen(kw_only=True)
class VolumeShape:
    """One volume under `volumes:`; also what `tierce volume create` takes."""

    name: str = option(doc="Its name: 1 to 63 of a-z, 0-9 and '-', starting with a letter.")
    size: int = option(
        doc="Its size, a multiple of the block size.",
        unit="bytes",
        minimum=BLOCK_SIZES[0],
        maximum=VOLUME_BYTES_MAX,
    )
    block_size: int = option(
        default=512, unit="bytes", choices=BLOCK_SIZES, doc="Its logical block."
    )
    engine: str = option(doc="What keeps its bytes; see `tierce plugin list`.")
    options: Any = option(default=None, doc="What the engine wants to know: its own options.")
    store_options: Any = option(
        default=None,
        doc="What the engine's store wants to know: its own options. For engines that keep their "
        "replicas' bytes in a store.",
    )
    frontend: str | None = option(
        default=None,
        doc="What serves it to initiators; see `tierce plugin list`. The short form of `exports:` "
        "with one that writes.",
    )
    frontend_options: Any = option(
        default=None, doc="What the front end wants to know of this volume: its own options."
    )
    exports: tuple[Any, ...] = option(
        default=(),
        doc="How it is served, where that is by several front ends or for reading only, the one to "
        "show first first: each a mapping with `frontend`, `access` (rw or ro; rw without it; one "
        "writes at most) and the `options` of this volume for that front end.",
    )
    labels: dict[str, str] = option(
        factory=dict,
        doc="What you call it by, at most 16 words with a text each: `team: billing`. Shown by "
        "`tierce volume show`, and seen by services and policies; to change one restarts nothing.",
    )
    filters: tuple[Any, ...] = option(
        default=(),
        doc="Devices over the engine's, the one nearest the front end first: each a mapping with "
        "the filter's `name` and its own options.",
    )


@attrs.frozen
class FileShape:
    """The file as a whole."""

    data_dir: str = option(
        default="tierce-data",
        unit="folder",
        doc="The data folder: state, logs, and the volumes' own folders.",
    )
    plugins: PluginsSection = option(
        factory=PluginsSection, doc="Which of the installed plugins are used."
    )
    frontends: dict[str, Any] = option(
        factory=dict, doc="Options of front ends, by name; one that is absent has its defaults."
    )
    services: dict[str, Any] = option(
        factory=dict,
        doc="Services to run, by name, with their options; `{}` for none to set. One that runs for "
        "each volume may have a `selector`, as policies have, beside its options.",
    )
    exporters: dict[str, Any] = option(
        factory=dict, doc="Another name of `services:`; a service stands in one of the two."
    )
    policies: tuple[PolicyShape, ...] = option(
        default=(), doc="Policy documents: what should happen to which volumes."
    )
    limits: Limits = option(factory=Limits, doc="What the server as a whole may take.")
    volumes: tuple[VolumeShape, ...] = option(default=(), doc="The volumes that this file owns.")


@attrs.frozen
class ServiceSection:
    """A service to run.

    Attributes:
        options: Instance of its option class.
        scope: What there is one process of it for.
        volumes: Of one of a volume, the names of its volumes; empty for all that are served.
    """

    options: Any
    scope: Scope = Scope.NODE
    volumes: tuple[str, ...] = ()

    def is_for(self, volume: str) -> bool:
        """True if that volume has a process of it."""
        is_selected = not self.volumes or volume in self.volumes
        return self.scope is Scope.VOLUME and is_selected


@attrs.frozen
class PolicyDocument:
    """What should happen to which volumes.

    Attributes:
        kind: Name of the policy handler.
        name: Unique among the documents.
        volumes: Names of the volumes it is about; empty for all.
        parameters: Instance of the handler's option class.
    """

    kind: str
    name: str
    volumes: tuple[str, ...]
    parameters: Any


@attrs.frozen
class Config:
    """A whole config file, checked.

    Attributes:
        file: Its path as it was given.
        data_dir: The data folder, absolute.
        registry: The plugins that it enables.
        frontends: Option instance of every registered front end; its defaults where the file has
            no section for it (a front end that has none and is not named is not here).
        services: Each service to run, by name.
        policies: The policy documents.
        volumes: The volumes that the file owns.
        limits: The limits.
        origins: Where each value came from: "volumes.demo.size" -> "tierce.yaml:12", or
            "default". A volume itself is "volumes.demo".
        advice: What works, and yet the operator should know of: "FILE:LINE: sentence" each.
        refused: What is wrong with volumes that the file names and that are not in `volumes`, by
            name.
    """

    file: str
    data_dir: Path
    registry: Registry
    frontends: Mapping[str, Any]
    services: Mapping[str, ServiceSection]
    policies: tuple[PolicyDocument, ...]
    volumes: tuple[VolumeSpec, ...]
    limits: Limits
    origins: Mapping[str, str]
    advice: tuple[str, ...] = ()
    refused: Mapping[str, ConfigError] = attrs.field(factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The volumes that the file names."""
        return frozenset(self.refused) | {volume.name for volume in self.volumes}
