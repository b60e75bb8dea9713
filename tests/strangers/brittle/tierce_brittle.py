"""Names what can't be imported: one module ends its process, another one raises."""

from __future__ import annotations

import tierce

_PASSES = frozenset({"READ", "WRITE", "FLUSH"})


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Name an engine whose module ends the process that imports it."""
    return [
        tierce.EngineDescription(
            name="brittle",
            summary="Is not to be had.",
            factory="tierce_brittle_ends:Engine",
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_filters() -> list[tierce.FilterDescription]:
    """Name a filter that works, and one whose module raises."""
    return [
        tierce.FilterDescription(
            name=name, summary="Over.", factory=factory, operations=_PASSES, contract=2
        )
        for name, factory in (
            ("sound", "tierce:Filter"),
            ("cracked", "tierce_brittle_raises:Filter"),
        )
    ]


@tierce.hookimpl
def tierce_services() -> list[tierce.ServiceDescription]:
    """Name a service whose module raises."""
    return [
        tierce.ServiceDescription(
            name="shaky",
            summary="Is not to be had.",
            factory="tierce_brittle_raises:Service",
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_policy_handlers() -> list[tierce.PolicyHandlerDescription]:
    """Name a handler whose module ends the process."""
    return [
        tierce.PolicyHandlerDescription(
            kind="frail",
            summary="Is not to be had.",
            factory="tierce_brittle_ends:evaluate",
            contract=2,
        )
    ]
