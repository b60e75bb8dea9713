"""docs/reference/services.md: every value that services see, field by field."""

from __future__ import annotations

from typing import Any

import attrs

import tierce
from tierce.cli.reference.markdown import attributes_of, page, prose, table

_INTRODUCTION = """\
What `statistics`, `events` and `traces` of a `ServiceContext` return ([what each call does, and
when it may wait](calls.md#a-service); [how to write a service](../howto/write-a-plugin.md)). All of
it is frozen, and a value of its own: nothing changes in it later.

`statistics()` reads the pages of targets and replicas, which are shared memory, and asks the server
for what only that knows. While no server runs the counters are there all the same; what is said to
be empty then is.

`events()` and `traces()` return what came since the last call, and how many of it can't be had any
more (`lost`). The place is kept in a file, over restarts of the service, of the server and of what
it watches: the first call of a new service returns nothing and begins there, and one that was
started anew gets again what it was given last. `wait(seconds)` returns at once when the service is
to stop.

What a volume and its members say of themselves, `published`, is [of other
types](calls.md#how-things-are)."""

#: What the three calls return, each before what it is made of.
CHAPTERS: tuple[tuple[str, tuple[type[Any], ...]], ...] = (
    (
        "statistics()",
        (
            *(tierce.VolumeStatistics, tierce.ProcessStatistics),
            *(tierce.OperationStatistics, tierce.Parked),
        ),
    ),
    ("events()", (tierce.Events, tierce.RecordedEvent, tierce.Event)),
    ("traces()", (tierce.Traces, tierce.TraceRecord, tierce.TracedStage)),
)


def services_page() -> str:
    """Return the page."""
    chapters = (
        "\n\n".join([f"## {call}", *(_about(kind) for kind in kinds)]) for call, kinds in CHAPTERS
    )
    return page("What services see", _INTRODUCTION, *chapters)


def _about(kind: type[Any]) -> str:
    """Return what is said of a class, and the table of its fields."""
    said = attributes_of(kind.__doc__)
    rows = [(f"`{one.name}`", f"`{one.type}`", said[one.name]) for one in attrs.fields(kind)]
    text = prose(kind.__doc__).partition("\nAttributes:\n")[0].rstrip()
    return f"### {kind.__name__}\n\n{text}\n\n" + table(("field", "type", "what it is"), rows)
