"""Options with a unit are read as the config file reads them."""

from __future__ import annotations

import click
import pytest

from tierce.cli.quantities import duration_option


@click.command()
@duration_option("--for", help="How long.", default="2 min")
@duration_option("--since", help="Since when.")
def command(**options: float | None) -> dict[str, float | None]:
    return options


def read(*arguments: str) -> dict[str, float | None]:
    found: dict[str, float | None] = command.main(list(arguments), standalone_mode=False)
    return found


def test_a_duration_is_seconds() -> None:
    assert read() == {"for": 120.0, "since": None}
    assert read("--for", "200 ms", "--since", "1.5") == {"for": 0.2, "since": 1.5}


def test_what_is_no_duration_is_refused_with_what_was_expected() -> None:
    with pytest.raises(click.BadParameter, match="expected a duration such as 200 ms or 5 s"):
        read("--for", "soon")


def test_a_duration_that_no_clock_knows_is_refused() -> None:
    assert read("--for", "36500d")["for"] == 36500 * 86400
    with pytest.raises(click.BadParameter, match="expected at most 36500 d"):
        read("--for", "36501 d")
