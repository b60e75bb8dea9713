"""docs/reference/states.md: the words for how a volume is."""

from __future__ import annotations

from tierce.cli.output import EXIT_UNHEALTHY
from tierce.cli.reference.markdown import page, table
from tierce.health import Health

_INTRODUCTION = f"""\
`tierce volume list`, `tierce volume show` and the live line of `tierce serve` begin with one of
these words, a volume's *health*; beside it stands since when this server has seen it so, why, and
what to do.

`tierce volume list --check` ends with {EXIT_UNHEALTHY} if a volume that the config file or the
state wants served is anything but healthy; one that was taken out of the file and not deleted does
not count. Each change is an event `volume.health` in the log."""

_STATE = """\
Beside the health stands the *state*: what the volume's target process does (`starting`, `up`,
`closing`, `down`) and, after a comma, what its engine calls its own state."""


def states_page() -> str:
    """Return the page."""
    rows = [(f"`{one.value}`", one.meaning, one.todo or "nothing") for one in Health]
    return page(
        "States", _INTRODUCTION, table(("health", "what it means", "what to do"), rows), _STATE
    )
