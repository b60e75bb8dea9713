"""What policy documents want live options of volumes to be, in a file under run/.

The process that evaluates writes it, the server reads it: so what was wanted is known to the next
server, and to the next one that evaluates, before any document has been evaluated anew. After a
loss of power it may be gone; then it is wanted again as soon as its document is evaluated.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce.process.paths import replace_file

#: By document, volume, part and option.
Wanted = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]

#: The server reads it at once: a longer one is not ours.
WANTED_BYTES_MAX = 8 << 20


def read_wanted(path: Path) -> Wanted:
    """Return what is wanted; nothing where the file is not there or is damaged."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(WANTED_BYTES_MAX))
    except (OSError, ValueError):
        return {}
    return found if _is_nested(found, 4) else {}


def write_wanted(path: Path, wanted: Wanted) -> None:
    """Put it where the server reads it.

    Raises:
        OSError: It can't be written, or is longer than what would be read.
    """
    data = json.dumps(wanted).encode()
    if len(data) > WANTED_BYTES_MAX:
        raise OSError(errno.EFBIG, f"{len(data)} bytes; {WANTED_BYTES_MAX} are allowed")
    replace_file(path, data)


def _is_nested(value: Any, depth: int) -> bool:
    """True for mappings in mappings, so many deep."""
    if not depth:
        return True
    return isinstance(value, dict) and all(_is_nested(one, depth - 1) for one in value.values())
