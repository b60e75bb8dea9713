"""Keeps one replica's bytes in a file that is opened once somebody has laid a key beside it, as a
pool must be imported first. A key that says anything but `open` is a wrong one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import attrs

import tierce

LOOK_S = 0.02
FILE, KEY = "vault.bytes", "vault.key"


@attrs.frozen
class VaultOptions:
    """A volume's `store_options:`."""

    is_patient: bool = tierce.option(default=False, doc="Wait on a thread, rather than by timers.")


@tierce.hookimpl
def tierce_stores() -> list[tierce.StoreDescription]:
    """Name the store."""
    return [
        tierce.StoreDescription(
            name="vault",
            summary="A file that is opened with a key.",
            factory="tierce_vault:VaultStore",
            options=VaultOptions,
            contract=2,
        )
    ]


@tierce.hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Pair it with the replicator that comes with Tierce."""
    return [
        tierce.EngineDescription(
            name="jiva-vault",
            summary="A replicated volume: each replica in a vault.",
            replicator="jiva",
            store="vault",
            contract=2,
        )
    ]


class VaultStore(tierce.Store):
    """An open vault."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    @classmethod
    def create(cls, context: tierce.StoreContext) -> None:
        """Make the file, all zeroes."""
        with (context.folder / FILE).open("wb") as file:
            file.truncate(context.size_bytes)
            os.fsync(file.fileno())
        tierce.sync_folder(context.folder)

    @classmethod
    def destroy(cls, context: tierce.StoreContext) -> None:
        """Remove the file and its key."""
        for name in (FILE, KEY):
            tierce.remove_file(context.folder / name)

    @classmethod
    def open(cls, context: tierce.StoreOpenContext) -> VaultStore | tierce.Opening[VaultStore]:
        """Open it if the key is there, else once it is."""
        key = context.folder / KEY
        if key.exists():
            return cls._open(context.folder)
        if context.options.is_patient:

            def wait() -> VaultStore:
                while not key.exists():
                    time.sleep(LOOK_S)
                return cls._open(context.folder)

            return tierce.Opening.aside(context, "its key is not there", wait)
        return _Looking(context).opening

    @classmethod
    def _open(cls, folder: Path) -> VaultStore:
        said = (folder / KEY).read_text()
        if said != "open":
            raise tierce.FormatError(f"the key says {said!r}", path=folder / KEY)
        return cls(folder / FILE)

    def write(self, offset: int, data: memoryview) -> None:
        """Write it."""
        while data:
            written = os.pwrite(self._file, data, offset)
            data, offset = data[written:], offset + written

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        os.preadv(self._file, [buffer], offset)

    def flush(self) -> None:
        """Sync the file."""
        os.fdatasync(self._file)

    def reopen(self) -> None:
        """Nothing fails here twice."""

    def close(self) -> None:
        """Lock it."""
        os.close(self._file)


class _Looking:
    """Looks for a key again and again."""

    def __init__(self, context: tierce.StoreOpenContext) -> None:
        self._context = context
        self.opening: tierce.Opening[VaultStore] = tierce.Opening(
            "its key is not there", self._give_up
        )
        self._timer = context.reactor.call_later(LOOK_S, self._look)

    def _give_up(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        folder = self._context.folder
        if not (folder / KEY).exists():
            self._timer = self._context.reactor.call_later(LOOK_S, self._look)
            return
        try:
            store = VaultStore._open(folder)
        except tierce.FormatError as error:
            self.opening.settle(None, error)
        else:
            self.opening.settle(store)
