"""Keys are taken from a terminal one by one; the rest is tried by `top` on a real one."""

from __future__ import annotations

import pytest

from tierce.cli.screen import first_key


@pytest.mark.parametrize(
    ("pressed", "key", "rest"),
    [
        ("q", "q", ""),
        (">r", ">", "r"),
        ("\x1b[Dr", "left", "r"),
        ("\x1b[C", "right", ""),
        ("\x1bOC", "right", ""),
        ("\x1b[15~", "escape", ""),
    ],
)
def test_what_a_terminal_sends_is_keys(pressed: str, key: str, rest: str) -> None:
    assert first_key(pressed) == (key, rest)
