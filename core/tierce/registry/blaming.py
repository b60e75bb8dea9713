"""Whose mistake it is: what a plugin raises is told by the plugin's name, wherever core calls it
outside of the data path (that has `tierce.volume.blame`).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator

from tierce.errors import PluginError, TierceError, explain
from tierce.registry.registry import Registry


@contextlib.contextmanager
def blaming(registry: Registry, family: str, name: str, doing: str) -> Iterator[None]:
    """Let what a plugin's code raises in here name the plugin, what it brings, and what it was to
    do. An error that says what is wrong (a TierceError, an OSError) passes as it is, but for the
    name of who is to blame for a PluginError.

    Args:
        registry: The plugins.
        family: What the plugin brings: "engine", as messages call it.
        name: How that is called.
        doing: What it is called for: "create".

    Raises:
        PluginError: It raised anything else, SystemExit included.
    """
    try:
        yield
    except PluginError as error:
        raise mistake(registry, family, name, error.why) from error
    except (TierceError, OSError):
        raise
    except (Exception, SystemExit) as error:
        whose = culprit(registry, error)
        # A store, perhaps, that another plugin's replicator called.
        by = f" (raised by {whose})" if whose and whose != registry.origin(family, name) else ""
        why = f"it failed in {doing}: {explain(error)}{by}"
        raise mistake(registry, family, name, why) from error


def mistake(registry: Registry, family: str, name: str, why: str) -> PluginError:
    """Return the error that says what something that a plugin brings did wrong."""
    owner = registry.owner(family, name)
    what = f"{family} {name}: "
    text = why if why.startswith(what) else what + why
    return PluginError(text, plugin=owner.name, package=owner.package)


def is_promise(answer: object) -> bool:
    """True of what an `async def` returns: it has done nothing yet, and nobody awaits it."""
    if inspect.iscoroutine(answer):
        answer.close()
        return True
    return inspect.isawaitable(answer)


def culprit(registry: Registry, error: BaseException) -> str:
    """Return whose code raised an error, as messages name it: the plugin that is innermost on its
    traceback; empty if the error says so itself, or none is on it."""
    if isinstance(error, PluginError):
        return ""
    found = ""
    modules = {name: one.origin for name, one in registry.modules()}
    trace = error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        found = modules.get(module.partition(".")[0], found)
        trace = trace.tb_next
    return found
