"""An engine whose volumes have three members, each with a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from tierce import (
    ConflictError,
    Finding,
    FormatError,
    MemberLifecycle,
    MemberSpec,
    TemporaryError,
    VolumeSpec,
)

NAMES = ("one", "two", "three")


class TripleLifecycle(MemberLifecycle):
    """A file in each folder says whose it is, another one that it is to go."""

    #: What a method raises when it has done its work, by its name and its member's.
    faults: ClassVar[dict[tuple[str, str], BaseException]] = {}

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        folder = Path(volume.engine_options.folder)
        return tuple(MemberSpec(name, folder / name) for name in NAMES)

    def create_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        note = member.folder / "note"
        if note.exists() and json.loads(note.read_text())["uuid"] != volume.uuid:
            raise ConflictError(f"{member.folder} holds another volume")
        member.folder.mkdir(parents=True, exist_ok=True)
        values = {"name": volume.name, "uuid": volume.uuid, "size": volume.size_bytes}
        (member.folder / "bytes").touch()
        note.write_text(json.dumps(values | {"member": member.name}))
        self._fail("create_member", member)

    def delete_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        note = member.folder / "note"
        if note.exists() and json.loads(note.read_text())["uuid"] == volume.uuid:
            shutil.rmtree(member.folder)
        self._fail("delete_member", member)

    def condemn_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        if not member.folder.exists():
            raise TemporaryError(f"nothing is found in {member.folder}")
        if (member.folder / "note").exists():
            (member.folder / "note").rename(member.folder / "deleted")
        self._fail("condemn_member", member)

    def spare_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        if (member.folder / "deleted").exists():
            (member.folder / "deleted").rename(member.folder / "note")
        self._fail("spare_member", member)

    def empty_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        if not member.folder.exists():
            raise TemporaryError(f"nothing is found in {member.folder}")
        (member.folder / "bytes").unlink(missing_ok=True)
        self._fail("empty_member", member)

    def tidy_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        shutil.rmtree(member.folder, ignore_errors=True)
        self._fail("tidy_member", member)

    def adopt_member(self, folder: Path) -> Mapping[str, Any]:
        try:
            found: dict[str, Any] = json.loads((folder / "note").read_text())
        except OSError as error:
            raise FormatError("holds no member", path=folder) from error
        return found

    def adopt_found(
        self, findings: tuple[Finding, ...], without: tuple[str, ...]
    ) -> Mapping[str, Any]:
        first = dict(findings[0].found)
        there = {one.found["member"]: one.folder for one in findings}
        if {*there, *without} != set(NAMES):
            raise ConflictError(f"only {', '.join(there)} are there")
        del first["member"]
        options = {"folder": str(next(iter(there.values())).parent)}
        return {**first, "created": 5.0, "options": options, "loss": " ".join(without)}

    def _fail(self, name: str, member: MemberSpec) -> None:
        if fault := TripleLifecycle.faults.get((name, member.name)):
            raise fault


def triple(name: str = "demo", **options: Any) -> dict[str, Any]:
    engine = {"folder": f"./{name}-folder", **options}
    return {
        "name": name,
        "size": "1 MiB",
        "engine": "triple",
        "options": engine,
        "frontend": "names",
    }
