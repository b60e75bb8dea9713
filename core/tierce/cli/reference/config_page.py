"""docs/reference/config.md: every key of the config file."""

from __future__ import annotations

from tierce.cli.reference.markdown import options_table, page
from tierce.config.model import FileShape
from tierce.config.source import DEPTH_MAX, FILE_BYTES_MAX, VALUE_COUNT_MAX

_INTRODUCTION = """\
One YAML file says what a server runs. `tierce config check FILE` checks one and starts nothing;
`tierce config show FILE` shows every value and where it came from; `tierce config schema` prints a
JSON Schema for editors. How to write one: [the how-to](../howto/write-a-config.md). What engines,
front ends and other plugins take: [plugins](plugins.md)."""

_VALUES = f"""\
## How values are written

- A **size** is a number of bytes, or a number and one of B, KiB, MiB, GiB, TiB, PiB: `64KiB`,
  `1.5 GiB`. GB and the like mean two things and are refused.
- A **duration** is a number of seconds, or a number and one of us, ms, s, min, h, d: `200 ms`.
- A **path** that is relative starts from the folder of the file.
- An **address** is `HOST:PORT` or `[V6]:PORT`; port 0 takes any free one.
- The file is YAML 1.2 in UTF-8: only `true` and `false` are booleans, and nothing is a date.
  Anchors work; tags, merge keys and a key given twice are refused.
- A file has at most {FILE_BYTES_MAX >> 20} MiB and {VALUE_COUNT_MAX} values, aliases counted, at
  most {DEPTH_MAX} deep."""


def config_page() -> str:
    """Return the page."""
    return page(
        "The config file",
        _INTRODUCTION,
        _VALUES,
        f"## Every key\n\n{options_table(FileShape)}",
    )
