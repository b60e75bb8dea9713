"""docs/reference/plugin-mistakes.md, from what each mistake really brings about.

`make mistakes` writes it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from core.mistakes.rows import ROWS, Row
from core.mistakes.trial import Trial, load
from tierce.cli.reference.markdown import table

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "plugin-mistakes.md"
NOTICE = "<!-- Written by `make mistakes` from what the tests try: change those. -->"
INTRODUCTION = """\
What the user of a plugin reads when the plugin makes a mistake, and how soon. Each row was tried: a
stranger's plugin makes the mistake (`mistaken`, of the package `tierce-mistaken`, which lies in
`tests/strangers`), and this is the text. Every text names the plugin or its module. Where it
is a process that calls, the traceback is in its log, `DATA/logs/PROCESS.log`.

Not in the table: an engine that declares `INLINE` and hangs, or another call on the data thread
that does, silences its own process. That is told within 20 s with the call that it is in ("it is in
read of tierce_mistaken.py, line 90"), and the process is killed and started anew
([how](../howto/monitor.md)). What a lifecycle is called for on disks hangs for its own volume only;
`members` and `parts`, which look at none, are called by the server itself.

How each part is called: [calls](calls.md). How to write one:
[the how-to](../howto/write-a-plugin.md)."""
HEADING = ("mistake", "what its user reads", "where", "how soon", "what it costs")


def render(told: Iterable[tuple[Row, str]]) -> str:
    """Return the page."""
    parts: dict[str, list[tuple[str, ...]]] = {}
    for row, text in told:
        line = (row.mistake, f"`{text.replace('`', chr(39))}`", row.where, row.soon, row.costs)
        parts.setdefault(row.part, []).append(line)
    chapters = [f"## {part.capitalize()}\n\n{table(HEADING, rows)}" for part, rows in parts.items()]
    return "\n\n".join([NOTICE, "# Mistakes of plugins", INTRODUCTION, *chapters]) + "\n"


def main() -> None:
    """Try everything, and write the page."""
    module = load(lambda module: sys.modules.__setitem__("tierce_mistaken", module))
    told = []
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(Path(folder), module)
            told.append((row, trial.plain(row.trial(trial))))
            trial.close()
    PAGE.write_text(render(told), encoding="utf-8")


if __name__ == "__main__":
    main()
