"""The nearest valid name, for every message about an unknown one."""

from __future__ import annotations

from collections.abc import Iterable

#: Comparing longer ones costs, and nothing valid is as long.
NAME_LENGTH_MAX = 100
#: How alike two names must be to be worth a hint, 0 to 1; difflib's own default.
SIMILARITY_MIN = 0.6


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a clause that helps whoever wrote `name` for one of `names`.

    Names the nearest one, or all of them if none is near; starts with "; ", to end a message.
    """
    valid = sorted(names)
    if not valid:
        return "; there is none"
    # Only who has made a mistake needs it.
    import difflib  # noqa: PLC0415

    close = (
        difflib.get_close_matches(name, valid, n=1, cutoff=SIMILARITY_MIN)
        if len(name) <= NAME_LENGTH_MAX
        else []
    )
    if close:
        return f"; the nearest is {close[0]!r}"
    return f"; expected one of {', '.join(valid)}"
