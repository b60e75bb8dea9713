"""`tierce events`: what has happened, and what happens."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tierce.cli.data_folder import find_data_dir, server_options
from tierce.cli.output import has_colour, output_option, show
from tierce.cli.quantities import duration_option
from tierce.errors import harmless

if TYPE_CHECKING:
    from tierce.cli.event_source import Event

#: So many are shown where nothing says how many.
COUNT = 100
_SEVERITIES = ("info", "warning", "error")
_COLOURS = {"warning": "yellow", "error": "red"}
_NO_SERVER = "no server runs: these are the events that the last one has left"


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--volume", metavar="NAME", default="", help="Only what is about this volume.")
@click.option(
    "--severity",
    type=click.Choice(_SEVERITIES),
    default="info",
    show_default=True,
    help="Only what matters at least as much.",
)
@duration_option("--since", help="Only what happened in the last 1h, 10min, 2d...")
@click.option(
    "--count",
    type=click.IntRange(min=0),
    default=COUNT,
    show_default=True,
    help="The last so many of them to begin with.",
)
@server_options
@output_option
def events(
    follow: bool,
    volume: str,
    severity: str,
    since: float | None,
    count: int,
    data_dir: Path | None,
    config: Path | None,
    output: str,
) -> None:
    """Show the events of the server: what has happened, the newest last.

    Works while no server runs too: the state keeps the last 10,000 (limits.event_count_max).
    With --follow it goes on over restarts of the server. What is missing among them, since it came
    too fast or the disk was full, is told on standard error.

    With --output json each event has: sequence (its number), time (RFC 3339, UTC), severity, code,
    subject, message, fields. With --follow each is one line of JSON, or one document of YAML.
    docs/reference/events.md has every code, and what to do.
    """
    # Loaded here, so that `tierce --help` stays quick.
    from tierce.cli.event_source import EventSource, following  # noqa: PLC0415

    source = EventSource(find_data_dir(data_dir, config))
    wanted = Wanted(volume, severity)
    begin = time.time() - since if since is not None else 0.0
    look = source.newest(count, wanted, begin)
    if not look.is_served:
        _note(_NO_SERVER)
    if look.missing:
        _note(f"{look.missing} events are missing among these")
    if not follow:
        _print_list([as_shown(event) for event in look.events], output)
        return
    for event in look.events:
        _print_one(event, output)
    for event in following(source, look, _note, time.sleep):
        if wanted(event):
            _print_one(event, output)


class Wanted:
    """Says which events are to be shown.

    Args:
        volume: Only those about this volume; empty for all.
        severity: Only those that matter at least as much.
    """

    def __init__(self, volume: str, severity: str) -> None:
        self._severities = _SEVERITIES[_SEVERITIES.index(severity) :]
        self._subjects = (
            f"volume/{volume}",
            f"process/target.{volume}",
            f"process/member.{volume}",
        )
        self._is_any = not volume

    def __call__(self, event: Event) -> bool:
        """Return True if it is."""
        if event["severity"] not in self._severities:
            return False
        subject = str(event["subject"])
        return self._is_any or any(
            subject == one or subject.startswith((f"{one}/", f"{one}.")) for one in self._subjects
        )


def as_shown(event: Event) -> dict[str, Any]:
    """Return an event as it is shown."""
    from tierce.process.telling import format_time  # noqa: PLC0415

    return {
        "sequence": event["sequence"],
        "time": format_time(round(event["time"] * 1000) * 1_000_000),
        **{key: event[key] for key in ("severity", "code", "subject", "message")},
        "fields": event.get("fields", {}),
    }


def line_of(event: dict[str, Any], *, is_coloured: bool) -> str:
    """Return an event as one line of text."""
    severity = f"{event['severity']:<7}"
    if is_coloured and event["severity"] in _COLOURS:
        severity = click.style(severity, fg=_COLOURS[event["severity"]])
    message = harmless(" ".join(str(event["message"]).split()))
    subject = harmless(event["subject"])
    return f"{event['time']} {severity} {event['code']} {subject}: {message}"


def _print_list(events: Iterable[dict[str, Any]], output: str) -> None:
    if output != "table":
        show(list(events), output)
        return
    for event in events:
        click.echo(line_of(event, is_coloured=has_colour(sys.stdout)))


def _print_one(event: Event, output: str) -> None:
    shown = as_shown(event)
    if output == "json":
        click.echo(json.dumps(shown, ensure_ascii=False))
    elif output == "yaml":
        click.echo("---")
        show(shown, output)
    else:
        click.echo(line_of(shown, is_coloured=has_colour(sys.stdout)))


def _note(text: str) -> None:
    print(f"tierce: {text}", file=sys.stderr, flush=True)
