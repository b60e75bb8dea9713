"""One writer or many readers."""

from __future__ import annotations

import pytest

from tierce import ConflictError
from tierce.volume.claims import Claims


def test_a_second_writer_is_told_who_the_first_is() -> None:
    claims = Claims("demo")
    claims.claim("iscsi", writes=True)
    with pytest.raises(ConflictError, match=r"demo.*iscsi"):
        claims.claim("nbd", writes=True)
    with pytest.raises(ConflictError, match="iscsi"):
        claims.claim("backup", writes=False)
    claims.release("iscsi")
    claims.claim("nbd", writes=True)


def test_many_may_read_but_nobody_writes_meanwhile() -> None:
    claims = Claims("demo")
    claims.claim("backup", writes=False)
    claims.claim("scrub", writes=False)
    with pytest.raises(ConflictError, match="backup, scrub"):
        claims.claim("iscsi", writes=True)
    claims.release("backup")
    claims.release("scrub")
    claims.release("nobody")
    claims.claim("iscsi", writes=True)
