"""What became of an operation."""

from __future__ import annotations

import errno

import pytest

from tierce import Code, Status


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("otherwise", [Code.READ_ERROR, Code.WRITE_ERROR])
def test_a_full_medium_is_told_from_one_that_fails(number: int, otherwise: Code) -> None:
    full, broken = OSError(number, "full"), OSError(errno.EIO, "broken")
    assert Status.from_oserror(full, otherwise, "why", 512) == Status(Code.NO_SPACE, "why", 512)
    assert Status.from_oserror(broken, otherwise, "why", 512) == Status(otherwise, "why", 512)
    assert Status.from_oserror(OSError(), otherwise) == Status(otherwise)
