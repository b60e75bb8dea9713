"""The shell around what a target keeps over its restarts: two small files in its own folder.

Written on a worker thread, one write of a file at a time, so that no initiator waits for a disk
but the one whose PERSISTENT RESERVE OUT it is.

`reservations` is durable before that command is answered. `sessions` is not: it is needed when a
process ends, not when a machine does, and a session that begins should cost no fsync. While it is
being written what changes is gathered, so that a storm of logins makes few writes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tierce import Event, FormatError, FrontendContext, make_folder, replace_durably, write_all
from tierce_iscsi.scsi.kept import (
    RESERVATIONS,
    SESSIONS,
    OtherVolumeError,
    decode_reservations,
    decode_sessions,
    encode_reservations,
    encode_sessions,
)
from tierce_iscsi.scsi.registrations import Registrations
from tierce_iscsi.scsi.restart import Restart

#: A volume that nothing is kept of was made by this server, unless it is older than this: then it
#: was served before, and what was kept of it is lost.
NEW_VOLUME_S = 60.0
#: 256 registrations take about 80 KiB, 1,024 sessions 260; more is damage.
KEPT_BYTES_MAX = 1 << 20
#: A file that can't be written is reported no more often than this.
_EVENT_INTERVAL_S = 60.0


class Keeper:
    """What one volume's target keeps.

    Args:
        context: The volume, its folder and its loop.

    Attributes:
        registrations: What was kept of reservations, as it is in force now.
        restart: Who has to hear that the target was started anew.
    """

    def __init__(self, context: FrontendContext) -> None:
        self._context = context
        self._folder = context.folder
        self._volume = context.volume
        self._quiet_until = 0.0
        self._sessions: tuple[bytes, ...] | None = None
        self._is_writing_sessions = False
        kept = self._load_registrations()
        self.registrations = kept or Registrations()
        self.restart = self._load_restart(is_known=kept is not None)
        # Its being there is what tells the next start that this one was.
        self.keep_sessions(())

    # -- at the start ------------------------------------------------------------------------------

    def _read(self, name: str) -> bytes | None:
        """Return a file's bytes, None if it is not there.

        Raises:
            FormatError: It can't be read.
        """
        path = self._folder / name
        try:
            with path.open("rb") as file:
                return file.read(KEPT_BYTES_MAX + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=path) from error

    def _load_registrations(self) -> Registrations | None:
        """Return what was kept of this volume, None if nothing was."""
        try:
            kept = self._read(RESERVATIONS)
            if kept is None:
                return None
            path = self._folder / RESERVATIONS
            return decode_reservations(kept, self._volume.uuid, self._context.boot_id, path)
        except OtherVolumeError as error:
            self._emit(
                "iscsi.reservations.of-another",
                f"{error}. It is not taken",
                "warning",
            )
            return None
        except FormatError as error:
            self._emit(
                "iscsi.reservations.damaged",
                f"{error}. It held who has reserved the volume: nobody may write until an "
                "initiator reserves it anew or clears the reservations; see "
                "docs/howto/operate.md, 'When the reservations are damaged'",
                "error",
            )
            return Registrations(is_in_doubt=True)

    def _load_restart(self, *, is_known: bool) -> Restart:
        """Everyone is told where it can't be known who was here, or who was registered."""
        here: frozenset[bytes] | None = None
        created = self._volume.created
        is_new = not created or time.time() - created < NEW_VOLUME_S
        try:
            kept = self._read(SESSIONS)
            if kept is not None:
                here = decode_sessions(kept, self._volume.uuid, self._folder / SESSIONS)
            elif is_new and not is_known:
                here = frozenset()
        except OtherVolumeError:
            here = None if is_known else frozenset()
        except FormatError:
            here = None
        if here is None or self.registrations.is_in_doubt:
            return Restart(None)
        return Restart(here | self.registrations.keys.keys())

    # -- later -------------------------------------------------------------------------------------

    def keep(self, now: Registrations, kept: Callable[[str], None]) -> None:
        """Keep registrations; `kept` is told why that failed, or "". See `reservations.Keep`."""
        data = encode_reservations(now, self._volume.uuid, self._context.boot_id)
        path = self._folder / RESERVATIONS

        def done(_result: None, error: BaseException | None) -> None:
            kept(self._failure(path, error))

        self._context.reactor.offload(partial(_replace_durably, path, data), done)

    def keep_sessions(self, initiators: Iterable[bytes]) -> None:
        """Note who has a session now, and who has yet to hear of a restart."""
        self._sessions = tuple(dict.fromkeys((*self.restart.owed, *initiators)))
        if not self._is_writing_sessions:
            self._write_sessions()

    def _write_sessions(self) -> None:
        if self._sessions is None:
            self._is_writing_sessions = False
            return
        self._is_writing_sessions = True
        data = encode_sessions(self._sessions, self._volume.uuid)
        self._sessions = None
        path = self._folder / SESSIONS

        def done(_result: None, error: BaseException | None) -> None:
            self._failure(path, error)
            self._write_sessions()

        self._context.reactor.offload(partial(_replace, path, data), done)

    def _failure(self, path: Path, error: BaseException | None) -> str:
        """Return why a file could not be written, and report it, not each time."""
        if error is None:
            return ""
        if not isinstance(error, OSError):
            raise error
        why = f"{path} can't be written: {error.strerror}"
        now = self._context.reactor.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _EVENT_INTERVAL_S
            self._emit("iscsi.keeping.failed", f"{why}. Reservations can't be changed", "error")
        return why

    def _emit(self, code: str, message: str, severity: str) -> None:
        self._context.emit(Event(code, message, f"volume/{self._volume.name}", severity))


def _replace_durably(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    replace_durably(path, data)


def _replace(path: Path, data: bytes) -> None:
    """Put `data` in place of what `path` holds, at once as readers see it; not durable."""
    make_folder(path.parent)
    fresh = path.with_name(f"{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600)
    try:
        write_all(descriptor, data, 0)
    finally:
        os.close(descriptor)
    fresh.rename(path)
