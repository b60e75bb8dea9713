"""Who may use a volume's device: one writer, or many readers, never both."""

from __future__ import annotations

from tierce.errors import ConflictError


class Claims:
    """The claims on one volume in this process.

    Args:
        volume: Its name, for errors.
    """

    def __init__(self, volume: str) -> None:
        self._volume = volume
        self._writer = ""
        self._readers: list[str] = []

    def claim(self, holder: str, *, writes: bool) -> None:
        """Claim the volume for `holder`.

        Raises:
            ConflictError: Another claim stands against it; names the holder.
        """
        if self._writer:
            raise ConflictError(f"volume {self._volume} is claimed for writing by {self._writer}")
        if writes and self._readers:
            raise ConflictError(
                f"volume {self._volume} is claimed for reading by {', '.join(self._readers)}"
            )
        if writes:
            self._writer = holder
        else:
            self._readers.append(holder)

    def release(self, holder: str) -> None:
        """Give a claim back; harmless if there is none."""
        if self._writer == holder:
            self._writer = ""
        elif holder in self._readers:
            self._readers.remove(holder)
