"""A policy that asks for an action every second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

import tierce


@attrs.frozen
class BeatOptions:
    """A policy document's `parameters:`."""

    every_s: float = tierce.option(doc="How often.", unit="seconds", default=1.0)
    how: str = tierce.option(doc="What it does instead of asking.", default="")


@tierce.hookimpl
def tierce_policy_handlers() -> list[tierce.PolicyHandlerDescription]:
    """Name the kind of policy document."""
    return [
        tierce.PolicyHandlerDescription(
            kind="beat",
            summary="Has snapshots made in a rhythm.",
            factory="tierce_metronome:evaluate",
            options=BeatOptions,
            contract=2,
        )
    ]


def evaluate(policy: tierce.Policy, volumes: Mapping[str, Any], now: float) -> tierce.Evaluation:
    """Have a snapshot now and the next one later; or be as a handler should not be."""
    if policy.parameters.how == "raise":
        raise RuntimeError("out of rhythm")
    while policy.parameters.how == "hang":
        pass
    snapshots = tuple(
        tierce.ActionCall(
            volume=name,
            part="engine",
            action="snapshot",
            arguments={"name": f"{policy.name}-{now:.1f}"},
        )
        for name in volumes
    )
    return tierce.Evaluation(actions=snapshots, next_at=now + policy.parameters.every_s)
