"""What is to be done with a volume that the file names."""

from __future__ import annotations

from functools import partial

import attrs
import pytest

from core.in_place import create
from core.scenes import Scene, volume
from tierce import ConflictError, TemporaryError
from tierce.config import load_config
from tierce.inventory.deciding import Foreseen, Step, decide, foresee, lacking
from tierce.inventory.engines import Engines
from tierce.inventory.errands import run_here
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.node.carrying_out import carry_out
from tierce.state import Phase


def step(scene: Scene, phase: Phase | None, *, refused: Exception | None = None) -> Step:
    """Decide about the volume of the file, whose record has come to this phase."""
    inventory = scene.start()
    config = inventory.config
    record = attrs.evolve(inventory.find("demo"), phase=phase) if phase is not None else None
    deciding = decide(config, engines(inventory), config.volumes[0], record, refused)
    return run_here(deciding, partial(carry_out, scene.registry))


def engines(inventory: VolumeInventory) -> Engines:
    return inventory._engines


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (None, Step.MAKE),
        (Phase.CREATING, Step.RESUME),
        (Phase.READY, Step.SERVE),
        (Phase.DELETING, Step.TAKE_BACK),
    ],
)
def test_each_phase_has_its_step(scene: Scene, phase: Phase | None, expected: Step) -> None:
    scene.write(volume())
    assert step(scene, phase) is expected


@pytest.mark.parametrize("phase", [Phase.EMPTYING, Phase.CLEARING])
def test_bytes_that_are_gone_are_not_taken_back(scene: Scene, phase: Phase) -> None:
    scene.write(volume())
    with pytest.raises(TemporaryError, match=r"names it, but it is being deleted and bytes"):
        step(scene, phase)


def test_what_was_found_wrong_before_is_raised_first(scene: Scene) -> None:
    scene.write(volume())
    with pytest.raises(ConflictError, match="its port"):
        step(scene, None, refused=ConflictError("its port"))


def predict(scene: Scene, inventory: VolumeInventory) -> Foreseen:
    config = load_config(scene.file, scene.registry, is_lenient=True)
    records = inventory.records()
    foreseeing = foresee(config, engines(inventory), records, inventory.served, {})
    return run_here(foreseeing, partial(carry_out, scene.registry))


def test_what_would_be_made_served_or_refused_is_foreseen_and_nothing_is_done(
    scene: Scene,
) -> None:
    scene.write(volume("demo"), volume("other"))
    inventory = scene.start()
    before = dict(inventory.served)
    scene.write(volume("demo", folder="./elsewhere"), volume("new"))
    found = predict(scene, inventory)
    assert found.made == {"new"}
    assert set(found.served) == {"demo", "new"}
    # What is refused keeps what it has.
    assert "lies in" in found.refused["demo"]
    assert found.served["demo"] == before["demo"]
    assert dict(inventory.served) == before
    assert not (scene.folder / "new-folder").exists()


def test_a_volume_of_the_state_is_served_whatever_the_file_says(scene: Scene) -> None:
    scene.write()
    inventory = scene.start()
    create(inventory, volume("kept"), base=scene.folder)
    scene.write(volume("demo"))
    assert set(predict(scene, inventory).served) == {"demo", "kept"}


def test_what_a_volume_lacks_is_named(scene: Scene) -> None:
    scene.write(volume("demo"))
    config = scene.start().config
    (one,) = config.volumes
    assert lacking(config, one) == ""
    assert lacking(config, attrs.evolve(one, engine="gone")) == "the engine 'gone'"
    other = attrs.evolve(one, filters=(("lost", None),))
    assert lacking(config, other) == "the filter 'lost'"
