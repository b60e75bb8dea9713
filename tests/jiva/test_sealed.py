"""Sealed files: what was written is read, anything else is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tierce import FormatError
from tierce_jiva.files import OsFiles
from tierce_jiva.sealed import read_sealed, write_sealed


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(st.binary(max_size=80), st.integers(0, 400), st.booleans())
@example(noise=b"0", at=19, whole=False).via("a version that no checksum covers")
def test_a_damaged_record_is_named_and_nothing_else_happens(
    tmp_path: Path, noise: bytes, at: int, whole: bool
) -> None:
    file = tmp_path / "record.json"
    write_sealed(OsFiles(), file, "record", {"a": 1})
    data = file.read_bytes()
    damaged = noise if whole else data[:at] + noise + data[at + len(noise) :]
    file.write_bytes(damaged)
    if damaged != data:
        with pytest.raises(FormatError):
            read_sealed(file, "record")


def test_a_version_of_thousands_of_digits_is_a_format_error(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(b"tierce-jiva record " + b"9" * 5000 + b" 00000000\n{}")
    with pytest.raises(FormatError):
        read_sealed(file, "record")
