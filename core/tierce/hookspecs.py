"""Every hook that Tierce calls, in the order of a volume's life.

Hooks are called when a registry is built: by a command, by the server when it starts and whenever
it reads a config file (`tierce config diff` and a reload too), and by the fork server, whose
registry every data process is forked with. `tierce_event` is called at each event. None is called
per I/O.

A hook returns *descriptions*; what they describe is imported and started later, in the process that
it runs in. A hook that raises, or returns what it should not, disables its plugin and is reported
by `tierce plugin list`; it never stops another plugin.

A plugin is a module (or object) behind an entry point of group ``tierce.plugins``; it implements
any of these with ``@tierce.hookimpl``. A hook it does not implement is simply not asked. An
implementation may take fewer arguments than the spec. A function named ``tierce_...`` that is
not a hook here disables the plugin: it was written for another version, or misspelt.

Of each hook that says nothing else:

Thread: main thread, of each of these.
Blocking: no; it imports nothing heavy.
Failure: the plugin is left out, `tierce plugin explain` says why, and the others go on.
Since: contract 2.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from tierce.descriptions import (
    EngineDescription,
    EventDescription,
    FilterDescription,
    FrontendDescription,
    PolicyHandlerDescription,
    ReplicatorDescription,
    ServiceDescription,
    StoreDescription,
)
from tierce.spec import Event

PROJECT = "tierce"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


# -- engines: what keeps the bytes -----------------------------------------------------------------


@hookspec
def tierce_stores() -> Iterable[StoreDescription]:
    """Name the stores that this plugin brings."""
    raise NotImplementedError


@hookspec
def tierce_replicators() -> Iterable[ReplicatorDescription]:
    """Name the replicators that this plugin brings."""
    raise NotImplementedError


@hookspec
def tierce_engines() -> Iterable[EngineDescription]:
    """Name the engines that this plugin brings."""
    raise NotImplementedError


# -- the pipeline above an engine ------------------------------------------------------------------


@hookspec
def tierce_filters() -> Iterable[FilterDescription]:
    """Name the filters that this plugin brings."""
    raise NotImplementedError


@hookspec
def tierce_frontends() -> Iterable[FrontendDescription]:
    """Name the front ends that this plugin brings."""
    raise NotImplementedError


# -- what watches and steers -----------------------------------------------------------------------


@hookspec
def tierce_services() -> Iterable[ServiceDescription]:
    """Name the services that this plugin brings."""
    raise NotImplementedError


@hookspec
def tierce_policy_handlers() -> Iterable[PolicyHandlerDescription]:
    """Name the kinds of policy document that this plugin handles."""
    raise NotImplementedError


@hookspec
def tierce_events() -> Iterable[EventDescription]:
    """Name the events that this plugin emits."""
    raise NotImplementedError


@hookspec
def tierce_event(event: Event) -> None:
    """Hear of an event, in the server, after it was recorded, or could not be.

    Called for each event, in order, but for those that came too fast for the server, whose number
    is told (`serve.events-left-out`). What computes belongs into a service. The return value is
    ignored.

    Thread: own thread.
    Blocking: yes; one that is slow hears later, and beyond a thousand events that wait the next
        ones are left out, whose number is told (`plugin.listener-behind`).
    Failure: it is told (`plugin.listener-failed`), and it is not called again before the config
        file is read again.
    Since: contract 2.
    """
