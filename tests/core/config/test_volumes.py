"""One volume from a command or the state, in the shape that the config file has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tierce import ConfigError, VolumeSpec
from tierce.config import volume_from_mapping, volume_to_mapping
from tierce.registry import Registry

MAPPING = {
    "name": "demo",
    "size": "1 MiB",
    "engine": "all",
    "options": {"needed": "x", "disks": [{"path": "a"}], "patience": "200 ms", "mode": "safe"},
    "frontend": "wire",
    "filters": [{"name": "slow", "path": "b", "weight": 3}, {"name": "trace"}],
}


def make(registry: Registry, mapping: dict[str, Any], base: str = "/base") -> VolumeSpec:
    return volume_from_mapping(mapping, registry, base=Path(base), origin="tierce volume create")


def test_a_volume_goes_to_json_and_comes_back_equal(registry: Registry) -> None:
    volume = make(registry, MAPPING)
    assert volume.engine_options.disks[0].path == "/base/a"
    mapping = json.loads(json.dumps(volume_to_mapping(volume)))
    assert make(registry, mapping, "/elsewhere") == volume


def test_an_error_names_the_origin(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"^tierce volume create: volumes\.demo\.size: .*big"):
        make(registry, MAPPING | {"size": "big"})


def test_a_volume_without_a_valid_name_is_called_volume(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"tierce volume create: volume\.name: expected 1 to 63"):
        make(registry, MAPPING | {"name": "Demo!"})


def test_secrets_are_hidden_on_request(registry: Registry) -> None:
    options = MAPPING["options"] | {"password": "hush"}  # type: ignore[operator]
    volume = make(registry, MAPPING | {"options": options})
    assert "hush" not in str(volume_to_mapping(volume, hide_secrets=True))
    assert "hush" in str(volume_to_mapping(volume))
