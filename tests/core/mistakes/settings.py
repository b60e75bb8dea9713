"""What is told of a policy that sets what can't be set."""

from __future__ import annotations

import json

from core.mistakes.trial import GOOD_ONE, Trial
from core.scenes import InPlace
from tierce.config import load_config
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.process.paths import Paths
from tierce.server.policy_settings import PolicySettings
from tierce.state.store import StateStore


def setting_told(trial: Trial, mistake: str) -> str:
    """Return what is told when a document is evaluated by the mistaken handler."""
    paths = Paths(trial.folder / "data")
    paths.make()
    trial.evaluate(mistake)
    policies = [{"kind": "mistaken", "name": "nightly", "parameters": {"mistake": mistake}}]
    volumes = [trial.mapping(), GOOD_ONE]
    file = trial.folder / "tierce.yaml"
    file.write_text(json.dumps({"data_dir": "./data", "volumes": volumes, "policies": policies}))
    inventory = VolumeInventory(
        paths, StateStore(paths.state), trial.events.append, InPlace(trial.registry)
    )
    inventory.apply(load_config(file, trial.registry))
    settings = PolicySettings(paths, trial.events.append)
    settings.use(inventory)
    assert settings.in_force.volumes == {}
    return trial.last()
