"""An engine's work outside the I/O path: what it makes on disk, checks, removes and takes back.

**Making.** `create` makes what a volume needs, under a uuid that nobody else has. What a crash cuts
off is called again with the same uuid. A creation that is given up is undone by `delete`.

**Removing** a volume that was served goes in three steps, each of which can be repeated after a
crash::

    condemn --everything is marked--> empty --every byte is gone--> tidy --> gone
       |  nothing is gone: `spare` takes it back

`condemn` marks durably, in the volume's own places, that they are deleted, and removes nothing: all
of them or none. Whatever it does not reach (a disk that is not mounted) keeps all of it back.
`empty` removes the bytes and leaves the marks, so that what it does not find is missing, not done.
`tidy` removes the marks; what it does not find was done before. Nothing is removed but what the
record of making says was made for this volume.

**Changing.** Options name what was made. `check_change` refuses options that would name something
else, before anything is stopped for them.

An engine whose volumes have members does all of this for each of them apart
(`tierce.MemberLifecycle`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierce.errors import FormatError, UsageError
from tierce.spec import LocalVolume, MemberSpec, VolumeSpec


class Lifecycle:
    """The base class of engines' lifecycles; what an engine does not need it leaves as it is.

    Every method can be repeated: what is done already is success. A `TemporaryError` says that
    something is out of reach now and the call is to be repeated; any other error that it can't be
    done.

    A call that touches a disk is made in a process that is there for such calls alone. It may take
    as long as it takes; all other volumes, and the server, go on meanwhile. What takes long is told
    (`volume.work-waits`). An operator may give it up: the process is then killed in it, as it may
    be by anything else, and what had been begun is repeated or undone by another call.

    Making:
        Thread: work process; server, for `members` and `parts`, and `tierce config check`.
        Blocking: no.
        Failure: the volume is refused by name, the others are served.
    Thread: work process.
    Blocking: yes, as long as it takes.
    Failure: the call is not done, and the message names the volume, the engine's plugin and the
        method; what runs goes on. To end the process is such a failure too.
    Since: contract 2.
    """

    def create(self, volume: LocalVolume) -> None:
        """Make what the volume needs on disk. Refuse (ConflictError) what holds other data. On
        failure leave nothing behind that this call made.

        Failure: `delete` is called, and the volume is refused by name.
        """

    def delete(self, volume: LocalVolume) -> None:
        """Remove what `create` made for this uuid, and nothing else: the creation is given up, and
        nothing of it was ever served. What is not there is success.

        Failure: what may be left is told (`volume.left-over`).
        """

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        """Name the processes that the volume needs beside its target. Pure: of the volume alone. An
        engine that names any derives from `MemberLifecycle`, so that each is made apart; one that
        does not makes all of them in `create`, on this node.

        Thread: server; `tierce config check` and `config diff` ask too.
        Blocking: no.
        Failure: the volume is refused by name, the others are served.
        """
        del volume
        return ()

    def parts(self, volume: VolumeSpec) -> tuple[str, ...]:
        """Name what may be lost by itself, so that a deletion goes on without it: its members.

        Thread: server.
        Blocking: no.
        Failure: the deletion is refused.
        """
        return tuple(member.name for member in self.members(volume))

    def check_change(self, before: LocalVolume, now: LocalVolume) -> None:
        """Refuse (ConflictError) options that name something else than what was made.

        Args:
            before: The volume as it is, or was last, served.
            now: The same volume with the options that are wanted; they are others.

        Failure: the volume keeps the settings that it had.
        """

    def condemn(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """Mark everything as deleted, durably, or nothing. Nothing of the volume runs.

        Args:
            volume: The volume.
            without: The parts to leave alone because they are lost or damaged.

        Raises:
            TemporaryError: A part is out of reach; nothing is gone.
            ConflictError: A part holds something else.
            FormatError: A part is damaged.

        Failure: after a TemporaryError or OSError the deletion waits and is tried again; after any
            other error `spare` is called, and the volume is served again.
        """

    def spare(self, volume: LocalVolume) -> None:
        """Undo `condemn`, whole or cut off, of which `empty` has not begun.

        Failure: a deletion that is cancelled goes on waiting, and who asked is told; after a
            `condemn` that failed the volume is served, and `volume.not-spared` tells it.
        """

    def empty(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """Remove the bytes of what `condemn` marked.

        Raises:
            TemporaryError: A part is out of reach now.

        Failure: the deletion waits and is tried again.
        """
        del without
        self.delete(volume)

    def tidy(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """Remove the marks of what `empty` emptied; what is not there is success.

        Failure: the deletion waits and is tried again.
        """

    def adopt(self, folders: tuple[Path, ...], without: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """Read a volume's description back from the folders that hold it.

        Args:
            folders: The folders.
            without: Names of the parts whose folders are lost.

        Returns: the mapping that `volumes:` of the config file would hold for it (name, size,
        block_size, options; the engine is the one that was asked) plus "uuid" and "created", and
        "loss", a sentence, if something that was acknowledged may be lost.
        Raises: FormatError or ConflictError saying which folder is not what it should be.

        Failure: nothing is adopted; who asked is told.
        """
        del without
        raise FormatError("this engine keeps nothing in folders", path=folders[0])

    def loss(self, volume: LocalVolume, keep: str) -> str:
        """Say in sentences what may be lost if the volume is told to go on as it is.

        Args:
            volume: The volume.
            keep: The part whose bytes are to count, empty if the engine has but one.

        Raises:
            UsageError: Nothing holds the volume up, so that there is nothing to accept.

        Failure: nothing is accepted; who asked is told.
        """
        del keep
        raise UsageError(f"volume {volume.name}: nothing is in doubt, so nothing is to be accepted")

    def accept_loss(self, volume: LocalVolume, keep: str) -> None:
        """Note, durably, that an operator accepts what `loss` says. Nothing of the volume runs.

        Failure: nothing is accepted; the volume is served as before, and who asked is told.
        """
        self.loss(volume, keep)
