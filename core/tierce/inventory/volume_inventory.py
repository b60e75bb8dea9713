"""Which volumes there are, who owns them, and making and unmaking them.

The config file and the state together say what is served (`applying.py`). Making a volume
goes: intent into the state, folders by the engine's lifecycle, then "ready" into the state. A
crash in between leaves an intent whose uuid the folders carry, and the next try goes on from it.
How a volume goes is told in `deleting.py`.

What an engine's lifecycle does is done elsewhere and may take its time (`errands.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from tierce.config import Config, origin_of, volume_from_mapping
from tierce.errors import UsageError, explain
from tierce.inventory.accepting import Acceptances
from tierce.inventory.adoption import Adopted, Adoption, adopt_record, describe_owner
from tierce.inventory.applying import Applying
from tierce.inventory.changes import check_identity
from tierce.inventory.deciding import foresee
from tierce.inventory.deleting import Deletions, Outcome
from tierce.inventory.engines import Engines, Served
from tierce.inventory.errands import Done, Errand, Errands, Worker
from tierce.inventory.making import Making
from tierce.inventory.roll import Roll
from tierce.process.paths import Paths
from tierce.process.works import Work
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
        worker: Does what engines' lifecycles do.
        changed: Called when something that was begun has changed what is served, or is over.
    """

    def __init__(
        self,
        paths: Paths,
        store: StateStore,
        emit: Callable[[Event], None],
        worker: Worker,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._paths = paths
        self._store = store
        self._emit = emit
        self._changed = changed
        self._engines = Engines(paths)
        self._errands = Errands(worker)
        self._making = Making(store, self._engines, emit)
        self._roll = Roll()
        #: The volumes that are being deleted.
        self.deletions = Deletions(store, self._engines, emit)
        self._acceptances = Acceptances(self._engines, emit)
        self._applying = Applying(
            store,
            self._engines,
            self._errands,
            making=self._making,
            deletions=self.deletions,
            acceptances=self._acceptances,
            roll=self._roll,
            emit=emit,
            changed=changed,
        )
        self._questions = itertools.count()

    @property
    def config(self) -> Config:
        """The config file as it is in force."""
        return self._roll.config

    @property
    def served(self) -> Mapping[str, Served]:
        """The volumes that should be served, by name."""
        return self._roll.served

    @property
    def version(self) -> int:
        """Counts changes of what is served, so that plans are made only when they can differ."""
        return self._roll.version

    @property
    def errors(self) -> Mapping[str, Exception]:
        """Why volumes are not served as the config file says, by name; those that could be are
        served with the settings that they had."""
        return self._roll.errors

    @property
    def due(self) -> frozenset[str]:
        """The volumes for which there is something to do as soon as nothing of them runs."""
        return frozenset(self.deletions.due | self._acceptances.pending) - self._errands.busy

    @property
    def pending(self) -> frozenset[str]:
        """The volumes that the last config file has not been applied to yet."""
        return self._applying.pending

    def records(self) -> dict[str, VolumeRecord]:
        """Return what the state knows, by name."""
        return self._store.volumes()

    # -- the config file ---------------------------------------------------------------------------

    def apply(
        self,
        config: Config,
        *,
        refused: Mapping[str, Exception] = MappingProxyType({}),
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Make what the config file and the state say what is served.

        What can't be done becomes an event, and that volume keeps the settings that it had; the
        others are served.

        Args:
            config: The config file.
            refused: What is wrong with volumes of it already, by name.
            settled: Called when all of it is done, or another file is to be applied.
        """
        self._applying.apply(config, refused, settled)

    def foresee(
        self, config: Config, refused: Mapping[str, Exception], done: Done
    ) -> Callable[[str], None]:
        """Let `done` have what `apply` would make of a config file (Foreseen), and return what
        gives that up. Changes nothing."""
        engines = Engines(self._paths)
        engines.use(config.registry)
        records, served = self._store.volumes(), self._roll.served
        return self._ask(foresee(config, engines, records, served, refused), done)

    # -- what is told of volumes -------------------------------------------------------------------

    @property
    def made(self) -> frozenset[str]:
        """The volumes that were made since the server started."""
        return frozenset(self._making.made)

    @property
    def refused(self) -> Mapping[str, str]:
        """Why volumes are not served as the config file says, in words, by name."""
        return {name: explain(error) for name, error in self.errors.items()}

    def under_way(self, name: str) -> Work | None:
        """Return what an engine is doing for a volume."""
        return self._errands.under_way(name)

    def is_wanted(self, record: VolumeRecord) -> bool:
        """True if the config file or the state wants the volume served."""
        if record.owner is Owner.STATE:
            return not record.phase.is_removal
        return record.name in self.config.names

    def unserved_why(self, record: VolumeRecord) -> str:
        """Say why a volume is not served; empty if nobody knows."""
        name = record.name
        work = self._errands.under_way(name)
        if work is not None:
            return f"it waits for {work.title}, which is under way"
        if record.phase.is_removal:
            return self.deletions.waits_for(name)
        if name in self.errors:
            return explain(self.errors[name])
        if name in self._acceptances.pending:
            return "that its loss is accepted is being noted"
        if name in self._applying.left_out:
            return f"{self.config.file} does not name it any more; its data stay"
        return ""

    # -- commands ----------------------------------------------------------------------------------

    def check_new(self, mapping: Mapping[str, Any], *, base: Path) -> VolumeSpec:
        """Return a volume that is to be made by command.

        Raises:
            UsageError: The name is taken, or the mapping is wrong.
        """
        registry = self.config.registry
        volume = volume_from_mapping(mapping, registry, base=base, origin="tierce volume create")
        self._check_name(volume.name)
        self._check_identity(volume)
        return volume

    def create(self, volume: VolumeSpec, done: Done) -> None:
        """Make a volume that the state owns, as `check_new` returned it, and serve it; `done` gets
        it as it is served (Served), or a ConflictError where its folders hold something else."""
        self._begin(volume.name, self._make(volume, "tierce volume create"), done)

    def begin_delete(self, name: str, without: tuple[str, ...], done: Done) -> None:
        """Note that the volume is to go, durably, and stop serving it. What an engine is doing for
        it is given up.

        Args:
            name: The volume.
            without: Its parts that are lost or damaged, and to be left alone.
            done: Gets the Outcome for one that was never served. For others `advance` has it.

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
        if record.phase is not Phase.CREATING:
            self.deletions.begin(record, without)
        self._roll.put(name, None)
        self._errands.interrupt(name, f"volume {name} is to be deleted")
        if record.phase is Phase.CREATING:
            self._begin(name, self._give_up(name), done)

    def cancel_delete(self, name: str, done: Done) -> None:
        """Keep a volume that was to go, and serve it if it was served; `done` gets a UsageError
        where something of it is gone, or it is not being deleted."""
        if self.find(name).phase is Phase.DELETING:
            self._errands.interrupt(name, f"volume {name} is to be kept")
        self._begin(name, self._cancel(name), done)

    def loss(self, name: str, keep: str, done: Done) -> None:
        """Let `done` have what may be lost if a volume goes on as it is, in sentences; a UsageError
        says that nothing is in doubt.

        Raises:
            UsageError: There is no such volume.
        """
        self._begin(name, self._acceptances.loss(self.find(name), keep), done)

    def begin_accept(self, name: str, keep: str) -> None:
        """Stop serving a volume until it is noted that its loss is accepted.

        Raises:
            UsageError: It is not served.
        """
        self.find(name)
        served = self._roll.served.get(name)
        if served is None:
            raise UsageError(f"volume {name} is not served here: see `tierce volume show {name}`")
        self._acceptances.hold(served, keep)
        self._roll.put(name, None)

    def advance(self, name: str, done: Done) -> None:
        """Do what is due for a volume of which nothing runs; `done` gets the Outcome."""
        if name not in self._acceptances.pending:
            self.deletions.due.discard(name)
        self._begin(name, self._advance(name), done)

    def claim(self, name: str) -> None:
        """Say that this server is to serve a volume that it was fenced from."""
        record = self.find(name)
        self._keep(attrs.evolve(record, fenced=""))

    def fence(self, name: str, reason: str) -> None:
        """Note that another writer has the volume: it is not served here until it is claimed."""
        record = self._store.volume(name)
        if record is not None:
            self._keep(attrs.evolve(record, fenced=reason or "another writer has it"))

    def adopt(self, wanted: Adoption, done: Done) -> Callable[[str], None]:
        """Take a volume back into the state and serve it; `done` gets it (Adopted). Return what
        gives that up."""
        return self._ask(self._adopt(wanted), done)

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

    def _begin(self, key: str, errand: Errand[Any], done: Done) -> None:
        def told(answer: Any, error: Exception | None) -> None:
            done(answer, error)
            if before != self._roll.version:
                self._changed()

        before = self._roll.version
        self._errands.begin(key, errand, told)

    def _ask(self, errand: Errand[Any], done: Done) -> Callable[[str], None]:
        """Go about what is no volume's, and return what gives it up."""
        # No volume has such a name.
        key = f"question {next(self._questions)}"
        self._begin(key, errand, done)
        return lambda why: self._errands.interrupt(key, why)

    def _check_name(self, name: str) -> None:
        record = self._store.volume(name)
        if record is not None:
            raise UsageError(f"there is a volume {name} already ({describe_owner(record)})")

    def _check_identity(self, volume: VolumeSpec) -> None:
        others = [one.volume for one in self._roll.served.values()]
        check_identity(self.config, volume, [*others, *self._making.under_way.values()])

    def _make(self, volume: VolumeSpec, origin: str) -> Errand[Served]:
        self._check_name(volume.name)
        served = yield from self._making.make(volume, Owner.STATE, origin)
        self._roll.put(volume.name, served)
        return served

    def _give_up(self, name: str) -> Errand[Outcome]:
        record = self._store.volume(name)
        if record is not None:
            yield from self._making.give_up(record)
        return Outcome()

    def _cancel(self, name: str) -> Errand[None]:
        yield from self.deletions.cancel(self.find(name))
        yield from self._serve_again(name)

    def _advance(self, name: str) -> Errand[Outcome]:
        record = self.find(name)
        if name in self._acceptances.pending:
            outcome = yield from self._acceptances.advance(record)
            served = self._acceptances.release(name)
            # It may have to go meanwhile.
            if not self.find(name).phase.is_removal:
                self._roll.put(name, served)
            return outcome
        if not record.phase.is_removal:
            return Outcome()
        outcome = yield from self.deletions.advance(record)
        if outcome.error is not None:
            yield from self._serve_again(name)
        return outcome

    def _adopt(self, wanted: Adoption) -> Errand[Adopted]:
        adopted = yield from adopt_record(self._store, self.config.registry, wanted)
        record = adopted.record
        volume = self._engines.parse(record)
        self._check_identity(volume)
        served = self._engines.serve(volume, record)
        self._store.put_volume(record)
        self._roll.put(record.name, served)
        if adopted.loss:
            message = f"volume {record.name} was adopted: {adopted.loss}"
            subject = f"volume/{record.name}"
            self._emit(Event("volume.adopted-with-loss", message, subject, "warning"))
        return adopted

    def _serve_again(self, name: str) -> Errand[None]:
        """Serve a volume that was not deleted after all, if the state owns it."""
        served = yield from self._applying.rest(self.find(name))
        self._roll.put(name, served)

    def _keep(self, record: VolumeRecord) -> None:
        self._store.put_volume(record)
        served = self._roll.served.get(record.name)
        if served is not None:
            self._roll.put(record.name, attrs.evolve(served, record=record))
