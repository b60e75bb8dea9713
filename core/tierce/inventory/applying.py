"""From a config file and the state to what is served.

Most volumes are served at once. One that must be made first, or whose options an engine has to look
at, is under way until then, and is served with the settings that it had, if it had any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from tierce.config import Config, origin_of
from tierce.errors import explain
from tierce.inventory.accepting import Acceptances
from tierce.inventory.changes import check_change, find_waiting
from tierce.inventory.deciding import Step, decide, owned_by_file, with_old_settings
from tierce.inventory.deleting import Deletions
from tierce.inventory.engines import Engines, Served
from tierce.inventory.errands import Errand, Errands
from tierce.inventory.making import Making, to_keep
from tierce.inventory.roll import Roll
from tierce.process.refusals import name_volume
from tierce.spec import Event, VolumeSpec
from tierce.state import Owner, Phase, VolumeRecord
from tierce.state.store import StateStore


@attrs.define(eq=False)
class Round:
    """One config file that is being applied.

    Attributes:
        settled: Called when all of it is done, or the next one begins.
        pending: The volumes that are under way.
        is_begun: Every volume has been looked at: what comes from now on comes late.
    """

    settled: Callable[[], None]
    pending: set[str] = attrs.field(factory=set)
    is_begun: bool = False


class Applying:
    """Applies config files to the volumes of one data folder.

    Args:
        store: The state.
        engines: The engines.
        errands: What takes its time.
        making: Makes volumes.
        deletions: The volumes that are being deleted.
        acceptances: Those that are held down.
        roll: What is served.
        emit: Reports an event.
        changed: Called when something has come late.
    """

    def __init__(
        self,
        store: StateStore,
        engines: Engines,
        errands: Errands,
        *,
        making: Making,
        deletions: Deletions,
        acceptances: Acceptances,
        roll: Roll,
        emit: Callable[[Event], None],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._engines = engines
        self._errands = errands
        self._making = making
        self._deletions = deletions
        self._acceptances = acceptances
        self._roll = roll
        self._emit = emit
        self._changed = changed
        self._round = Round(lambda: None)
        #: The volumes that the file does not name any more.
        self.left_out: set[str] = set()

    @property
    def pending(self) -> frozenset[str]:
        """The volumes of the last config file that are under way."""
        return frozenset(self._round.pending)

    def apply(
        self, config: Config, refused: Mapping[str, Exception], settled: Callable[[], None]
    ) -> None:
        """Serve what a config file and the state say (VolumeInventory.apply)."""
        last, self._round = self._round, Round(settled)
        if last.pending:
            last.settled()
        self._engines.use(config.registry)
        before = self._roll.begin(config)
        records = self._store.volumes()
        for volume in config.volumes:
            name = volume.name
            self._make_way(volume, records.get(name))
            self._begin(name, self._file(volume, refused.get(name), self._round), before.get(name))
        for name, wrong in config.refused.items():
            self._keep_settings(name, wrong, before.get(name))
        for name in records:
            if name not in config.names:
                self._begin(name, self._rest_of(name, self._round), before.get(name))
        self._acceptances.hold_again(self._roll.served)
        self._roll.version += 1
        self._round.is_begun = True
        if not self._round.pending:
            settled()

    def rest(self, record: VolumeRecord) -> Errand[Served | None]:
        """Return a volume that the file does not name, if it is to be served."""
        if record.phase.is_removal:
            # Its processes may be alive still: it goes when they have gone.
            self._deletions.resume(record.name)
            return None
        if record.owner is Owner.FILE:
            self._leave_out(record)
            return None
        if record.phase is Phase.CREATING:
            return (yield from self._making.resume(record))
        return self._engines.serve(self._engines.parse(record), record)

    # -- inside ------------------------------------------------------------------------------------

    def _make_way(self, volume: VolumeSpec, record: VolumeRecord | None) -> None:
        """Give up what is under way for a volume and would keep the file from being applied."""
        if record is None:
            return
        if record.phase is Phase.DELETING:
            self._errands.interrupt(volume.name, "the config file names it")
        elif record.phase is Phase.CREATING and record.mapping != to_keep(volume, Owner.FILE):
            self._errands.interrupt(volume.name, "the config file says something else now")

    def _begin(self, name: str, errand: Errand[Served | None], was: Served | None) -> None:
        """Go about one volume; it is served as it was until that is done."""
        current = self._round
        current.pending.add(name)

        def done(served: Served | None, error: Exception | None) -> None:
            current.pending.discard(name)
            # After a newer file another errand of this volume follows.
            if current is self._round:
                self._take(name, served, error, was)
                if current.is_begun:
                    self._came_late(current)

        self._errands.begin(name, errand, done)
        if name in current.pending and was is not None:
            self._roll.served[name] = was

    def _came_late(self, current: Round) -> None:
        self._acceptances.hold_again(self._roll.served)
        self._changed()
        if not current.pending:
            current.settled()

    def _take(
        self, name: str, served: Served | None, error: Exception | None, was: Served | None
    ) -> None:
        """Note what has come of one volume."""
        if error is not None and name in self._roll.config.names:
            self._keep_settings(name, error, was)
        elif error is not None:
            self._roll.put(name, None)
            self._refuse(name, error)
        else:
            if served is not None:
                self.left_out.discard(name)
            if served is not None and was is not None:
                for _name, why in find_waiting(self._roll.config, {name: was}, {name: served}):
                    self._tell(name, "volume.settings-wait", why, "warning")
            self._roll.put(name, served)

    def _keep_settings(self, name: str, error: Exception, was: Served | None) -> None:
        """Serve a volume whose new settings are refused with those that it had, and tell it."""
        self._roll.errors[name] = error
        record = self._store.volume(name)
        kept = None
        if record is not None and record.phase.is_removal:
            self._deletions.resume(name)
        else:
            kept = was or with_old_settings(
                self._roll.config, self._engines, record, self._roll.served
            )
        self._roll.put(name, kept)
        if kept is not None:
            self.left_out.discard(name)
        self._refuse(name, error, "; it is served with the settings that it had" if kept else "")

    def _refuse(self, name: str, error: Exception, kept: str = "") -> None:
        self._tell(name, "volume.refused", name_volume(name, explain(error)) + kept, "error")

    def _file(
        self, volume: VolumeSpec, refused: Exception | None, current: Round
    ) -> Errand[Served | None]:
        """Return a volume that the file names, if it is to be served."""
        if current is not self._round:
            return None
        config, name = self._roll.config, volume.name
        record = self._store.volume(name)
        step = yield from decide(config, self._engines, volume, record, refused)
        origin = origin_of(f"volumes.{name}", config.origins)
        if step is Step.TAKE_BACK:
            assert record is not None, "there is what is taken back"
            record = yield from self._deletions.cancel(record)
            self._tell(name, "volume.kept", f"volume {name} is not deleted: {origin} names it")
            yield from check_change(config, self._engines, record, volume)
        elif step is Step.RESUME:
            assert record is not None, "there is what was begun"
            record = yield from self._resume(record, to_keep(volume, Owner.FILE))
        else:
            # What was looked at meanwhile may have been fenced.
            record = self._store.volume(name)
        if record is None:
            return (yield from self._making.make(volume, Owner.FILE, origin))
        if record.owner is Owner.STATE:
            self._tell(name, "volume.owner-changed", f"{origin} owns it from now on")
        wanted = owned_by_file(config, volume, record)
        if wanted != record:
            self._store.put_volume(wanted)
        return self._engines.serve(volume, wanted)

    def _resume(
        self, record: VolumeRecord, mapping: Mapping[str, Any]
    ) -> Errand[VolumeRecord | None]:
        """Finish what a crash left; return None if the volume is to be made anew."""
        if record.mapping == mapping:
            return (yield from self._making.resume(record)).record
        yield from self._making.give_up(record)
        return None

    def _rest_of(self, name: str, current: Round) -> Errand[Served | None]:
        record = self._store.volume(name)
        if record is None or current is not self._round:
            return None
        return (yield from self.rest(record))

    def _leave_out(self, record: VolumeRecord) -> None:
        if record.name in self.left_out:
            return
        self.left_out.add(record.name)
        config = self._roll.config
        engine = config.registry.engines.get(record.mapping["engine"])
        stay = "its data stay" if engine is None or engine.durable else "what was on it is lost"
        self._tell(
            record.name,
            "volume.left-out",
            f"volume {record.name} is no longer in {config.file}: it is not served, "
            f"{stay}; `tierce volume delete {record.name}` removes it",
            "warning",
        )

    def _tell(self, name: str, code: str, message: str, severity: str = "info") -> None:
        self._emit(Event(code, message, f"volume/{name}", severity))
