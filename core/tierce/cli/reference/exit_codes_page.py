"""docs/reference/exit-codes.md: what `tierce` ends with."""

from __future__ import annotations

from collections.abc import Iterator

from tierce.cli.output import (
    EXIT_BROKEN_PIPE,
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_MACHINE,
    EXIT_UNHEALTHY,
    EXIT_USAGE,
)
from tierce.cli.reference.markdown import first_sentence, page, table
from tierce.errors import TierceError

_INTRODUCTION = """\
What goes wrong is one line on standard error, `tierce: error: ...`: what, where, what was expected.
The exit code says who can do something about it."""

_OTHERS = (
    (0, "", "It worked."),
    (EXIT_MACHINE, "", "The machine would not: a folder that may not be read, a full disk."),
    (EXIT_UNHEALTHY, "", "`tierce volume list --check`: a volume that is wanted is not healthy."),
    (EXIT_USAGE, "", "The command line is wrong: an unknown command, option or argument."),
    (EXIT_BUG, "", "A bug in Tierce; what is needed to report it is on standard error."),
    (EXIT_INTERRUPTED, "", "Interrupted by Ctrl-C, or by a question answered with no."),
    (EXIT_BROKEN_PIPE, "", "Whoever read the output closed it."),
)


def exit_codes_page() -> str:
    """Return the page."""
    rows = [*_OTHERS, *_errors(TierceError)]
    rows.sort(key=lambda row: row[0])
    return page(
        "Exit codes",
        _INTRODUCTION,
        table(("code", "error", "what it means"), [(str(row[0]), *row[1:]) for row in rows]),
    )


def _errors(error: type[TierceError]) -> Iterator[tuple[int, str, str]]:
    yield error.exit_code, f"`{error.__name__}`", first_sentence(error.__doc__)
    for kind in error.__subclasses__():
        if kind.__module__ == error.__module__:
            yield from _errors(kind)
