"""What may change of a volume that there is, and what goes on by its old settings."""

from __future__ import annotations

from typing import Any

import pytest

from core.in_place import begin_delete
from core.scenes import Scene, volume
from tierce import ConfigError, UsageError
from tierce.config import load_config


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        (volume(size="2 MiB"), "size: it was created with 1 MiB, the file says 2 MiB"),
        ({**volume(), "block_size": 4096}, "created with 512, the file says 4096"),
        (
            {"name": "demo", "size": "1 MiB", "engine": "bare", "frontend": "names"},
            "created with folder, the file says bare",
        ),
        (volume(folder="./elsewhere"), "options: volume demo lies in "),
    ],
)
def test_what_can_not_change_is_refused_with_its_place(
    scene: Scene, changed: dict[str, Any], word: str
) -> None:
    scene.write(volume())
    inventory = scene.start()
    before = inventory.served["demo"]
    scene.reload(inventory, changed)
    assert inventory.served["demo"] == before
    assert scene.codes() == ["volume.created", "volume.refused"]
    # At the next start alike: it is served as it was made.
    inventory = scene.start()
    assert inventory.served["demo"] == before
    assert isinstance(inventory.errors["demo"], ConfigError)
    assert word in inventory.refused["demo"]
    assert "tierce.yaml:3" in inventory.refused["demo"]
    (told,) = scene.events
    assert told.message.endswith("; it is served with the settings that it had")
    assert not told.message.startswith("volume demo: ")


def test_old_settings_are_not_kept_under_a_name_that_another_volume_has_taken(
    scene: Scene,
) -> None:
    # The front ends of these tests name a volume by its letters.
    scene.write(volume("demo-1"))
    scene.start()
    moved = {**volume("demo-1", size="2 MiB"), "frontend": "live-names"}
    scene.write(volume("demo-2"), moved)
    inventory = scene.start()
    assert list(inventory.served) == ["demo-2"]
    assert "it was created with 1 MiB" in inventory.refused["demo-1"]


def test_a_secret_that_only_the_file_has_is_not_replaced_by_another(scene: Scene) -> None:
    scene.write(volume(word="open sesame"))
    scene.start()
    assert scene.store.volumes()["demo"].mapping["options"]["word"] == "***"
    scene.write(volume(word="open sesame", size="2 MiB"))
    inventory = scene.start()
    # Its old settings would hold stars: it is left out, and named.
    assert inventory.served == {}
    assert "it was created with 1 MiB" in inventory.refused["demo"]


def test_a_volume_that_was_found_wrong_before_keeps_its_settings(scene: Scene) -> None:
    scene.write(volume("demo"), volume("other"))
    before = scene.start().served["demo"]
    scene.write(volume("demo", tone="high"), volume("other", tone="high"))
    config = load_config(scene.file, scene.registry)
    inventory = scene.start_with(config, demo=UsageError("its folder is another's"))
    assert inventory.served["demo"] == before
    assert inventory.served["other"].volume.engine_options.tone == "high"
    assert inventory.unserved_why(before.record) == "its folder is another's"


@pytest.mark.parametrize(
    "wrong",
    [
        volume(tnoe="high"),
        {**volume(), "engine": "gone"},
        {**volume(), "size": "much"},
        {**volume(), "filters": [{"name": "gone"}]},
    ],
)
def test_a_volume_with_a_mistake_keeps_its_settings_at_reload_and_restart_and_no_other_down(
    scene: Scene, wrong: dict[str, Any]
) -> None:
    scene.write(volume())
    inventory = scene.start()
    before = inventory.served["demo"]
    scene.reload(inventory, wrong, volume("other"))
    assert inventory.served["demo"] == before
    assert "other" in inventory.served
    inventory = scene.start()
    assert inventory.served["demo"] == before
    assert "other" in inventory.served
    assert "tierce.yaml:3: volumes.demo" in inventory.refused["demo"]
    assert inventory.is_wanted(before.record)
    with pytest.raises(UsageError, match="belongs to"):
        begin_delete(inventory, "demo")
