"""Options that change while what they are about runs, told apart from those that don't."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from core import scenes
from tierce import VolumeSpec
from tierce.config import volume_from_mapping, volume_to_mapping
from tierce.process.live_options import (
    fixed_volume,
    live_values,
    own_parts,
    parts_of,
    split,
    whole_volume,
    with_part,
)
from tierce.registry import Registry

SECTIONS = {"names": scenes.Section(), "live-names": scenes.LiveSection(depth=4)}
FILTERS = [{"name": "slow", "delay_ms": 7}, {"name": "slow"}]
SHORT: dict[str, Any] = {"frontend": "live-names"}
LIST: dict[str, Any] = {"exports": [{"frontend": "names", "access": "ro"}, SHORT]}


def make(exports: dict[str, Any]) -> VolumeSpec:
    registry = Registry.build([("tests", sys.modules[scenes.__name__], "")])
    mapping = {**scenes.volume(rate=3, tone="high", word="hush"), "filters": FILTERS}
    del mapping["frontend"]
    return volume_from_mapping(mapping | exports, registry, base=Path("/"), origin="test")


def test_an_option_class_is_split_into_what_needs_a_restart_and_what_is_told() -> None:
    fixed, live = split(scenes.FolderOptions("/a", rate=3))
    assert fixed == {"folder": "/a", "tone": "low", "word": None}
    assert live == {"rate": 3}


@pytest.mark.parametrize("exports", [SHORT, LIST], ids=["short", "list"])
def test_the_parts_of_a_target_are_named_as_the_file_names_their_options(
    exports: dict[str, Any],
) -> None:
    volume = make(exports)
    keys = [part.key for part in parts_of(volume, SECTIONS)]
    own = ["frontend_options"] if "frontend" in exports else []
    assert keys[:3] == ["options", "filters[0]", "filters[1]"]
    assert [key for key in keys[3:] if not key.startswith("frontends.")] == (
        own or ["exports[0].options", "exports[1].options"]
    )
    assert live_values(volume, SECTIONS) == {
        "options": {"of": "folder", "values": {"rate": 3}},
        "filters[0]": {"of": "slow", "values": {"delay_ms": 7}},
        "filters[1]": {"of": "slow", "values": {"delay_ms": 0}},
        "frontends.live-names": {
            "of": "live-names",
            "values": {"listen": ["127.0.0.1:0"], "depth": 4},
        },
    }


@pytest.mark.parametrize("exports", [SHORT, LIST], ids=["short", "list"])
def test_both_halves_of_a_volume_are_the_whole_again_and_neither_has_the_others(
    exports: dict[str, Any],
) -> None:
    volume = make(exports)
    fixed, live = fixed_volume(volume), live_values(volume, SECTIONS)
    assert "rate" not in json.dumps(fixed)
    assert "delay_ms" not in json.dumps(fixed)
    assert whole_volume(fixed, live) == volume_to_mapping(volume)
    # The fixed half is the caller's, and stays as it was.
    assert fixed == fixed_volume(volume)


def test_a_process_is_not_started_with_labels_so_that_another_one_restarts_nothing() -> None:
    volume = make(SHORT)
    assert fixed_volume(attrs.evolve(volume, labels={"team": "a"})) == fixed_volume(volume)


@pytest.mark.parametrize("exports", [SHORT, LIST], ids=["short", "list"])
def test_a_volume_takes_other_options_of_one_part_and_keeps_the_others(
    exports: dict[str, Any],
) -> None:
    volume = make(exports)
    for part in own_parts(volume):
        # Anything that can be told from what was there.
        made = with_part(volume, attrs.evolve(part, options="other"))
        changed = {one.key for one in own_parts(made) if one not in list(own_parts(volume))}
        assert changed == {part.key}
