"""Plugins that take every kind of option, for tests of the config file."""

# ruff: noqa: RUF009 - `option` declares a field, it is no default value

from __future__ import annotations

import enum
import errno
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tierce import (
    EngineDescription,
    FilterDescription,
    FrontendDescription,
    NoOptions,
    PolicyHandlerDescription,
    Scope,
    ServiceDescription,
    hookimpl,
    option,
)
from tierce.config import Config, config_from_bytes
from tierce.registry import Registry


class Mode(enum.Enum):
    FAST = "fast"
    SAFE = "safe"


@attrs.frozen
class Disk:
    path: str = option(doc="Where it is.", unit="path")
    weight: int = option(doc="Its share.", default=1, minimum=1, maximum=10)


@attrs.frozen
class Everything:
    """One option of every kind."""

    needed: str = option(doc="A text that must be there.")
    switch: bool = option(doc="A switch.", default=False)
    count: int = option(doc="A count.", default=3, minimum=1, maximum=9)
    share: float = option(doc="A share.", default=0.5, minimum=0, maximum=1)
    mode: Mode = option(doc="A mode.", default=Mode.SAFE)
    level: str = option(doc="A level.", default="low", choices=("low", "high"))
    cache: int = option(doc="A size.", default=4096, unit="bytes")
    patience: float = option(doc="A duration.", default=1.5, unit="seconds")
    folder: str = option(doc="A path.", default="here", unit="path")
    peer: str | None = option(doc="An address.", default=None, unit="address")
    password: str | None = option(doc="A secret.", default=None, secret=True)
    disk: Disk | None = option(doc="A disk.", default=None)
    disks: tuple[Disk, ...] = option(doc="Disks.", default=())
    labels: dict[str, str] = option(doc="Labels.", factory=dict)

    def check(self) -> str | None:
        """Two options that don't go together."""
        return "fast mode takes no disks" if self.mode is Mode.FAST and self.disks else None

    def advice(self) -> str | None:
        """One that works, and yet."""
        return "one disk is lost at once" if len(self.disks) == 1 else None


@attrs.frozen
class Wire:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",), unit="address")


@attrs.frozen
class WireVolume:
    target: str | None = option(doc="Its name.", default=None)


@attrs.frozen
class Needy:
    banner: str = option(doc="Must be there.")
    listen: tuple[str, ...] = option(doc="Where.", default=(), unit="address")


def identity(_options: Wire, name: str, volume: WireVolume) -> str:
    return volume.target or f"target-{name}"


def broken_identity(_options: Any, _name: str, _volume: Any) -> str:
    raise OSError(errno.EIO, "Input/output error", "no names")


def _frontend(name: str, options: type[Any], identity_name: str) -> FrontendDescription:
    return FrontendDescription(
        name=name,
        summary="A wire.",
        factory="tierce_config_example:Frontend",
        router="tierce_config_example:Greeter",
        usage="tierce_config_example:usage",
        identity=f"tierce_config_example:{identity_name}",
        options=options,
        volume_options=WireVolume,
        contract=2,
    )


class Plugin:
    """Brings one thing of every family that the config names."""

    @hookimpl
    def tierce_engines(self) -> Iterable[EngineDescription]:
        return [
            EngineDescription(
                name="memory", summary="In memory.", factory="example:Memory", contract=2
            ),
            EngineDescription(
                name="all",
                summary="Takes everything.",
                factory="example:All",
                options=Everything,
                contract=2,
            ),
        ]

    @hookimpl
    def tierce_frontends(self) -> Iterable[FrontendDescription]:
        return [
            _frontend("wire", Wire, "identity"),
            _frontend("needy", Needy, "identity"),
            _frontend("broken", Wire, "broken_identity"),
            _frontend("missing", Wire, "nowhere"),
        ]

    @hookimpl
    def tierce_filters(self) -> Iterable[FilterDescription]:
        return [
            FilterDescription(
                name="slow",
                summary="Slows.",
                factory="example:slow",
                operations=frozenset({"READ", "WRITE", "FLUSH"}),
                options=Disk,
                contract=2,
            ),
            FilterDescription(
                name="trace",
                summary="Traces.",
                factory="example:trace",
                operations=frozenset({"READ", "WRITE", "FLUSH"}),
                contract=2,
            ),
        ]

    @hookimpl
    def tierce_services(self) -> Iterable[ServiceDescription]:
        return [
            ServiceDescription(
                name="scrape",
                summary="Shows.",
                factory="example:Scrape",
                options=Wire,
                contract=2,
            ),
            ServiceDescription(
                name="guard",
                summary="One a volume.",
                factory="example:Guard",
                options=Disk,
                scope=Scope.VOLUME,
                contract=2,
            ),
            ServiceDescription(
                name="shards",
                summary="One a pool.",
                factory="example:Shards",
                scope=Scope.POOL,
                contract=2,
            ),
        ]

    @hookimpl
    def tierce_policy_handlers(self) -> Iterable[PolicyHandlerDescription]:
        return [
            PolicyHandlerDescription(
                kind="rest", summary="Rests.", factory="example:rest", options=NoOptions, contract=2
            ),
            PolicyHandlerDescription(
                kind="grow", summary="Grows.", factory="example:grow", options=Disk, contract=2
            ),
        ]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    module = types.ModuleType("tierce_config_example")
    module.__dict__.update(identity=identity, broken_identity=broken_identity)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    registry = Registry.build([("example", Plugin(), "example-package")])
    assert [one.reason for one in registry.plugins] == [""]
    return registry


@pytest.fixture
def load(registry: Registry) -> Callable[[str], Config]:
    """Load a text as the config file /etc/tierce.yaml."""
    return lambda text: config_from_bytes(text.encode(), Path("/etc/tierce.yaml"), registry)
