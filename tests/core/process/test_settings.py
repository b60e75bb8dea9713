"""What processes are started with: there and back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from core import scenes
from tierce import ConfigError, LocalVolume, MemberSpec
from tierce.config import volume_from_mapping
from tierce.process.settings import TargetSettings
from tierce.registry import Registry

MEMBERS = (MemberSpec("one", Path("/a"), "127.0.0.1:0", {"x": [1]}), MemberSpec("two", Path("/b")))


@pytest.fixture
def registry() -> Registry:
    return Registry.build([("tests", sys.modules[scenes.__name__], "")])


def settings(registry: Registry) -> TargetSettings:
    mapping = {
        **scenes.volume(rate=3, word="hush"),
        "filters": [{"name": "slow", "delay_ms": 7}],
        "frontend": "live-names",
    }
    asked = volume_from_mapping(mapping, registry, base=Path("/"), origin="test")
    volume = LocalVolume.of(asked, Path("/srv/volumes/demo"), uuid="0f", created=5.5)
    return TargetSettings(volume, MEMBERS, {"live-names": scenes.LiveSection(depth=4)})


def travelled(values: Any) -> Any:
    return json.loads(json.dumps(values))


def test_a_target_gets_the_volume_that_the_supervisor_has(registry: Registry) -> None:
    sent = settings(registry)
    got = TargetSettings.from_values(
        travelled(sent.fixed_values()), travelled(sent.live_values()), registry
    )
    assert got == sent


def test_what_changes_live_is_no_part_of_what_a_restart_is_needed_for(registry: Registry) -> None:
    before = settings(registry)
    options = attrs.evolve(before.volume.engine_options, rate=9)
    volume = attrs.evolve(before.volume, engine_options=options)
    now = attrs.evolve(before, volume=volume)
    assert now.fixed_values() == before.fixed_values()
    assert now.live_values() != before.live_values()


def test_options_that_a_plugin_no_longer_takes_are_told_by_name(registry: Registry) -> None:
    sent = travelled(settings(registry).fixed_values())
    sent["volume"]["options"]["of_an_older_version"] = 1
    with pytest.raises(ConfigError, match=r"the plan of this process: .*'of_an_older_version'"):
        TargetSettings.from_values(sent, settings(registry).live_values(), registry)
