"""All plants, by name."""

from __future__ import annotations

from jiva.plants import flushes, marks, membership, openings, reads, rebuilds, writes
from jiva.plants.plant import Plant

PLANTS: dict[str, Plant] = {
    plant.name: plant
    for area in (membership, openings, marks, writes, reads, flushes, rebuilds)
    for plant in area.PLANTS
}
