"""A work and what comes of it travel between processes as they are."""

from __future__ import annotations

import errno
from pathlib import Path

import attrs
import pytest

from core.scenes import Scene, volume
from tierce import (
    Code,
    ConfigError,
    ConflictError,
    DeviceError,
    Finding,
    FormatError,
    LocalVolume,
    PluginError,
    ProtocolError,
    Status,
    TemporaryError,
    TierceError,
    UsageError,
)
from tierce.config import volume_from_mapping
from tierce.errors import explain
from tierce.process.messages import decode, encode
from tierce.process.works import Call, Work, error_of, failure_values, member_work, work_for

ERRORS = [
    TierceError("it failed"),
    UsageError("there is no such volume"),
    ConfigError("no such option", file="tierce.yaml", line=3),
    PluginError("it failed in create", plugin="mine", package="tierce-mine"),
    ProtocolError("a frame too many"),
    DeviceError(Status(Code.NO_SPACE, "the disk is full")),
    FormatError("is damaged", path=Path("/disk/volume.json")),
    TemporaryError("its disk sleeps", delay_s=7.0),
    ConflictError("another volume lies there"),
]


def carried(error: BaseException) -> Exception:
    return error_of(decode(encode(failure_values(error))))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_ours_arrives_as_what_it_is_and_says_the_same(error: TierceError) -> None:
    found = carried(error)
    assert type(found) is type(error)
    assert (str(found), explain(found)) == (str(error), explain(error))
    assert found.__dict__ == error.__dict__


def test_an_error_of_the_system_keeps_its_number_and_its_files() -> None:
    error = OSError(errno.EXDEV, "Invalid cross-device link", "/a", None, "/b")
    found = carried(error)
    assert isinstance(found, OSError)
    assert (found.errno, explain(found)) == (errno.EXDEV, explain(error))
    bare = carried(OSError("no number"))
    assert explain(bare) == explain(OSError("no number"))


def test_an_error_of_a_class_of_a_plugins_own_arrives_as_what_it_is_derived_from() -> None:
    class PoolFullError(TemporaryError):
        pass

    found = carried(PoolFullError("the pool is full", delay_s=9.0))
    assert type(found) is TemporaryError
    assert (str(found), found.delay_s) == ("the pool is full", 9.0)
    assert str(carried(RuntimeError("a bug"))) == "RuntimeError: a bug"


def test_an_error_of_any_length_fits_a_message() -> None:
    assert str(carried(PluginError("x" * (1 << 20), plugin="mine"))).startswith(
        "plugin 'mine': xxx"
    )
    assert str(carried(RuntimeError("\0" * (1 << 20)))).startswith("RuntimeError")


def test_a_work_arrives_with_the_identity_of_its_volume_and_its_secrets(scene: Scene) -> None:
    mapping = volume(word="open sesame")
    parsed = volume_from_mapping(mapping, scene.registry, base=scene.folder, origin="here")
    own = scene.folder / "own"
    known = LocalVolume.of(parsed, own, uuid="ab" * 16, created=5.5)
    work = work_for(Call.CONDEMN, known, before=LocalVolume.of(parsed, own), without=("one",))
    values = decode(encode(work.to_values()))
    assert Work.from_values(values, scene.registry) == work
    asked = Work(call=Call.ADOPT, engine="folder", folders=(Path("/a"),), keep="one")
    assert Work.from_values(decode(encode(asked.to_values())), scene.registry) == asked


def test_whose_folders_are_is_asked_by_the_method_that_takes_volumes_back() -> None:
    assert Call.IDENTIFY.method == "adopt"
    assert Call.IDENTIFY_MEMBER.method == "adopt_member"
    identify = {"identify", "identify_member"}
    assert {call.method for call in Call} == {call.value for call in Call} - identify


def test_a_work_for_a_member_holds_no_folder_of_this_node_but_what_the_options_name(
    scene: Scene,
) -> None:
    parsed = volume_from_mapping(volume(), scene.registry, base=scene.folder, origin="here")
    known = LocalVolume.of(parsed, scene.folder / "own", uuid="ab" * 16, created=5.5)
    work = member_work(Call.CREATE_MEMBER, known, "one")
    sent = encode(work.to_values())
    assert b"own" not in sent
    arrived = Work.from_values(decode(sent), scene.registry)
    assert arrived == work
    assert arrived.volume == attrs.evolve(parsed, uuid="ab" * 16, created=5.5)
    assert arrived.title == "create_member of the engine folder for one"


def test_what_was_found_in_folders_arrives_with_its_folder(scene: Scene) -> None:
    findings = (Finding(Path("/a"), {"uuid": "00ff"}), Finding(Path("/b"), {}))
    work = Work(call=Call.ADOPT_FOUND, engine="folder", findings=findings, without=("c",))
    assert Work.from_values(decode(encode(work.to_values())), scene.registry) == work
