"""`tierce volume journal`: what is pending in a volume now, and its last remarkable I/Os."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tierce.cli.data_folder import find_data_dir, server_options
from tierce.cli.output import output_option, render, show

if TYPE_CHECKING:
    from tierce.cli.looking import Looker
    from tierce.services import TraceRecord

#: So many I/Os of the ring are shown.
COUNT = 20
_COLUMNS = ("age", "operation", "offset", "length", "stage", "waits_for", "why")
_NOTHING = "Nothing is pending."


@click.command()
@click.argument("name")
@click.option(
    "--count",
    type=click.IntRange(min=0),
    default=COUNT,
    show_default=True,
    help="The last so many of the I/Os that were written down.",
)
@server_options
@output_option
def journal(name: str, count: int, data_dir: Path | None, config: Path | None, output: str) -> None:
    """Show what is pending in the volume NAME now, and its last remarkable I/Os.

    Of each I/O that is pending: how long it has been where it is, what was asked, which stage has
    it, and which replicas it waits for. Then those that were written down: slow ones, and one in a
    thousand; what failed of them is marked. While no server runs, what is pending is only counted.

    With --output json: volume, is_served, parked (stage: count, oldest_s), pending_count, pending
    (operation, offset, length, age_s, stage, waits_for, why; null where it can't be asked), trouble
    (why not), recent: the I/Os that were written down, as docs/explanation/counters.md has them.
    """
    # Loaded here, so that `tierce volume --help` stays quick.
    from tierce.cli.looking import Looker  # noqa: PLC0415

    looker = Looker(find_data_dir(data_dir, config), name)
    found = _look(looker, name, count)
    if output == "table":
        _warn(found)
        click.echo(as_text(found), nl=False)
        return
    from tierce.codec import to_json  # noqa: PLC0415

    show({**found, "recent": [to_json(one) for one in found["recent"]]}, output)


def _look(looker: Looker, name: str, count: int) -> dict[str, Any]:
    from tierce.errors import TierceError  # noqa: PLC0415

    look = looker.look()
    pending, trouble = None, ""
    if look.is_served:
        try:
            pending = looker.act("target", "pending")
        except TierceError as error:
            trouble = str(error)
    records = looker.records()[0]
    target = look.volumes[name].target
    parked = target.parked if target is not None else {}
    return {
        "volume": name,
        "is_served": look.is_served,
        "parked": {
            stage: {"count": one.count, "oldest_s": round(one.oldest_s, 3)}
            for stage, one in parked.items()
        },
        "pending_count": None if pending is None else pending["count"],
        "pending": None if pending is None else pending["items"],
        "trouble": trouble,
        "recent": records[max(len(records) - count, 0) :],
    }


def _warn(found: dict[str, Any]) -> None:
    if not found["is_served"]:
        print("tierce: no server runs: what is pending is only counted", file=sys.stderr)
    if found["trouble"]:
        print(f"tierce: what is pending is only counted: {found['trouble']}", file=sys.stderr)


def as_text(found: dict[str, Any]) -> str:
    """Return what was found as people read it."""
    if found["pending"] is None:
        pending = _parked_lines(found["parked"])
    else:
        pending = _pending_lines(found["pending"], found["pending_count"])
    return "".join(f"{line}\n" for line in [*pending, "", *_recent_lines(found["recent"])])


def _parked_lines(parked: dict[str, Any]) -> list[str]:
    from tierce.seeing.wording import count_of, duration  # noqa: PLC0415

    return [
        f"{stage}: {count_of(one['count'], 'I/O')} pending, the oldest for "
        f"{duration(one['oldest_s'] * 1e9)}"
        for stage, one in parked.items()
    ] or [_NOTHING]


def _pending_lines(pending: Sequence[dict[str, Any]], count: int) -> list[str]:
    from tierce.seeing.wording import count_of, duration  # noqa: PLC0415

    if not count:
        return [_NOTHING]
    more = f", the oldest {len(pending)} are" if count > len(pending) else ""
    rows = [{**one, "age": duration(one["age_s"] * 1e9)} for one in pending]
    table = render(rows, "table", columns=_COLUMNS)
    return [f"{count_of(count, 'I/O')} pending{more}:", *table.splitlines()]


def _recent_lines(records: Sequence[TraceRecord]) -> list[str]:
    from tierce.codec import to_json  # noqa: PLC0415
    from tierce.server.slow_ios import describe  # noqa: PLC0415

    if not records:
        return ["No I/O was written down yet."]
    lines = [f"{_kind(one):>7}  {describe(to_json(one))}" for one in records]
    return ["Last written down:", *lines]


def _kind(record: TraceRecord) -> str:
    if record.code != "good":
        return "failed"
    return "slow" if record.is_slow else "sampled"
