"""docs/reference/calls.md: every class that an author derives from or is given, call by call."""

from __future__ import annotations

from typing import Any

import attrs

import tierce
from tierce.cli.reference.calls import BLOCKING, THREADS, calls_of, calls_table, without_promises
from tierce.cli.reference.markdown import attributes_table, page, prose, table

_INTRODUCTION = """\
What core calls of a plugin and what a plugin may call of core, in the order of life: on which
thread, whether it may wait, what becomes of the rest when it fails, and since which version of the
contract. What the hooks describe, and when they are called: [hooks](hooks.md). How to write each
part: [the how-to](../howto/write-a-plugin.md). What a user reads of a failure, word for word:
[mistakes of plugins](plugin-mistakes.md).

A failure is an exception, `SystemExit` included."""


@attrs.frozen
class Chapter:
    """One part that a plugin may bring, or what all parts may use.

    Attributes:
        title: Its heading.
        text: What is to be known before.
        kinds: The classes, in the order in which an author meets them.
    """

    title: str
    text: str
    kinds: tuple[type[Any], ...]


CHAPTERS = (
    Chapter(
        "A volume on disk",
        "An engine that makes something on disk names a class derived from `tierce.Lifecycle`; one "
        "whose volumes have members, from `tierce.MemberLifecycle`.",
        (tierce.Lifecycle, tierce.MemberLifecycle, tierce.Finding),
    ),
    Chapter(
        "An engine",
        "It is made of an `OpenContext` in the volume's target: on the simple level, one call for "
        "one extent, or with batches.",
        (tierce.OpenContext, tierce.SimpleDevice, tierce.SimpleExtras, tierce.BaseDevice),
    ),
    Chapter(
        "A filter",
        "It is made of an `OpenContext` with its own options and of the device below it, from the "
        "engine up.",
        (tierce.Filter, tierce.SimpleFilter, tierce.Below),
    ),
    Chapter(
        "A replicator's member",
        "A replicator is an engine with batches whose lifecycle names members: each is made of a "
        "`MemberContext` in a process of its own.",
        (tierce.MemberContext, tierce.Member),
    ),
    Chapter(
        "A store",
        "It keeps the bytes of one member, in that member's process.",
        (
            *(tierce.StoreContext, tierce.StoreOpenContext),
            *(tierce.Store, tierce.Opening, tierce.RecordPlace),
        ),
    ),
    Chapter(
        "A front end",
        "Its part in the target is made of a `FrontendContext`, once the pipeline is open; its "
        "router, in the portal, for each new connection.",
        (tierce.FrontendContext, tierce.Frontend, tierce.ConnectionRouter),
    ),
    Chapter(
        "What runs and is managed",
        "An engine, a filter, a front end, a member or a service may have these too.",
        (tierce.Managed, tierce.Reconfigured, tierce.Job),
    ),
    Chapter(
        "A service",
        "It is made of a `ServiceContext` in a process of its own.",
        (tierce.ServiceContext, tierce.Service),
    ),
    Chapter("A policy handler", "A function.", (tierce.PolicyHandler,)),
    Chapter(
        "How things are",
        "What `publish` of the contexts takes, and services read as `Published`.",
        (
            *(tierce.VolumeStatus, tierce.MemberStatus),
            *(tierce.FrontendStatus, tierce.SessionStatus, tierce.Published),
        ),
    ),
    Chapter(
        "What core gives to all",
        "Values and functions of `tierce` that are not here are plain: they may be used on any "
        "thread, and raise what their docstrings say.",
        (
            *(tierce.Reactor, tierce.Timer, tierce.Lane, tierce.Stage, tierce.Tracer),
            *(tierce.Transport, tierce.Acceptor, tierce.ExtentLock),
        ),
    ),
)


def calls_page() -> str:
    """Return the page."""
    words = (
        "## The words\n\n"
        + table(("thread", "which it is"), ((f"`{one}`", what) for one, what in THREADS.items()))
        + "\n\n"
        + table(("blocking", "what it means"), ((f"`{one}`", s) for one, s in BLOCKING.items()))
    )
    chapters = (
        "\n\n".join([f"## {one.title}", one.text, *(_about(kind) for kind in one.kinds)])
        for one in CHAPTERS
    )
    return page("Calls and contexts", _INTRODUCTION, words, *chapters)


def _about(kind: type[Any]) -> str:
    """Return what is said of a class: its text, what it holds, its calls."""
    said = prose(without_promises(kind.__doc__))
    text = said.partition("\nAttributes:\n")[0].partition("\nArgs:\n")[0].rstrip()
    calls = list(calls_of(kind))
    table_of_calls = calls_table(calls) if calls else ""
    parts = (f"### {kind.__name__}", text, attributes_table(said), table_of_calls)
    return "\n\n".join(filter(None, parts))
