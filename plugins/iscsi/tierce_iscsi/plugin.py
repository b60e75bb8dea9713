"""What this plugin brings: the iSCSI front end."""

from __future__ import annotations

from collections.abc import Iterable

from tierce import EventDescription, FrontendDescription, hookimpl
from tierce_iscsi.events import EVENTS
from tierce_iscsi.options import IscsiOptions, IscsiVolumeOptions


@hookimpl
def tierce_frontends() -> Iterable[FrontendDescription]:
    """Name the front end."""
    return (
        FrontendDescription(
            name="iscsi",
            summary="Serves volumes as iSCSI targets (RFC 7143), LUN 0 of each.",
            factory="tierce_iscsi.frontend:IscsiFrontend",
            router="tierce_iscsi.connection_router:IscsiConnectionRouter",
            usage="tierce_iscsi.options:usage",
            identity="tierce_iscsi.options:identity",
            advice="tierce_iscsi.options:advice",
            options=IscsiOptions,
            volume_options=IscsiVolumeOptions,
            counts=True,
            contract=2,
        ),
    )


@hookimpl
def tierce_events() -> tuple[EventDescription, ...]:
    """Name the events."""
    return EVENTS
