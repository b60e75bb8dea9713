"""`tierce volume trace`: a volume's I/Os one by one, as they happen."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tierce.cli.data_folder import find_data_dir, server_options
from tierce.cli.output import EXIT_INTERRUPTED
from tierce.cli.quantities import duration_option

if TYPE_CHECKING:
    from tierce.node.trace_following import Kept
    from tierce.services import TraceRecord

#: One in so many is shown where nothing says how many.
EVERY = 100
#: Width of a drawing when standard output is no terminal.
WIDTH_WITHOUT_TERMINAL = 100
#: As `tierce.volume.following.OPERATIONS`; to import that takes longer than `--help` may.
OPERATIONS = (
    *("read", "write", "flush", "discard", "write_zeroes", "compare_and_write", "block_status"),
)
_NS_PER_MS = 1_000_000


class _EnoughError(Exception):
    """All that was asked for has been shown."""


def _range_of(
    _context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    """Return the first byte and the end of "FROM-TO", each as the config file has a size."""
    if text is None:
        return None
    # Loaded here, so that `tierce volume --help` stays quick.
    from tierce.config.quantity import parse_size  # noqa: PLC0415

    first, hyphen, end = text.partition("-")
    try:
        found = parse_size(first.strip()), parse_size(end.strip())
    except ValueError as error:
        why = f"{text!r}: {error}" if hyphen else f"{text!r}: expected FROM-TO, as 0-1MiB"
        raise click.BadParameter(why, param=parameter) from error
    if found[0] >= found[1]:
        raise click.BadParameter(f"{text!r}: no byte is in it", param=parameter)
    return found


@click.command()
@click.argument("name")
@click.option(
    "--every",
    type=click.IntRange(min=0),
    default=EVERY,
    show_default=True,
    help="Follow one in so many I/Os, 20 a second at most; 0 for none.",
)
@click.option(
    "--slow-ms",
    type=click.FloatRange(min=0),
    help="Show whatever takes longer, 100 a second at most; 0 for nothing.  [default: 50]",
)
@click.option("--operation", type=click.Choice(OPERATIONS), help="Only these.")
@click.option("--initiator", metavar="IQN", help="Only what this one asks for.")
@click.option(
    "--range",
    "extent",
    metavar="FROM-TO",
    callback=_range_of,
    help="Only what touches these bytes: 0-4096, 1GiB-2GiB.",
)
@duration_option("--for", default="10s", help="End after so long; an hour at most.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many I/Os.")
@click.option(
    "--output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="A drawing of each I/O; or a line of OTLP/JSON.",
)
@server_options
def trace(
    name: str,
    every: int,
    slow_ms: float | None,
    operation: str | None,
    initiator: str | None,
    extent: tuple[int, int] | None,
    output: str,
    count: int | None,
    data_dir: Path | None,
    config: Path | None,
    **other: Any,
) -> int:
    """Show I/Os of the volume NAME one by one, with the time that each stage took.

    Each is drawn when it is answered: its stages below each other, what ran inside of what, when
    each began, how long it took, and how much of that was its own: of several replicas the last
    answer is what the I/O waited for. Beside those that are followed, slow ones are shown, with
    the stages that were slow; by --initiator they can't be told apart, and are left out.

    It ends after --for or --count, or by Ctrl-C; the volume goes on as before then, also if this
    command is killed. With --output json each I/O is one line, a TracesData of OTLP, as
    collectors read it from a file (otlpjsonfile).
    """
    arguments = {
        "every": every,
        "for_s": other["for"],
        **({"slow_ms": slow_ms} if slow_ms is not None else {}),
        **({"operation": operation} if operation else {}),
        **({"initiator": initiator} if initiator else {}),
        **({"first": extent[0], "end": extent[1]} if extent is not None else {}),
    }
    # Loaded here, so that `tierce volume --help` stays quick.
    from tierce.process.client import ask  # noqa: PLC0415

    data = find_data_dir(data_dir, config)
    request = {"do": "act", "volume": name, "part": "tracer", "action": "follow"}
    showing = Showing(data, name, arguments, output, count)
    code = 0
    try:
        ask(
            data,
            {**request, "arguments": arguments},
            lambda _row: showing.go_on(),
            ends_with_us=True,
        )
        showing.go_on()
    except _EnoughError:
        pass
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    showing.tell_end()
    return code


class Showing:
    """Prints what a volume writes down from now on.

    Args:
        data: The data folder.
        volume: The volume's name.
        wanted: What was asked for, as the action `follow` takes it.
        output: "text" or "json".
        count: So many at most; None for all.
    """

    def __init__(
        self, data: Path, volume: str, wanted: dict[str, Any], output: str, count: int | None
    ) -> None:
        from tierce.process.paths import Paths  # noqa: PLC0415

        self._path = Paths(data).traces(volume)
        self._volume = volume
        self._wanted = wanted
        self._is_json = output == "json"
        self._count_max = count
        self._count = self._lost = 0
        self._has_begun = False
        self._began = time.monotonic()
        kept = self._look(sys.maxsize)
        #: The next record, and how many had been left out before.
        self._next, self._left_out_before = kept.following, kept.left_out
        self._left_out = kept.left_out

    def go_on(self) -> None:
        """Print what has come.

        Raises:
            _EnoughError: It was the last one that is to be shown.
        """
        if not self._has_begun:
            self._has_begun = True
            _tell(
                f"volume {self._volume} is followed for {self._wanted['for_s']:g} s; Ctrl-C ends it"
            )
        kept = self._look(self._next)
        self._next, self._left_out = kept.following, kept.left_out
        self._lost += kept.lost
        for record in filter(self._fits, kept.records):
            self._print(record)
            self._count += 1
            if self._count == self._count_max:
                raise _EnoughError

    def tell_end(self) -> None:
        """Tell on standard error how many were shown, and what is missing."""
        seconds = time.monotonic() - self._began
        what = f"{self._count} I/Os" if self._count != 1 else "1 I/O"
        parts = [f"{what} of volume {self._volume} shown in {seconds:.1f} s"]
        left_out = max(self._left_out - self._left_out_before, 0)
        if left_out:
            parts.append(
                f"{left_out} more were not written down: 20 a second are, and 100 slow ones"
            )
        if self._lost:
            parts.append(f"{self._lost} came too fast to be read")
        if not self._count and not left_out:
            parts.append("none that was asked for was answered, or fewer than one in --every")
        _tell("; ".join(parts))

    def _look(self, first: int) -> Kept:
        """Return what is there from that record on. What runs or does not is told by who is
        asked."""
        # Loaded here, so that `tierce volume --help` stays quick.
        from tierce.node.trace_following import kept_records  # noqa: PLC0415

        return kept_records(self._path, first)

    def _fits(self, record: TraceRecord) -> bool:
        """True if it was asked for: others are written down besides."""
        wanted = self._wanted
        if not record.is_sampled and not self._shows_slow(record.elapsed_ns):
            return False
        last = max(record.offset + record.length - 1, record.offset)
        return wanted.get("operation", record.operation) == record.operation and (
            "end" not in wanted or (record.offset < wanted["end"] and last >= wanted["first"])
        )

    def _shows_slow(self, elapsed_ns: int) -> bool:
        limit_ms = self._wanted.get("slow_ms")
        is_wanted = limit_ms is None or 0 < limit_ms * _NS_PER_MS < elapsed_ns
        return is_wanted and "initiator" not in self._wanted

    def _print(self, record: TraceRecord) -> None:
        from tierce.cli.otlp_json import traces_data  # noqa: PLC0415
        from tierce.cli.waterfall import draw  # noqa: PLC0415

        if self._is_json:
            click.echo(json.dumps(traces_data(record), ensure_ascii=False))
            return
        width = WIDTH_WITHOUT_TERMINAL
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
        click.echo("\n".join([*draw(record, width), ""]))


def _tell(text: str) -> None:
    print(f"tierce: {text}", file=sys.stderr, flush=True)
