"""Errors in the words of a message."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tierce import ConfigError, UnreadableError
from tierce.errors import explain, harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("an ordinary one: größer\n\tthan", "an ordinary one: größer\n\tthan"),
        ("\x1b[2J\x1b]0;mine\x07", "\\x1b[2J\\x1b]0;mine\\x07"),
        ("\x9b31m\x7f\r", "\\x9b31m\\x7f\\r"),
        ("a\u202eb\u2066", "a\\u202eb\\u2066"),
    ],
)
def test_what_strangers_said_gives_a_terminal_no_orders(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_what_a_store_can_not_read_is_a_failure_of_the_medium_with_its_extents() -> None:
    error = UnreadableError(iter([(512, 4096)]), "rotten")
    assert isinstance(error, OSError)
    assert (error.errno, error.extents, explain(error)) == (errno.EIO, ((512, 4096),), "rotten")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("wrong", file="f.yaml", line=3), "f.yaml:3: wrong"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied"),
        (OSError(errno.EXDEV, "Invalid link", b"/x", None, "/y"), "/x to /y: Invalid link"),
        (OSError(errno.EBADF, "Bad file descriptor", 7), "Bad file descriptor"),
        (KeyError("size"), "KeyError: 'size'"),
        (ValueError(), "ValueError"),
        (ImportError("no x:\n  no y\n"), "ImportError: no x: no y"),
    ],
)
def test_an_error_is_told_in_words(error: Exception, said: str) -> None:
    assert explain(error) == said


def test_no_number_of_an_error_is_ever_told(tmp_path: Path) -> None:
    for number in errno.errorcode:
        assert "Errno" not in explain(OSError(number, os.strerror(number), str(tmp_path)))
