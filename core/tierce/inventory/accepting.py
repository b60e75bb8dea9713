"""Volumes that go on though something of them may be lost, because an operator says so.

The engine notes it while nothing of the volume runs: so the volume is held down, the note is
written, and it is served again.
"""

from __future__ import annotations

from collections.abc import Callable

from tierce.inventory.deleting import Outcome
from tierce.inventory.engines import Engines, Served
from tierce.inventory.errands import Errand
from tierce.process.works import Call, work_for
from tierce.spec import Event
from tierce.state import VolumeRecord


class Acceptances:
    """The volumes that are held down for it.

    Args:
        engines: Their engines.
        emit: Reports an event.
    """

    def __init__(self, engines: Engines, emit: Callable[[Event], None]) -> None:
        self._engines = engines
        self._emit = emit
        self._held: dict[str, tuple[Served, str]] = {}

    @property
    def pending(self) -> frozenset[str]:
        """The volumes that are held down."""
        return frozenset(self._held)

    def loss(self, record: VolumeRecord, keep: str) -> Errand[str]:
        """Say what may be lost if a volume goes on as it is.

        Raises:
            UsageError: Nothing is in doubt.
        """
        said: str = yield work_for(Call.LOSS, self._engines.parse(record), keep=keep)
        return said

    def hold(self, served: Served, keep: str) -> None:
        """Hold a volume down until `advance`."""
        self._held[served.volume.name] = (served, keep)

    def hold_again(self, served: dict[str, Served]) -> None:
        """Take what is held down out of what is to be served, as it was read anew."""
        for name, (_before, keep) in list(self._held.items()):
            del self._held[name]
            if name in served:
                self.hold(served.pop(name), keep)

    def advance(self, record: VolumeRecord) -> Errand[Outcome]:
        """Note it, nothing of the volume running."""
        _served, keep = self._held[record.name]
        try:
            yield work_for(Call.ACCEPT_LOSS, self._engines.parse(record), keep=keep)
        except Exception as error:  # noqa: BLE001 - whatever it is, the volume is served again
            return Outcome(error=error)
        message = f"volume {record.name} goes on: its loss was accepted"
        subject = f"volume/{record.name}"
        self._emit(Event("volume.loss-accepted", message, subject, "warning"))
        return Outcome()

    def release(self, name: str) -> Served:
        """Return what is to be served again: it is noted, or can't be."""
        served, _keep = self._held.pop(name)
        return served
