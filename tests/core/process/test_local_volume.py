"""What a process is given of a volume: there and back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from core import scenes
from tierce import ConfigError, LocalVolume
from tierce.config import volume_from_mapping, volume_to_mapping
from tierce.process.local_volume import ROOT, local_volume, volume_values
from tierce.registry import Registry


@pytest.fixture
def registry() -> Registry:
    return Registry.build([("tests", sys.modules[scenes.__name__], "")])


@pytest.fixture
def volume(registry: Registry) -> LocalVolume:
    asked = volume_from_mapping(scenes.volume(rate=3), registry, base=ROOT, origin="test")
    return LocalVolume.of(asked, Path("/srv/volumes/demo"), uuid="0f", created=5.5)


def test_it_is_the_same_volume_there(registry: Registry, volume: LocalVolume) -> None:
    sent = json.loads(json.dumps(volume_values(volume, volume_to_mapping(volume))))
    assert local_volume(sent, registry, "test") == volume


def test_what_a_plugin_does_not_take_is_told_with_where_it_came_from(
    registry: Registry, volume: LocalVolume
) -> None:
    mapping = volume_to_mapping(volume)
    mapping["options"]["of_an_older_version"] = 1
    with pytest.raises(ConfigError, match=r"a work: .*'of_an_older_version'"):
        local_volume(volume_values(volume, mapping), registry, "a work")
