"""What of a target outlives its restarts, on disk: two small files in its own folder.

`reservations` is durable before the PERSISTENT RESERVE OUT that changes it is answered: written on
a worker thread, so that no other command waits for a disk. `sessions` is described in
tierce_iscsi.session_note.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tierce import Event, FormatError, FrontendContext, make_folder, replace_durably
from tierce_iscsi.scsi.persistent_files import (
    RESERVATIONS,
    SESSIONS,
    OtherVolumeError,
    decode_reservations,
    decode_sessions,
    encode_reservations,
)
from tierce_iscsi.scsi.registrations import Registrations
from tierce_iscsi.scsi.restart import Restart
from tierce_iscsi.session_note import SessionNote

#: A volume of which nothing was saved was made by this server, unless it is older than this: then
#: it was served before, and what was saved of it is lost.
NEW_VOLUME_S = 60.0
#: More initiators than have to hear of a restart by name: everyone is told.
OWED_COUNT_MAX = 2048
#: 256 registrations take about 80 KiB, a slot of `sessions` 320 bytes; more is damage.
FILE_BYTES_MAX = 1 << 20
#: A file that can't be written is reported no more often than this.
_EVENT_INTERVAL_S = 60.0


class Persistence:
    """The files of one volume's target.

    Args:
        context: The volume, its folder and its loop.

    Attributes:
        registrations: What was saved of reservations, as it is in force now.
        restart: Who has to hear that the target was started anew.
    """

    def __init__(self, context: FrontendContext) -> None:
        self._context = context
        self._folder = context.folder
        self._volume = context.volume
        self._quiet_until = 0.0
        self._note: SessionNote | None = None
        saved = self._load_registrations()
        self.registrations = saved or Registrations()
        self.restart = self._load_restart(is_known=saved is not None)
        # Its being there is what tells the next start that this one was.
        path = self._folder / SESSIONS
        try:
            self._note = SessionNote(path, self._volume.uuid, self.restart.owed)
        except OSError as error:
            self._failure(path, error)

    # -- at the start ------------------------------------------------------------------------------

    def _read(self, name: str) -> bytes | None:
        """Return a file's bytes, None if it is not there.

        Raises:
            FormatError: It can't be read.
        """
        path = self._folder / name
        try:
            with path.open("rb") as file:
                return file.read(FILE_BYTES_MAX + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise FormatError(f"can't be read: {error.strerror}", path=path) from error

    def _load_registrations(self) -> Registrations | None:
        """Return what was saved of this volume, None if nothing was."""
        try:
            data = self._read(RESERVATIONS)
            if data is None:
                return None
            path = self._folder / RESERVATIONS
            return decode_reservations(data, self._volume.uuid, self._context.boot_id, path)
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
            data = self._read(SESSIONS)
            if data is not None:
                here = decode_sessions(data, self._volume.uuid, self._folder / SESSIONS)
            elif is_new and not is_known:
                here = frozenset()
        except OtherVolumeError:
            here = None if is_known else frozenset()
        except FormatError:
            here = None
        if here is None or self.registrations.is_in_doubt or len(here) > OWED_COUNT_MAX:
            return Restart(None)
        return Restart(here | self.registrations.keys.keys())

    # -- later -------------------------------------------------------------------------------------

    def save(self, now: Registrations, saved: Callable[[str], None]) -> None:
        """Save registrations; `saved` is told why that failed, or "". See `reservations.Save`."""
        data = encode_reservations(now, self._volume.uuid, self._context.boot_id)
        path = self._folder / RESERVATIONS

        def done(_result: None, error: BaseException | None) -> None:
            saved(self._failure(path, error))

        self._context.reactor.offload(partial(_replace_durably, path, data), done)

    def began(self, initiator: bytes) -> None:
        """An initiator port has a session."""
        self._change_note(lambda note: note.add(initiator))

    def ended(self, initiator: bytes) -> None:
        """It has a session no more, and if it has heard of the last restart it need not hear of
        the next."""
        if initiator not in self.restart.owed:
            self._change_note(lambda note: note.remove(initiator))

    def close(self) -> None:
        """The target ends; whoever has a session now has to hear of it."""
        if self._note is not None:
            self._note.close()
            self._note = None

    def _change_note(self, change: Callable[[SessionNote], None]) -> None:
        if self._note is None:
            return
        try:
            change(self._note)
        except OSError as error:
            self._note.give_up()
            self._note = None
            self._failure(self._folder / SESSIONS, error)

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
            message = f"{why}. Until it can be, reservations can't be changed"
            self._emit("iscsi.keeping.failed", message, "error")
        return why

    def _emit(self, code: str, message: str, severity: str) -> None:
        self._context.emit(Event(code, message, f"volume/{self._volume.name}", severity))


def _replace_durably(path: Path, data: bytes) -> None:
    make_folder(path.parent)
    replace_durably(path, data)
