"""Options whose values have a unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

#: Beyond what clocks count: nobody waits so long.
DAYS_MAX = 36500

_Command = TypeVar("_Command", bound=Callable[..., Any])


def seconds_of(_context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    """Return the seconds of a duration as the config file has it: "200 ms", "5s", "1.5h"; None
    where there is none."""
    if text is None:
        return None
    # Loaded here, so that `tierce --help` stays quick.
    from tierce.config.quantity import parse_duration  # noqa: PLC0415

    try:
        found = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}", param=parameter) from error
    if found > DAYS_MAX * 86400:
        raise click.BadParameter(f"{text!r}: expected at most {DAYS_MAX} d", param=parameter)
    return found


def duration_option(
    name: str,
    *,
    help: str,  # noqa: A002 - as click calls it
    default: str | None = None,
) -> Callable[[_Command], _Command]:
    """Give a command an option that is a duration, in seconds as its argument."""
    return click.option(
        name,
        callback=seconds_of,
        metavar="DURATION",
        default=default,
        show_default=default is not None,
        help=help,
    )
