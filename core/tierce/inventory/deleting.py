"""Deleting volumes, step by step: what a crash, a missing disk or a second thought comes between.

::

    READY --begin--> DELETING --condemned--> EMPTYING --emptied--> CLEARING --tidied--> gone
      ^                 |                       what is out of reach is waited for
      '--cancel, or refused                     in every phase

The phase lies in the state, durable before the step that it names begins; the steps are the
engine's (`tierce.Lifecycle`), each done for all members beside each other. Until every part of a
volume says that it is deleted nothing of it is gone: a deletion that can't be done is over then,
and the volume is as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from tierce.errors import TemporaryError, UsageError, explain
from tierce.inventory.apart import do_whole
from tierce.inventory.engines import Engines
from tierce.inventory.errands import Errand, GivenUpError
from tierce.process.works import Call
from tierce.registry.members import parts_of
from tierce.spec import Event, LocalVolume
from tierce.state import Phase, VolumeRecord
from tierce.state.store import StateStore


@attrs.frozen
class Outcome:
    """What came of an attempt to go on.

    Attributes:
        error: Why the volume stays as it was; None if it does not.
        waits_for: What keeps it from being gone, empty if it is gone.
    """

    error: Exception | None = None
    waits_for: str = ""


class Deletions:
    """The volumes of one data folder that are being deleted.

    Args:
        store: The state.
        engines: Their engines.
        emit: Reports an event.
    """

    def __init__(
        self,
        store: StateStore,
        engines: Engines,
        emit: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._engines = engines
        self._emit = emit
        self._waits: dict[str, str] = {}
        #: Those that are to be gone on with as soon as nothing of them runs.
        self.due: set[str] = set()

    @property
    def pending(self) -> frozenset[str]:
        """Those that are not over."""
        return frozenset(self._waits)

    def waits_for(self, name: str) -> str:
        """Return what a deletion waits for, empty while nothing holds it up."""
        return self._waits.get(name, "")

    def begin(self, record: VolumeRecord, without: tuple[str, ...]) -> None:
        """Note that a volume is to go, durably; or without what one that goes is to go on.

        Raises:
            UsageError: `without` names what is no part of it.
        """
        if without:
            parts = parts_of(self._engines.registry, self._engines.parse(record))
            for name in without:
                if name not in parts:
                    known = ", ".join(parts) or "none"
                    raise UsageError(f"volume {record.name} has no {name}; its parts are: {known}")
        phase = record.phase if record.phase.is_removal else Phase.DELETING
        names = dict.fromkeys((*record.without, *without))
        self._store.put_volume(attrs.evolve(record, phase=phase, without=tuple(names)))
        self.resume(record.name)

    def resume(self, name: str) -> None:
        """Go on with what a crash, or the end of a server, cut off."""
        self._waits.setdefault(name, "")
        self.due.add(name)

    def look_again(self) -> None:
        """What was out of reach may be back."""
        self.due.update(self._waits)

    def cancel(self, record: VolumeRecord) -> Errand[VolumeRecord]:
        """Take a deletion back of which nothing is gone; return the record as it is kept then.

        Raises:
            UsageError: It is not being deleted, or something is gone.
            TemporaryError: A part that was marked is out of reach now.
        """
        name = record.name
        if not record.phase.is_removal:
            raise UsageError(f"volume {name} is not being deleted")
        if record.phase is not Phase.DELETING:
            raise UsageError(f"volume {name} can't be kept: bytes of it are gone already")
        try:
            yield from self._do(Call.SPARE, self._engines.parse(record))
        except OSError as error:
            raise TemporaryError(f"volume {name} can't be taken back: {explain(error)}") from error
        return self._end(record)

    def advance(self, record: VolumeRecord) -> Errand[Outcome]:
        """Go on as far as possible. Nothing of the volume runs."""
        began_ns = time.monotonic_ns()
        try:
            volume = self._engines.parse(record)
            if record.phase is Phase.DELETING:
                refusal = yield from self._condemn(volume, record)
                if refusal is not None:
                    return Outcome(error=refusal)
                record = self._step(record, Phase.EMPTYING)
            if record.phase is Phase.EMPTYING:
                yield from self._do(Call.EMPTY, volume, record.without)
                record = self._step(record, Phase.CLEARING)
            yield from self._do(Call.TIDY, volume, record.without)
            self._store.drop_volume(record.name)
        except GivenUpError as error:
            return Outcome(waits_for=self._why(record, explain(error)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is waited for, and told
            return self._wait(record, explain(error))
        self._forget(record.name)
        message = f"volume {record.name} was deleted{_but(record)}"
        took_ns = time.monotonic_ns() - began_ns
        self._tell(record.name, "volume.deleted", message, took_ns=took_ns)
        return Outcome()

    # -- inside ------------------------------------------------------------------------------------

    def _condemn(self, volume: LocalVolume, record: VolumeRecord) -> Errand[Exception | None]:
        """Mark everything; return why it can't be, the volume being as it was then."""
        try:
            yield from self._do(Call.CONDEMN, volume, record.without)
        except (TemporaryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the volume stays
            try:
                yield from self._do(Call.SPARE, volume)
            except Exception as failure:  # noqa: BLE001 - as above
                message = f"volume {record.name} stays, but part of it says that it is deleted"
                self._tell(
                    record.name, "volume.not-spared", f"{message}: {explain(failure)}", "error"
                )
            self._end(record)
            return error
        return None

    def _do(self, call: Call, volume: LocalVolume, without: tuple[str, ...] = ()) -> Errand[None]:
        return do_whole(self._engines.registry, call, volume, without)

    def _step(self, record: VolumeRecord, phase: Phase) -> VolumeRecord:
        # Its parts that are left alone may have become more meanwhile.
        now = attrs.evolve(self._store.volume(record.name) or record, phase=phase)
        self._store.put_volume(now)
        return now

    def _end(self, record: VolumeRecord) -> VolumeRecord:
        known = self._store.volume(record.name) or record
        kept = attrs.evolve(known, phase=Phase.READY, without=())
        self._store.put_volume(kept)
        self._forget(record.name)
        return kept

    def _why(self, record: VolumeRecord, why: str) -> str:
        if record.phase is Phase.DELETING:
            keep = f"`tierce volume delete {record.name} --cancel` keeps it"
            return f"{why}. Nothing of it is gone: {keep}"
        return f"{why}. Its other bytes are gone or go"

    def _wait(self, record: VolumeRecord, why: str) -> Outcome:
        name, text = record.name, self._why(record, why)
        if self._waits.get(name) != text:
            self._waits[name] = text
            message = f"volume {name} is not deleted yet: {text}"
            self._tell(name, "volume.delete-waits", message, "warning")
        return Outcome(waits_for=text)

    def _forget(self, name: str) -> None:
        self._waits.pop(name, None)
        self.due.discard(name)

    def _tell(
        self, name: str, code: str, message: str, severity: str = "info", **fields: int
    ) -> None:
        self._emit(Event(code, message, f"volume/{name}", severity, dict(fields)))


def _but(record: VolumeRecord) -> str:
    return f", but for {', '.join(record.without)}" if record.without else ""
