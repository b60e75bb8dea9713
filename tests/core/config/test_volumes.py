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


def test_labels_go_to_json_and_come_back_and_mean_nothing_to_core(registry: Registry) -> None:
    labels = {"team": "billing", "app.kubernetes.io/name": "orders, new", "tier": ""}
    volume = make(registry, MAPPING | {"labels": labels})
    assert volume.labels == labels
    assert make(registry, json.loads(json.dumps(volume_to_mapping(volume)))) == volume
    assert "labels" not in volume_to_mapping(make(registry, MAPPING)), "older state stays equal"
    assert volume.source is None


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"a b": "x"}, r"volumes\.demo\.labels: a label's name is 1 to 63 .*got 'a b'"),
        ({"-a": "x"}, "a letter or digit first and last"),
        ({"a" * 64: "x"}, "1 to 63"),
        ({"a": "x" * 64}, r"volumes\.demo\.labels\.a: expected at most 63 printable"),
        ({"a": "x\ny"}, "printable"),
        ({"a": 5}, "expected text"),
        ({f"l{number}": "x" for number in range(17)}, "17 labels, at most 16 are allowed"),
    ],
)
def test_labels_that_nobody_could_show_are_refused(
    registry: Registry, labels: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        make(registry, MAPPING | {"labels": labels})
