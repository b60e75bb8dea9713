"""docs/reference/causes.md: what `tierce volume why` names, and what to do about each."""

from __future__ import annotations

from tierce.cli.reference.markdown import page, table
from tierce.seeing.causes import OF_MEMBERS, Cause, Kind

_INTRODUCTION = """\
What initiators wait for is the time of one of these causes. `tierce volume why NAME` says which has
most of it, `tierce volume top` names that in its last column; with `--output json` the word is
`cause`, and `name` is whose it is. How it is found out:
[how an I/O is seen](../explanation/how-an-io-is-seen.md)."""


def causes_page() -> str:
    """Return the page."""
    rows = [(f"`{kind.value}`", *_of(Cause(kind, _name(kind)))) for kind in Kind]
    return page(
        "Causes", _INTRODUCTION, table(("cause", "as it is said", "what to do about it"), rows)
    )


def _name(kind: Kind) -> str:
    if kind in OF_MEMBERS:
        return "REPLICA"
    return "NAME" if "{name}" in kind.label else ""


def _of(cause: Cause) -> tuple[str, str]:
    return cause.label, cause.todo.replace("|", "\\|")
