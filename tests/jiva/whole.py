"""A volume's members made, removed and read one after the other, as core has it done for each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tierce import Finding, MemberSpec, TemporaryError, VolumeSpec
from tierce.inventory.apart import check_all
from tierce.inventory.errands import Answer
from tierce_jiva.lifecycle import JivaLifecycle


class WholeJiva(JivaLifecycle):
    """jiva's lifecycle, with the volume as a whole in place of each member."""

    def create(self, volume: VolumeSpec) -> None:
        try:
            self._each(volume, self.create_member)
        except Exception:
            with contextlib.suppress(Exception):
                self.delete(volume)
            raise

    def delete(self, volume: VolumeSpec) -> None:
        self._each(volume, self.delete_member)

    def condemn(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        try:
            self._each(volume, self.condemn_member, without)
        except (TemporaryError, OSError):
            raise
        except Exception:
            self.spare(volume)
            raise

    def spare(self, volume: VolumeSpec) -> None:
        self._each(volume, self.spare_member)

    def empty(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        self._each(volume, self.empty_member, without)

    def tidy(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        self._each(volume, self.tidy_member, without)

    def adopt(self, folders: tuple[Path, ...], without: tuple[str, ...] = ()) -> Mapping[str, Any]:
        findings = tuple(Finding(folder, self.adopt_member(folder)) for folder in folders)
        return self.adopt_found(findings, without)

    def _each(
        self,
        volume: VolumeSpec,
        call: Callable[[VolumeSpec, MemberSpec], None],
        without: tuple[str, ...] = (),
    ) -> None:
        members = [one for one in self.members(volume) if one.name not in without]
        answers = []
        for member in members:
            try:
                call(volume, member)
                answers.append(Answer())
            except Exception as error:  # noqa: BLE001 - as the process that does it
                answers.append(Answer(error=error))
        check_all([member.name for member in members], answers)
