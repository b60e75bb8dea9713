"""Which initiators have to hear of a restart, noted in a file while they are here.

Written on the data thread, one slot with one write into the page cache: some microseconds, and
there when the process is killed the next moment. It is not durable, because it is needed when a
process ends, not when a machine does, and a session that begins should cost no fsync.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from tierce import make_folder, write_all
from tierce_iscsi.scsi.persistent_files import FREE_SLOT, SLOT_BYTES, session_slot, sessions_header


class SessionNote:
    """The file `sessions` of one target.

    Args:
        path: Where it lies; what was there is replaced.
        volume: The volume's uuid.
        initiators: Those that have yet to hear of the last restart.

    Raises:
        OSError: It can't be written.
    """

    def __init__(self, path: Path, volume: str, initiators: Iterable[bytes]) -> None:
        self._path = path
        header = sessions_header(volume)
        self._header_bytes = len(header)
        self._slots = {initiator: slot for slot, initiator in enumerate(initiators)}
        self._free: list[int] = []
        if not path.parent.is_dir():
            # One that is there costs no sync: no session waits for a disk.
            make_folder(path.parent)
        fresh = path.with_name(f"{path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._descriptor = os.open(fresh, flags, 0o600)
        try:
            write_all(self._descriptor, header + b"".join(map(session_slot, self._slots)), 0)
            fresh.rename(path)
        except OSError:
            self.close()
            raise

    def add(self, initiator: bytes) -> None:
        """It has a session from now on. Raises OSError."""
        if initiator in self._slots:
            return
        slot = self._free.pop() if self._free else len(self._slots)
        self._slots[initiator] = slot
        self._write(slot, session_slot(initiator))

    def remove(self, initiator: bytes) -> None:
        """It has ended its session. Raises OSError."""
        slot = self._slots.pop(initiator, None)
        if slot is not None:
            self._free.append(slot)
            self._write(slot, FREE_SLOT)

    def give_up(self) -> None:
        """It does not say what is so any more: without it, everyone hears of the next restart."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        self.close()

    def close(self) -> None:
        """Let go of the file, which stays."""
        os.close(self._descriptor)

    def _write(self, slot: int, data: bytes) -> None:
        write_all(self._descriptor, data, self._header_bytes + slot * SLOT_BYTES)
