"""What is asked of an inventory, with its answer at once: for one whose works are done in place
(core.scenes.InPlace)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tierce.config import Config
from tierce.inventory.adoption import Adopted, Adoption
from tierce.inventory.deciding import Foreseen
from tierce.inventory.deleting import Outcome
from tierce.inventory.engines import Served
from tierce.inventory.errands import Done
from tierce.inventory.volume_inventory import VolumeInventory


def answer(ask: Callable[[Done], object]) -> Any:
    """Return what comes of it, or raise what it fails by."""
    told: list[tuple[Any, Exception | None]] = []
    ask(lambda result, error: told.append((result, error)))
    ((result, error),) = told
    if error is not None:
        raise error
    return result


def create(inventory: VolumeInventory, mapping: Mapping[str, Any], *, base: Path) -> Served:
    volume = inventory.check_new(mapping, base=base)
    served: Served = answer(lambda done: inventory.create(volume, done))
    return served


def begin_delete(inventory: VolumeInventory, name: str, without: tuple[str, ...] = ()) -> None:
    inventory.begin_delete(name, without, lambda *_told: None)


def cancel_delete(inventory: VolumeInventory, name: str) -> None:
    answer(lambda done: inventory.cancel_delete(name, done))


def advance(inventory: VolumeInventory, name: str) -> Outcome:
    outcome: Outcome = answer(lambda done: inventory.advance(name, done))
    return outcome


def adopt(inventory: VolumeInventory, wanted: Adoption) -> Adopted:
    adopted: Adopted = answer(lambda done: inventory.adopt(wanted, done))
    return adopted


def loss(inventory: VolumeInventory, name: str, keep: str) -> str:
    said: str = answer(lambda done: inventory.loss(name, keep, done))
    return said


def foresee(
    inventory: VolumeInventory, config: Config, refused: Mapping[str, Exception]
) -> Foreseen:
    foreseen: Foreseen = answer(lambda done: inventory.foresee(config, refused, done))
    return foreseen
