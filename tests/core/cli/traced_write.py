"""The drawing in docs/howto/follow-ios.md, from the record of an I/O that happened: a write to
three replicas, of which one had stood still.

    PYTHONPATH=tests python -m core.cli.traced_write

writes it there.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tierce import TraceRecord
from tierce.cli.waterfall import draw
from tierce.codec import from_json

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "follow-ios.md"
RECORD = Path(__file__).with_name("traced_write.json")
WIDTH = 100
_BLOCK = re.compile(r"```text\n.*?```\n", re.DOTALL)


def traced_write() -> TraceRecord:
    """Return the write."""
    return from_json(TraceRecord, json.loads(RECORD.read_text()))


def renewed(page: str) -> str:
    """Return the page with its drawing as it is drawn now."""
    drawing = "\n".join(draw(traced_write(), WIDTH))
    return _BLOCK.sub(f"```text\n{drawing}\n```\n", page, count=1)


def main() -> int:
    """Write the page."""
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
