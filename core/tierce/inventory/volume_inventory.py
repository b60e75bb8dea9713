"""Which volumes there are, who owns them, and making and unmaking them.

The config file and the state together say what is served. Making a volume
goes: intent into the state, folders by the engine's lifecycle, then "ready" into the state. A
crash in between leaves an intent whose uuid the folders carry, and the next try goes on from it.
How a volume goes is told in `deleting.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from tierce.config import Config, origin_of, volume_from_mapping
from tierce.errors import UsageError, explain
from tierce.inventory.accepting import Acceptances
from tierce.inventory.adoption import Adopted, Adoption, adopt_record, describe_owner
from tierce.inventory.changes import check_change, check_identity, find_waiting
from tierce.inventory.deciding import (
    Foreseen,
    Step,
    decide,
    foresee,
    owned_by_file,
    with_old_settings,
)
from tierce.inventory.deleting import Deletions, Outcome
from tierce.inventory.engines import Engines, Served
from tierce.inventory.making import Making, to_keep
from tierce.process.paths import Paths
from tierce.process.refusals import name_volume
from tierce.spec import Event, VolumeSpec
from tierce.state import Owner, Phase, VolumeRecord
from tierce.state.store import StateStore

#: How far back events are looked through for those about one volume.
EVENT_LOOK_COUNT = 1000


class VolumeInventory:
    """The volumes of one data folder.

    Args:
        paths: Where things lie.
        store: The state.
        emit: Reports an event.
    """

    def __init__(self, paths: Paths, store: StateStore, emit: Callable[[Event], None]) -> None:
        self._paths = paths
        self._store = store
        self._emit = emit
        self._config: Config | None = None
        self._engines = Engines(paths)
        self._making = Making(store, self._engines, emit)
        self._served: dict[str, Served] = {}
        self._left_out: set[str] = set()
        #: The volumes that are being deleted.
        self.deletions = Deletions(store, self._engines, emit)
        self._acceptances = Acceptances(self._engines, emit)
        #: Why volumes are not served as the config file says, by name; those that could be are
        #: served with the settings that they had.
        self.errors: dict[str, Exception] = {}
        #: Counts changes of what is served, so that plans are made only when they can differ.
        self.version = 0

    @property
    def config(self) -> Config:
        """The config file as it is in force."""
        assert self._config is not None, "apply comes first"
        return self._config

    @property
    def served(self) -> Mapping[str, Served]:
        """The volumes that should be served, by name."""
        return self._served

    @property
    def due(self) -> frozenset[str]:
        """The volumes for which there is work to do as soon as nothing of them runs."""
        return frozenset(self.deletions.due | self._acceptances.pending)

    def records(self) -> dict[str, VolumeRecord]:
        """Return what the state knows, by name."""
        return self._store.volumes()

    # -- the config file ---------------------------------------------------------------------------

    def apply(
        self, config: Config, *, refused: Mapping[str, Exception] = MappingProxyType({})
    ) -> None:
        """Make what the config file and the state say what is served.

        What can't be done becomes an event, and that volume keeps the settings that it had; the
        others are served.

        Args:
            config: The config file.
            refused: What is wrong with volumes of it already, by name.
        """
        self._config = config
        self._engines.use(config.registry)
        self.errors = {}
        records = self._store.volumes()
        served: dict[str, Served] = {}
        for volume in config.volumes:
            name, record = volume.name, records.get(volume.name)
            try:
                served[name] = self._apply_file(volume, record, refused.get(name))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one, others are fine
                self._keep_settings(name, error, record, served)
        for name, wrong in config.refused.items():
            self._keep_settings(name, wrong, records.get(name), served)
        for name, record in records.items():
            if name not in config.names or (name not in served and record.phase.is_removal):
                kept = self._apply_rest(record)
                if kept is not None:
                    served[name] = kept
        self._acceptances.hold_again(served)
        for name, why in find_waiting(config, self._served, served):
            self._tell(name, "volume.settings-wait", why, "warning")
        self._served = served
        self._left_out -= set(served)
        self.version += 1

    def _keep_settings(
        self, name: str, error: Exception, record: VolumeRecord | None, served: dict[str, Served]
    ) -> None:
        """Serve a volume whose new settings are refused with those that it had, and tell it."""
        self.errors[name] = error
        kept = self._served.get(name)
        kept = kept or with_old_settings(self.config, self._engines, record, served)
        if kept is not None:
            served[name] = kept
        self._refuse(name, error, is_kept=kept is not None)

    def _apply_file(
        self, volume: VolumeSpec, record: VolumeRecord | None, refused: Exception | None
    ) -> Served:
        step = decide(self.config, self._engines, volume, record, refused)
        origin = origin_of(f"volumes.{volume.name}", self.config.origins)
        if step is Step.TAKE_BACK:
            assert record is not None, "there is what is taken back"
            record = self.deletions.cancel(record)
            message = f"volume {volume.name} is not deleted: {origin} names it"
            self._tell(volume.name, "volume.kept", message)
            check_change(self.config, self._engines, record, volume)
        elif step is Step.RESUME:
            assert record is not None, "there is what was begun"
            record = self._resume(record, to_keep(volume, Owner.FILE))
        if record is None:
            return self._making.make(volume, Owner.FILE, origin)
        if record.owner is Owner.STATE:
            self._tell(volume.name, "volume.owner-changed", f"{origin} owns it from now on")
        wanted = owned_by_file(self.config, volume, record)
        if wanted != record:
            self._store.put_volume(wanted)
        return self._engines.serve(volume, wanted)

    def _apply_rest(self, record: VolumeRecord) -> Served | None:
        """Return a volume that the file does not name, if it is to be served."""
        if record.phase.is_removal:
            # Its processes may be alive still: it goes when they have gone.
            self.deletions.resume(record.name)
            return None
        if record.owner is Owner.FILE:
            self._leave_out(record)
            return None
        try:
            if record.phase is Phase.CREATING:
                return self._making.resume(record)
            return self._engines.serve(self._engines.parse(record), record)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are fine
            self._refuse(record.name, error)
            return None

    def _resume(self, record: VolumeRecord, mapping: Mapping[str, Any]) -> VolumeRecord | None:
        """Finish what a crash left; return None if the volume is to be made anew."""
        if record.mapping == mapping:
            return self._making.resume(record).record
        self._making.give_up(record)
        return None

    def _leave_out(self, record: VolumeRecord) -> None:
        if record.name in self._left_out:
            return
        self._left_out.add(record.name)
        engine = self.config.registry.engines.get(record.mapping["engine"])
        stay = "its data stay" if engine is None or engine.durable else "what was on it is lost"
        self._tell(
            record.name,
            "volume.left-out",
            f"volume {record.name} is no longer in {self.config.file}: it is not served, "
            f"{stay}; `tierce volume delete {record.name}` removes it",
            "warning",
        )

    def foresee(self, config: Config, refused: Mapping[str, Exception]) -> Foreseen:
        """Say what `apply` would make of a config file. Changes nothing."""
        engines = Engines(self._paths)
        engines.use(config.registry)
        return foresee(config, engines, self._store.volumes(), self._served, refused)

    # -- what is told of volumes -------------------------------------------------------------------

    @property
    def made(self) -> frozenset[str]:
        """The volumes that were made since the server started."""
        return frozenset(self._making.made)

    @property
    def refused(self) -> Mapping[str, str]:
        """Why volumes are not served as the config file says, in words, by name."""
        return {name: explain(error) for name, error in self.errors.items()}

    def is_wanted(self, record: VolumeRecord) -> bool:
        """True if the config file or the state wants the volume served."""
        if record.owner is Owner.STATE:
            return not record.phase.is_removal
        return record.name in self.config.names

    def unserved_why(self, record: VolumeRecord) -> str:
        """Say why a volume is not served; empty if nobody knows."""
        name = record.name
        if record.phase.is_removal:
            return self.deletions.waits_for(name)
        if name in self.errors:
            return explain(self.errors[name])
        if name in self._acceptances.pending:
            return "that its loss is accepted is being noted"
        if name in self._left_out:
            return f"{self.config.file} does not name it any more; its data stay"
        return ""

    # -- commands ----------------------------------------------------------------------------------

    def create(self, mapping: Mapping[str, Any], *, base: Path) -> Served:
        """Make a volume that the state owns.

        Raises:
            UsageError: The name is taken, or the mapping is wrong.
            ConflictError: Its folders hold something else.
        """
        registry = self.config.registry
        volume = volume_from_mapping(mapping, registry, base=base, origin="tierce volume create")
        record = self._store.volume(volume.name)
        if record is not None:
            raise UsageError(f"there is a volume {volume.name} already ({describe_owner(record)})")
        check_identity(self.config, volume, self._served.values())
        served = self._making.make(volume, Owner.STATE, "tierce volume create")
        self._served[volume.name] = served
        self.version += 1
        return served

    def begin_delete(self, name: str, without: tuple[str, ...] = ()) -> None:
        """Note that the volume is to go, and stop serving it; durable on return.

        Args:
            name: The volume.
            without: Its parts that are lost or damaged, and to be left alone.

        Raises:
            UsageError: There is none, or the config file owns it.
        """
        record = self.find(name)
        if name in self.config.names:
            place = origin_of(f"volumes.{name}", self.config.origins)
            raise UsageError(
                f"volume {name} belongs to {place}: remove it there and "
                "reload (SIGHUP to `tierce serve`), then delete it here"
            )
        if record.phase is Phase.CREATING:
            self._making.give_up(record)
        else:
            self.deletions.begin(record, without)
        self._served.pop(name, None)
        self.version += 1

    def cancel_delete(self, name: str) -> None:
        """Keep a volume that was to go, and serve it if it was served.

        Raises:
            UsageError: Something of it is gone, or it is not being deleted.
        """
        self._serve_again(self.deletions.cancel(self.find(name)))

    def loss(self, name: str, keep: str) -> str:
        """Say what may be lost if a volume goes on as it is.

        Raises:
            UsageError: There is no such volume, or nothing is in doubt.
        """
        return self._acceptances.loss(self.find(name), keep)

    def begin_accept(self, name: str, keep: str) -> None:
        """Stop serving a volume until it is noted that its loss is accepted.

        Raises:
            UsageError: It is not served.
        """
        self.find(name)
        if name not in self._served:
            raise UsageError(f"volume {name} is not served here: see `tierce volume show {name}`")
        self._acceptances.hold(self._served.pop(name), keep)
        self.version += 1

    def advance(self, name: str) -> Outcome:
        """Do what is due for a volume of which nothing runs."""
        record = self.find(name)
        if name in self._acceptances.pending:
            self._served[name], outcome = self._acceptances.advance(record)
            self.version += 1
            return outcome
        outcome = self.deletions.advance(record)
        if outcome.error is not None:
            self._serve_again(self.find(name))
        return outcome

    def claim(self, name: str) -> None:
        """Say that this server is to serve a volume that it was fenced from."""
        record = self.find(name)
        self._keep(attrs.evolve(record, fenced=""))

    def fence(self, name: str, reason: str) -> None:
        """Note that another writer has the volume: it is not served here until it is claimed."""
        record = self._store.volume(name)
        if record is not None:
            self._keep(attrs.evolve(record, fenced=reason or "another writer has it"))

    def adopt(self, wanted: Adoption) -> Adopted:
        """Take a volume back into the state and serve it."""
        adopted = adopt_record(self._store, self.config.registry, wanted)
        record = adopted.record
        volume = self._engines.parse(record)
        check_identity(self.config, volume, self._served.values())
        served = self._engines.serve(volume, record)
        self._store.put_volume(record)
        self._served[record.name] = served
        self.version += 1
        if adopted.loss:
            message = f"volume {record.name} was adopted: {adopted.loss}"
            self._tell(record.name, "volume.adopted-with-loss", message, "warning")
        return adopted

    def events(self, name: str, count: int) -> list[dict[str, Any]]:
        """Return the last events about a volume, the oldest first."""
        subject = f"volume/{name}"
        found = [
            event
            for event in self._store.events(EVENT_LOOK_COUNT)
            if event["subject"] == subject or event["subject"].startswith(subject + "/")
        ]
        return found[-count:]

    def events_after(self, sequence: int, count: int) -> list[dict[str, Any]]:
        """Return the first `count` events after that number, each with its "sequence"."""
        return self._store.events_after(sequence, count)

    def last_event(self) -> int:
        """Return the number of the last event, 0 if there is none."""
        return self._store.last_event()

    def find(self, name: str) -> VolumeRecord:
        """Return the record of that name.

        Raises:
            UsageError: There is none.
        """
        record = self._store.volume(name)
        if record is None:
            known = ", ".join(self._store.volumes()) or "none"
            raise UsageError(f"there is no volume {name}; there are: {known}")
        return record

    # -- inside ------------------------------------------------------------------------------------

    def _serve_again(self, record: VolumeRecord) -> None:
        """Serve a volume that was not deleted after all, if the state owns it."""
        kept = self._apply_rest(record)
        if kept is not None:
            self._served[record.name] = kept
        self.version += 1

    def _keep(self, record: VolumeRecord) -> None:
        self._store.put_volume(record)
        if record.name in self._served:
            self._served[record.name] = attrs.evolve(self._served[record.name], record=record)
            self.version += 1

    def _refuse(self, name: str, error: Exception, *, is_kept: bool = False) -> None:
        kept = "; it is served with the settings that it had" if is_kept else ""
        self._tell(name, "volume.refused", name_volume(name, explain(error)) + kept, "error")

    def _tell(self, name: str, code: str, message: str, severity: str = "info") -> None:
        self._emit(Event(code, message, f"volume/{name}", severity))
