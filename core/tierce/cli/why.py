"""`tierce volume why`: what makes a volume slow, and what to do about it."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tierce.cli.data_folder import find_data_dir, server_options
from tierce.cli.output import output_option, show
from tierce.cli.quantities import duration_option

if TYPE_CHECKING:
    from tierce.cli.looking import Looker
    from tierce.seeing.why import Findings, OperationFinding

#: So many I/Os are shown that prove it.
EVIDENCE_COUNT = 5
#: Width of a drawing when standard output is no terminal.
WIDTH = 100


@click.command()
@click.argument("name")
@duration_option("--for", default="10s", help="Watch for so long.")
@click.option(
    "--records",
    is_flag=True,
    help="Don't watch: say what made those I/Os slow that are kept already.",
)
@server_options
@output_option
def why(
    name: str,
    records: bool,
    data_dir: Path | None,
    config: Path | None,
    output: str,
    **options: float,
) -> None:
    """Say what makes the volume NAME slow, and what to do about it.

    Watches for 10 s while the volume is used, and says what initiators waited for most: a replica's
    disk, the link to it, a filter, the engine, the network to the initiator; or that nothing is
    slow. Then what had which share, for each operation, and the slow I/Os that prove it.

    Costs the volume nothing: it reads what is counted anyway, whether a server runs or not.

    With --output json: volume, verdict (slow, slow-ones: a few only, stuck, well, no-io), sentence,
    todo, seconds, is_served, notes, operations (each with operation, count, mean_ns, p99_ns,
    is_slow, causes: cause, name, label, share, mean_ns), and slow: the I/Os that were written down,
    as docs/explanation/counters.md has them.
    """
    # Loaded here, so that `tierce volume --help` stays quick.
    from tierce.cli.looking import NO_SERVER, Looker  # noqa: PLC0415

    if not records and not options["for"]:
        raise click.BadParameter(
            "expected more than 0 s; what is kept is told by --records", param_hint="--for"
        )
    looker = Looker(find_data_dir(data_dir, config), name)
    seconds = 0.0 if records else options["for"]
    found, is_served = _find(looker, seconds)
    if output != "table":
        show(as_shown(found, seconds, is_served=is_served), output)
        return
    if not is_served:
        print(f"tierce: {NO_SERVER}", file=sys.stderr)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH
    click.echo(as_text(found, width), nl=False)


def _find(looker: Looker, seconds: float) -> tuple[Findings, bool]:
    """Watch for so long, or with 0 look at what is kept; return what was found, and whether a
    server runs."""
    from tierce.seeing.interval import between  # noqa: PLC0415
    from tierce.seeing.why import decide, decide_by_records  # noqa: PLC0415

    before = looker.look()
    kept, number = looker.records()
    (name,) = before.volumes
    engine = looker.engine() if before.is_served else ""
    if not seconds:
        return decide_by_records(kept, between(None, before.volumes[name], 0), engine), (
            before.is_served
        )
    if sys.stderr.isatty():
        print(f"tierce: watching {name} for {seconds:g} s", file=sys.stderr)
    time.sleep(seconds)
    after = looker.look()
    interval = between(before.volumes[name], after.volumes[name], after.at - before.at)
    return decide(interval, looker.records(number)[0], engine), after.is_served


def as_shown(found: Findings, seconds: float, *, is_served: bool) -> dict[str, Any]:
    """Return what was found as JSON values."""
    from tierce.codec import to_json  # noqa: PLC0415

    return {
        "volume": found.volume,
        "verdict": found.verdict.value,
        "sentence": found.sentence,
        "todo": found.todo,
        "seconds": seconds,
        "is_served": is_served,
        "notes": list(found.notes),
        "operations": [operation_as_shown(one) for one in found.operations],
        "slow": [to_json(one) for one in found.evidence],
    }


def operation_as_shown(found: OperationFinding) -> dict[str, Any]:
    """Return whose time an operation was as JSON values."""
    return {
        "operation": found.operation,
        "count": found.count,
        "mean_ns": round(found.mean_ns),
        "p99_ns": round(found.p99_ns),
        "is_slow": found.is_slow,
        "causes": [
            {
                "cause": one.cause.kind.value,
                "name": one.cause.name,
                "label": one.cause.label,
                "share": round(one.share, 4),
                "mean_ns": round(one.mean_ns),
            }
            for one in found.causes
        ],
    }


def as_text(found: Findings, width: int = WIDTH) -> str:
    """Return what was found as people read it.

    Args:
        found: What was found.
        width: Of the drawing of an I/O.
    """
    lines = [f"{found.sentence[0].upper()}{found.sentence[1:]}."]
    if found.todo:
        lines.append(f"What to do: {found.todo}.")
    lines += [f"Note: {note}." for note in found.notes]
    for one in found.operations:
        lines += ["", *operation_lines(one)]
    if found.evidence:
        lines += ["", *_evidence_lines(found, width)]
    return "".join(f"{line}\n" for line in lines)


def operation_lines(found: OperationFinding) -> list[str]:
    """Return whose time an operation was as people read it."""
    from tierce.seeing.why import SHARE_MIN  # noqa: PLC0415
    from tierce.seeing.wording import count_of, duration, percent  # noqa: PLC0415

    tail = f", 99 in a hundred within {duration(found.p99_ns)}" if found.p99_ns else ""
    head = f"{count_of(found.count, found.operation)}, {duration(found.mean_ns)} each{tail}"
    rows = [
        (percent(one.share), duration(one.mean_ns), one.cause.label)
        for one in found.causes
        if one.share >= SHARE_MIN
    ]
    return [head, *(f"  {share:>5}  {each:>8}  {label}" for share, each, label in rows)]


def _evidence_lines(found: Findings, width: int) -> list[str]:
    from tierce.cli.waterfall import draw  # noqa: PLC0415
    from tierce.codec import to_json  # noqa: PLC0415
    from tierce.server.slow_ios import describe  # noqa: PLC0415

    shown = found.evidence[:EVIDENCE_COUNT]
    more = len(found.evidence) - len(shown)
    head = "The I/Os that took longest" + (f" ({more} more are not shown)" if more else "")
    lines = [f"{head}:", *(f"  {describe(to_json(one))}" for one in shown)]
    return [
        *lines,
        "",
        "The slowest of them:",
        *(f"  {line}" for line in draw(shown[0], width - 2)),
    ]
