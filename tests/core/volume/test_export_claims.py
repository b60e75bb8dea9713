"""One export writes, any number read."""

from __future__ import annotations

import pytest

from tierce import Access, ConflictError, Export
from tierce.volume.export_claims import ExportClaims


def export(frontend: str, access: Access = Access.RW) -> Export:
    return Export(frontend=frontend, options=None, access=access)


def test_a_second_writer_is_refused_and_both_are_named() -> None:
    claims = ExportClaims("demo")
    claims.claim(export("iscsi"))
    with pytest.raises(ConflictError, match="volume demo: 'nbd' would write, and 'iscsi' does"):
        claims.claim(export("nbd"))


def test_any_number_reads_beside_one_that_writes() -> None:
    claims = ExportClaims("demo")
    claims.claim(export("backup", Access.RO))
    claims.claim(export("iscsi"))
    claims.claim(export("scrub", Access.RO))


def test_a_front_end_serves_a_volume_once() -> None:
    claims = ExportClaims("demo")
    claims.claim(export("nbd", Access.RO))
    with pytest.raises(ConflictError, match="two exports by 'nbd'"):
        claims.claim(export("nbd", Access.RO))
