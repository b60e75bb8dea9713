"""What tells one disk from another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.volume.model import volume_spec
from tierce import ConflictError, FormatError
from tierce_engines.file_record import (
    TAG,
    FileRecord,
    check_same,
    disk_of,
    read_record,
    record_of,
    tag,
    tag_of,
    untag,
    write_record,
)

RECORD = FileRecord("00" * 16, "/srv/x.img", is_made=True, folders_made=2)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) == RECORD
    assert record_of(volume_spec(tmp_path)) == RECORD


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.binary(max_size=40), st.integers(0, 300))
def test_a_damaged_record_is_a_format_error(tmp_path: Path, noise: bytes, at: int) -> None:
    write_record(tmp_path, RECORD)
    data = (tmp_path / "file.json").read_bytes()
    damaged = data[:at] + noise + data[at + len(noise) :]
    (tmp_path / "file.json").write_bytes(damaged)
    if damaged != data:
        with pytest.raises(FormatError, match=r"file\.json: "):
            read_record(tmp_path)


def test_a_file_carries_its_volumes_uuid_until_it_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "x.img"
    path.touch()
    descriptor = os.open(path, os.O_RDWR)
    assert tag_of(descriptor) == ""
    assert tag(descriptor, RECORD.uuid)
    assert tag_of(descriptor) == RECORD.uuid
    untag(path, "11" * 16)
    assert os.listxattr(path) == [TAG]
    untag(path, RECORD.uuid)
    assert os.listxattr(path) == []
    os.close(descriptor)


def test_where_nothing_can_be_carried_the_path_alone_decides(tmp_path: Path) -> None:
    """A device node in /proc stands for a file system without attributes."""
    descriptor = os.open("/proc/self/status", os.O_RDONLY)
    assert not tag(descriptor, RECORD.uuid)
    assert tag_of(descriptor) == ""
    check_same(volume_spec(tmp_path), RECORD, Path(RECORD.path), descriptor)
    with pytest.raises(ConflictError, match="nothing says that /srv/y is the same"):
        check_same(volume_spec(tmp_path), RECORD, Path("/srv/y"), descriptor)
    os.close(descriptor)


def test_a_device_is_known_by_what_the_kernel_says_of_it(tmp_path: Path) -> None:
    descriptor = os.open("/dev/null", os.O_RDONLY)
    place = tmp_path / "1:3"
    (place / "device").mkdir(parents=True)
    assert disk_of(descriptor, tmp_path) == ""
    (place / "device" / "serial").write_text(" S123 \n")
    (place / "wwid").write_text("\n")
    assert disk_of(descriptor, tmp_path) == "device/serial=S123"
    (place / "wwid").write_text("naa.5000\n")
    assert disk_of(descriptor, tmp_path) == "wwid=naa.5000"
    os.close(descriptor)
