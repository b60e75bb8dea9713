"""Where a replica's record lies, if its store keeps it."""

from __future__ import annotations

import abc


class RecordPlace(abc.ABC):
    """Where a store keeps its replica's record: a few KiB that the replicator writes and reads, and
    that nobody else understands. It lies with the bytes, so that a copy of the bytes that is put
    back says of itself what it was when it was made.

    One is written at a time: the replicator sees to that. Another one may be opened to `load` while
    a replica runs: by who asks what may be lost of a volume, or looks at folders.

    Thread: worker thread, in the replica's process; work process elsewhere.
    Blocking: yes.
    Since: contract 2.
    """

    @abc.abstractmethod
    def load(self) -> bytes | None:
        """Return what was kept last; None if nothing was, or it was removed.

        Raises:
            FormatError: It is damaged.
            OSError: It can't be read now.

        Thread: data thread, once, when the store is open; work process.
        Failure: the replica does not start.
        """

    @abc.abstractmethod
    def keep(self, data: bytes) -> None:
        """Replace it. On return it survives loss of power; a crash leaves the old or the new, never
        a mixture. A full disk must keep no replica from promising and voting: a making keeps the
        first one twice, so that what is written beside the old one has its space from then on.
        Writes to the store, which may be under way, do not wait for it.

        Args:
            data: As long as the last one.

        Raises:
            OSError: It is not durable.

        Failure: the replica stops and starts anew.
        """

    @abc.abstractmethod
    def remove(self) -> None:
        """Remove it, durably, before `Store.destroy`: that it is gone says that the bytes are not
        whole any more. What is not there is success.

        Raises:
            FormatError: It is damaged, and so says nothing any more.
            OSError: It can't be removed now; it is called again.

        Thread: work process.
        Failure: the removal waits and is tried again.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let it go.

        Thread: data thread, last, after `Store.close`; work process.
        Failure: the replica's process ends, told by name.
        """
