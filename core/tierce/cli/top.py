"""`tierce volume top`: what all volumes do now, over and over."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from tierce.cli.data_folder import find_data_dir, server_options
from tierce.cli.output import WIDTH_WITHOUT_TERMINAL, has_colour, output_option, show
from tierce.cli.quantities import duration_option

if TYPE_CHECKING:
    from tierce.cli.looking import Look, Looker
    from tierce.seeing.interval import VolumeInterval
    from tierce.seeing.top import Column

#: What `--sort` takes, each the key of a column.
SORT_KEYS = {
    "volume": "volume",
    "health": "health",
    "reads": "reads_per_s",
    "writes": "writes_per_s",
    "read-bytes": "read_bytes_per_s",
    "written-bytes": "written_bytes_per_s",
    "mean": "mean_ns",
    "p50": "p50_ns",
    "p99": "p99_ns",
    "in-flight": "in_flight",
    "oldest": "oldest_s",
    "dominant": "dominant",
}
_HELP_LINE = "< > sort by another column, r the other way, q quit"


@click.command()
@click.argument("name", required=False, default="")
@duration_option("--interval", default="1s", help="Look again after so long.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many looks.")
@click.option(
    "--sort",
    type=click.Choice(tuple(SORT_KEYS)),
    help="The column to sort by; with NAME: mean, p50 or p99.  [default: p99; with NAME as the I/O "
    "goes]",
)
@server_options
@output_option
def top(
    name: str,
    interval: float,
    count: int | None,
    sort: str | None,
    data_dir: Path | None,
    config: Path | None,
    output: str,
) -> None:
    r"""Show what all volumes do now: IOPS, bytes, latencies, what most of the time goes to.

    With NAME, what each stage and replica of that volume does. On a terminal it is shown over and
    over; elsewhere once, or --count times.

    \b
    <  >  sort by the column to the left, to the right
    r     sort the other way round
    q     quit

    R/s, W/s and B/s are per second; MEAN, P50 and P99 the latency that initiators saw since the
    look before. FLIGHT are the I/Os that are pending now, OLDEST is how long the oldest has been.
    LAST is how often a replica's answer was the last one, and so waited for.

    Costs the volumes nothing: it reads what is counted anyway, whether a server runs or not.

    With --output json: time, seconds, is_served, volumes (volume, health, reads_per_s,
    writes_per_s, read_bytes_per_s, written_bytes_per_s, mean_ns, p50_ns, p99_ns, in_flight,
    oldest_s, dominant); with NAME also stages (stage, operation, per_s, bytes_per_s, mean_ns,
    p50_ns, p99_ns, failed, last_share) and operations as `why` has them. With --count each look is
    one line of JSON.
    """
    # Loaded here, so that `tierce volume --help` stays quick.
    from tierce.cli.looking import Looker  # noqa: PLC0415

    if interval <= 0:
        raise click.BadParameter("expected more than 0 s", param_hint="--interval")
    looker = Looker(find_data_dir(data_dir, config), name)
    view = _view(name, sort)
    if output == "table" and sys.stdout.isatty():
        _run(looker, view, interval, count)
        return
    for frame in _frames(looker, interval, count or 1):
        _print(frame, view, output, is_single=count is None)


@attrs.frozen
class Frame:
    """What was seen between two looks.

    Attributes:
        intervals: What each volume did.
        seconds: How long that was.
        is_served: A server runs.
        at: When the second look was; seconds since the epoch.
    """

    intervals: tuple[VolumeInterval, ...]
    seconds: float
    is_served: bool
    at: float


@attrs.frozen
class View:
    """How it is shown.

    Attributes:
        name: The one volume; empty for all.
        columns: The columns.
        sort: The index of the one that is sorted by.
        is_reversed: From the other end.
    """

    name: str
    columns: tuple[Column, ...]
    sort: int
    is_reversed: bool = False

    def after(self, key: str) -> View:
        """Return how it is shown after a key was pressed."""
        step = {"<": -1, "left": -1, ">": 1, "right": 1}.get(key)
        if step is not None:
            return attrs.evolve(self, sort=(self.sort + step) % len(self.columns))
        return attrs.evolve(self, is_reversed=self.is_reversed != (key == "r"))


def _view(name: str, sort: str | None) -> View:
    from tierce.seeing.top import STAGE_COLUMNS, VOLUME_COLUMNS  # noqa: PLC0415

    columns = STAGE_COLUMNS if name else VOLUME_COLUMNS
    if sort is None and name:
        return View(name, columns, 0)
    keys, wanted = [column.key for column in columns], SORT_KEYS[sort or "p99"]
    if wanted not in keys:
        why = f"{sort!r} is of volumes; those of one volume are sorted by mean, p50 or p99"
        raise click.BadParameter(why, param_hint="--sort")
    return View(name, columns, keys.index(wanted))


def _frame(before: Look, after: Look) -> Frame:
    """Return what was seen between two looks."""
    from tierce.seeing.interval import between  # noqa: PLC0415

    seconds = after.at - before.at
    intervals = [
        between(before.volumes.get(name), one, seconds) for name, one in after.volumes.items()
    ]
    return Frame(tuple(intervals), seconds, after.is_served, time.time())


def _frames(looker: Looker, interval: float, count: int) -> Iterator[Frame]:
    before = looker.look()
    for _ in range(count):
        time.sleep(interval)
        after = looker.look()
        yield _frame(before, after)
        before = after


def _run(looker: Looker, view: View, interval: float, count: int | None) -> None:
    """Show it over and over, until somebody has seen enough."""
    from tierce.cli.screen import Screen  # noqa: PLC0415

    before = looker.look()
    frame = Frame((), 0.0, before.is_served, time.time())
    looks = 0
    with Screen() as screen:
        due = before.at + min(interval, 1.0)
        while count is None or looks < count:
            width, height = screen.size
            is_coloured = has_colour(sys.stdout)
            screen.draw(lines_of(frame, view, width, height, is_coloured=is_coloured))
            key = screen.key(max(due - time.monotonic(), 0.0))
            if key == "q":
                return
            if key:
                view = view.after(key)
                continue
            after = looker.look()
            frame = _frame(before, after)
            before, due, looks = after, after.at + interval, looks + 1


def lines_of(frame: Frame, view: View, width: int, height: int, *, is_coloured: bool) -> list[str]:
    """Return what a terminal of this size shows."""
    from tierce.seeing.top import is_trouble, table  # noqa: PLC0415

    chosen = view.columns[view.sort]
    rows = _rows(frame, view)
    body = table(rows, view.columns, width, always=chosen.key)
    tail = [line[:width] for line in _tail(frame, view)]
    room = max(height - len(tail) - 3, 1)
    more = len(body) - 1 - room
    shown = body[: room + 1]
    if is_coloured:
        shown[0] = click.style(shown[0], bold=True)
        for index, row in enumerate(rows[:room], 1):
            if is_trouble(str(row.get("health", ""))):
                shown[index] = click.style(shown[index], fg="yellow")
    left_out = [f"... and {more} more"] if more > 0 else [""]
    head = f"{_head(frame, view)}; sorted by {chosen.heading}; {_HELP_LINE}"
    return [head[:width], *shown, *left_out, *tail][:height]


def text_of(frame: Frame, view: View) -> str:
    """Return what is printed where there is no terminal."""
    from tierce.seeing.top import table  # noqa: PLC0415

    rows = table(_rows(frame, view), view.columns, WIDTH_WITHOUT_TERMINAL)
    lines = [_head(frame, view), *rows, *_tail(frame, view)]
    return "".join(f"{line}\n" for line in lines)


def as_shown(frame: Frame, view: View) -> dict[str, Any]:
    """Return what was seen as JSON values."""
    from tierce.cli.why import operation_as_shown  # noqa: PLC0415
    from tierce.process.telling import format_time  # noqa: PLC0415
    from tierce.seeing.top import findings_of, stage_rows, volume_row  # noqa: PLC0415

    found: dict[str, Any] = {
        "time": format_time(round(frame.at * 1000) * 1_000_000),
        "seconds": round(frame.seconds, 3),
        "is_served": frame.is_served,
        "volumes": [_rounded(volume_row(one)) for one in frame.intervals],
    }
    if view.name:
        for one in frame.intervals:
            found["stages"] = [_rounded(row) for row in stage_rows(one)]
            found["operations"] = [operation_as_shown(each) for each in findings_of(one)]
    return found


def _print(frame: Frame, view: View, output: str, *, is_single: bool) -> None:
    if output == "table":
        click.echo(text_of(frame, view), nl=False)
    elif output == "json" and not is_single:
        click.echo(json.dumps(as_shown(frame, view), ensure_ascii=False))
    else:
        if not is_single:
            click.echo("---")
        show(as_shown(frame, view), output)


def _rows(frame: Frame, view: View) -> list[dict[str, Any]]:
    from tierce.seeing.top import sorted_rows, stage_rows, volume_row  # noqa: PLC0415

    if view.name:
        rows = [row for one in frame.intervals for row in stage_rows(one)]
    else:
        rows = [volume_row(one) for one in frame.intervals]
    if view.name and not view.sort:
        # As the I/O goes through them, unless another order is asked for.
        return rows[::-1] if view.is_reversed else rows
    return sorted_rows(rows, view.columns[view.sort], is_reversed=view.is_reversed)


def _head(frame: Frame, view: View) -> str:
    from tierce.seeing.wording import count_of  # noqa: PLC0415

    clock = time.strftime("%H:%M:%SZ", time.gmtime(frame.at))
    what = f"volume {view.name}" if view.name else count_of(len(frame.intervals), "volume")
    if not frame.seconds:
        what = "looking"
    return f"{clock}  {what}" + ("" if frame.is_served else ", no server runs")


def _tail(frame: Frame, view: View) -> list[str]:
    """Return whose time it was, of one volume."""
    from tierce.cli.why import operation_lines  # noqa: PLC0415
    from tierce.seeing.top import findings_of  # noqa: PLC0415

    if not view.name:
        return []
    found = [each for one in frame.intervals for each in findings_of(one)]
    return [line for one in found for line in ["", *operation_lines(one)]]


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()
    }
