"""A policy that slows volumes down while it says so: it sets a live option of their filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

import tierce


@attrs.frozen
class CurfewOptions:
    """A policy document's `parameters:`."""

    delay_s: float = tierce.option(doc="How long requests are held back.", unit="seconds")
    label: str = tierce.option(doc="What it would like to call the filter, too.", default="")


@tierce.hookimpl
def tierce_policy_handlers() -> list[tierce.PolicyHandlerDescription]:
    """Name the kind of policy document."""
    return [
        tierce.PolicyHandlerDescription(
            kind="curfew",
            summary="Slows volumes down that have the filter `pace`.",
            factory="tierce_curfew:evaluate",
            options=CurfewOptions,
            contract=2,
        )
    ]


def evaluate(policy: tierce.Policy, volumes: Mapping[str, Any], now: float) -> tierce.Evaluation:
    """Set what the document says of each filter `pace`."""
    wanted: dict[str, Any] = {"delay_s": policy.parameters.delay_s}
    if policy.parameters.label:
        wanted["label"] = policy.parameters.label
    settings = {
        name: {
            f"filters[{index}]": wanted
            for index, one in enumerate(volume["filters"])
            if one["name"] == "pace"
        }
        for name, volume in volumes.items()
    }
    return tierce.Evaluation(settings=settings)
