"""The lifecycle of an engine whose volumes have members: each is made, removed and read apart.

What is done for one member is done in a process of its node, beside what is done for the others,
and is put together by core::

    create          create_member of each        one fails: delete_member of each, delete
    condemn         condemn_member of each       one can't be marked: spare_member of each, spare
    empty_member of each, empty                  what is out of reach is waited for, the others go
    tidy_member of each, tidy                    over when all are
    adopt_member of each folder                  adopt_found decides over what they returned

So one whose disk hangs keeps no other from being made or removed, and a call knows of its own
member alone. What must be held against each other is returned as values, and decided without a
look at any disk.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce.lifecycle import Lifecycle
from tierce.spec import Finding, MemberSpec, VolumeSpec


class MemberLifecycle(Lifecycle, abc.ABC):
    """The base class of lifecycles of engines that have members (`members` names them). The methods
    of `Lifecycle` are there for what the members have in common, and do nothing unless an engine
    says so; of those `adopt` is not called.

    Each method for a member is handed the volume, in which no path of a node is but what its
    options name, and the member. It knows of that one alone: others may be made or removed at the
    same time, or have been. It can be repeated, and what is done already is success. A method that
    fails needs not name the member: core does.

    Thread: work process.
    Blocking: yes, as long as it takes.
    Failure: the call is not done for this member, and the message names it; what is done for the
        others goes on. To end the process is such a failure too.
    Since: contract 2.
    """

    @abc.abstractmethod
    def create_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Make what the member needs on disk. Refuse (ConflictError) what holds other data. On
        failure leave nothing behind that this call made.

        Failure: `delete_member` is called for every member, and the volume is refused by name.
        """

    @abc.abstractmethod
    def delete_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Remove what `create_member` made for this uuid, and nothing else: the creation is given
        up, and nothing of it was ever served. What is not there is success.

        Failure: what may be left is told (`volume.left-over`).
        """

    @abc.abstractmethod
    def condemn_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Mark the member as deleted, durably, and remove nothing. Nothing of the volume runs.
        Nothing is removed of any member before all are marked.

        Raises:
            TemporaryError: It is out of reach; the deletion waits.
            ConflictError: Its place holds something else.
            FormatError: It is damaged.

        Failure: after a TemporaryError or OSError the deletion waits and is tried again; after any
            other error `spare_member` is called for every member, and the volume is served again.
        """

    @abc.abstractmethod
    def spare_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Undo `condemn_member`, whole or cut off, or not begun, of which `empty_member` has not
        begun.

        Failure: as of `spare`.
        """

    @abc.abstractmethod
    def empty_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Remove the bytes of the member that `condemn_member` marked, and leave the mark, so that
        what is not found is missing, not done.

        Raises:
            TemporaryError: It is out of reach now.

        Failure: the deletion waits and is tried again; the other members are emptied.
        """

    @abc.abstractmethod
    def tidy_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """Remove the mark of what `empty_member` emptied; what is not there is success.

        Failure: the deletion waits and is tried again; the other members are tidied.
        """

    @abc.abstractmethod
    def adopt_member(self, folder: Path) -> Mapping[str, Any]:
        """Read what a folder says of the member that it holds.

        Returns: JSON values, which `adopt_found` understands.
        Raises: FormatError or ConflictError saying why the folder is not what it should be.

        Failure: nothing is adopted; who asked is told.
        """

    @abc.abstractmethod
    def adopt_found(
        self, findings: tuple[Finding, ...], without: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """Say which volume it is that was found, without a look at any disk: the folders may lie on
        other nodes.

        Args:
            findings: What was found in each folder.
            without: Names of the members whose folders are lost.

        Returns: as `Lifecycle.adopt`.
        Raises: ConflictError saying what does not fit together, or is missing.

        Blocking: no.
        Failure: nothing is adopted; who asked is told.
        """
