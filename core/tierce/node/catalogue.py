"""Which volumes there are, who owns them, and making and unmaking them.

The config file and the state together say what is served. Making a volume
goes: intent into the state, folders by the engine's lifecycle, then "ready" into the state. A
crash in between leaves an intent whose uuid the folders carry, and the next try goes on from it.
Unmaking goes the other way round.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.config import Config, VolumeConfig, volume_from_mapping, volume_to_mapping
from tierce.errors import ConflictError, TierceError, UsageError
from tierce.node.adoption import adopt_record, describe_owner, explain_conflict, lifecycle_of
from tierce.node.layout import Layout
from tierce.node.settings import spec_of
from tierce.registry import resolve
from tierce.spec import Event, MemberSpec, VolumeSpec
from tierce.state import Owner, Phase, VolumeRecord
from tierce.state.store import StateStore

#: How far back events are looked through for those about one volume.
EVENT_LOOK_COUNT = 1000


@attrs.frozen
class Served:
    """A volume that is to be served.

    Attributes:
        config: Its configuration, as it is in force.
        record: What the state says.
        spec: The volume.
        members: Its members.
    """

    config: VolumeConfig
    record: VolumeRecord
    spec: VolumeSpec
    members: tuple[MemberSpec, ...]


class Catalogue:
    """The volumes of one data folder.

    Args:
        layout: Where things lie.
        store: The state.
        emit: Reports an event.
    """

    def __init__(self, layout: Layout, store: StateStore, emit: Callable[[Event], None]) -> None:
        self._layout = layout
        self._store = store
        self._emit = emit
        self._config: Config | None = None
        self._served: dict[str, Served] = {}
        self._left_out: set[str] = set()
        self._deleting: set[str] = set()
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

    def records(self) -> dict[str, VolumeRecord]:
        """Return what the state knows, by name."""
        return self._store.volumes()

    @property
    def deleting(self) -> frozenset[str]:
        """The volumes whose data are to go as soon as nothing of them runs."""
        return frozenset(self._deleting)

    # -- the config file ---------------------------------------------------------------------------

    def apply(self, config: Config, *, is_reload: bool) -> None:
        """Make what the config file and the state say what is served.

        Args:
            config: The config file.
            is_reload: What can't be done becomes an event and that volume stays as it was;
                otherwise it is raised and nothing after it is done.

        Raises:
            UsageError: A volume differs from what was created in what can't change.
            ConflictError: Its folders hold something else.
        """
        self._config = config
        records = self._store.volumes()
        served: dict[str, Served] = {}
        for volume in config.volumes:
            try:
                served[volume.name] = self._apply_file(volume, records.get(volume.name))
            except Exception as error:
                # A bug in a plugin's lifecycle must not end a server that runs.
                if not is_reload:
                    raise
                self._refuse(volume.name, error)
                if volume.name in self._served:
                    served[volume.name] = self._served[volume.name]
        for name, record in records.items():
            if name not in served:
                kept = self._apply_rest(record)
                if kept is not None:
                    served[name] = kept
        self._served = served
        self._left_out -= set(served)
        self.version += 1

    def _apply_file(self, volume: VolumeConfig, record: VolumeRecord | None) -> Served:
        mapping = _to_keep(volume, Owner.FILE)
        origin = self._origin(volume.name)
        if record is not None and record.phase is not Phase.READY:
            record = self._resume(record, mapping)
        if record is None:
            return self._make(volume, Owner.FILE, origin)
        _check_same(self._parse(record), volume, origin)
        if record.owner is Owner.STATE:
            self._tell(volume.name, "volume.owner-changed", f"{origin} owns it from now on")
        wanted = attrs.evolve(record, owner=Owner.FILE, mapping=mapping, origin=origin)
        if wanted != record:
            self._store.put_volume(wanted)
        return self._serve(volume, wanted)

    def _apply_rest(self, record: VolumeRecord) -> Served | None:
        """Return a volume that the file does not name, if it is to be served."""
        if record.phase is Phase.DELETING:
            # Its processes may be alive still: it goes when they have gone.
            self._deleting.add(record.name)
            return None
        if record.owner is Owner.FILE:
            self._leave_out(record)
            return None
        try:
            volume = self._parse(record)
            if record.phase is Phase.CREATING:
                return self._make(volume, record.owner, record.origin, record)
            return self._serve(volume, record)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are fine
            self._refuse(record.name, error)
            return None

    def _resume(self, record: VolumeRecord, mapping: Mapping[str, Any]) -> VolumeRecord | None:
        """Finish what a crash left; return None if the volume is to be made anew."""
        before = self._parse(record)
        if record.phase is Phase.CREATING and record.mapping == mapping:
            return self._make(before, record.owner, record.origin, record).record
        self._unmake(before, record)
        return None

    def _leave_out(self, record: VolumeRecord) -> None:
        if record.name in self._left_out:
            return
        self._left_out.add(record.name)
        self._tell(
            record.name,
            "volume.left-out",
            f"volume {record.name} is no longer in {self.config.file}: it is not served, its "
            f"data stay; `tierce volume delete {record.name}` removes them",
            "warning",
        )

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
        self._check_identity(volume)
        served = self._make(volume, Owner.STATE, "tierce volume create")
        self._served[volume.name] = served
        self.version += 1
        return served

    def begin_delete(self, name: str) -> None:
        """Note that the volume is to go, and stop serving it; durable on return.

        Raises:
            UsageError: There is none, or the config file owns it.
        """
        record = self.find(name)
        if any(volume.name == name for volume in self.config.volumes):
            raise UsageError(
                f"volume {name} belongs to {self._origin(name)}: remove it there and reload "
                "(SIGHUP to `tierce serve`), then delete it here"
            )
        self._store.put_volume(attrs.evolve(record, phase=Phase.DELETING))
        self._served.pop(name, None)
        self._deleting.add(name)
        self.version += 1

    def finish_delete(self, name: str) -> None:
        """Remove the volume's data and its record; nothing of it runs any more."""
        record = self.find(name)
        assert record.phase is Phase.DELETING, "begin_delete comes first"
        self._unmake(self._parse(record), record)
        self._deleting.discard(name)

    def claim(self, name: str) -> None:
        """Say that this server is to serve a volume that it was fenced from."""
        record = self.find(name)
        self._keep(attrs.evolve(record, fenced=""))

    def fence(self, name: str, reason: str) -> None:
        """Note that another writer has the volume: it is not served here until it is claimed."""
        record = self._store.volume(name)
        if record is not None:
            self._keep(attrs.evolve(record, fenced=reason or "another writer has it"))

    def adopt(self, folders: tuple[Path, ...], engine: str = "", frontend: str = "") -> Served:
        """Take a volume back into the state and serve it."""
        record = adopt_record(self._store, self.config.registry, folders, engine, frontend)
        volume = self._parse(record)
        self._check_identity(volume)
        served = self._serve(volume, record)
        self._store.put_volume(record)
        self._served[record.name] = served
        self.version += 1
        return served

    def events(self, name: str, count: int) -> list[dict[str, Any]]:
        """Return the last events about a volume, the oldest first."""
        subject = f"volume/{name}"
        found = [
            event
            for event in self._store.events(EVENT_LOOK_COUNT)
            if event["subject"] == subject or event["subject"].startswith(subject + "/")
        ]
        return found[-count:]

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

    def _make(
        self,
        volume: VolumeConfig,
        owner: Owner,
        origin: str,
        intent: VolumeRecord | None = None,
    ) -> Served:
        record = intent or VolumeRecord(
            name=volume.name,
            uuid=secrets.token_hex(16),
            created=round(time.time(), 3),
            owner=owner,
            phase=Phase.CREATING,
            mapping=_to_keep(volume, owner),
            origin=origin,
        )
        spec = spec_of(volume, record.uuid, record.created, self._layout)
        lifecycle = lifecycle_of(self.config.registry, volume.engine)
        self._store.put_volume(record)
        try:
            spec.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lifecycle.create(spec)
        except (TierceError, OSError) as error:
            self._store.drop_volume(volume.name)
            with contextlib.suppress(OSError):
                spec.folder.rmdir()
            if isinstance(error, ConflictError):
                raise explain_conflict(error, lifecycle, spec) from error
            if isinstance(error, OSError):
                raise ConflictError(f"volume {volume.name}: {error}") from error
            raise
        record = attrs.evolve(record, phase=Phase.READY)
        self._store.put_volume(record)
        self._tell(volume.name, "volume.created", f"volume {volume.name} was created")
        return self._serve(volume, record)

    def _unmake(self, volume: VolumeConfig, record: VolumeRecord) -> None:
        spec = spec_of(volume, record.uuid, record.created, self._layout)
        lifecycle_of(self.config.registry, volume.engine).delete(spec)
        with contextlib.suppress(OSError):
            spec.folder.rmdir()
        self._store.drop_volume(record.name)
        self._tell(record.name, "volume.deleted", f"volume {record.name} was deleted")

    def _serve(self, volume: VolumeConfig, record: VolumeRecord) -> Served:
        spec = spec_of(volume, record.uuid, record.created, self._layout)
        members = lifecycle_of(self.config.registry, volume.engine).members(spec)
        return Served(volume, record, spec, members)

    def _keep(self, record: VolumeRecord) -> None:
        self._store.put_volume(record)
        if record.name in self._served:
            self._served[record.name] = attrs.evolve(self._served[record.name], record=record)
            self.version += 1

    def _check_identity(self, volume: VolumeConfig) -> None:
        mine = self._identity(volume)
        for name, other in self._served.items():
            if other.config.frontend == volume.frontend and self._identity(other.config) == mine:
                raise UsageError(f"volume {name} is served as {mine} already")

    def _identity(self, volume: VolumeConfig) -> str:
        description = self.config.registry.frontends[volume.frontend]
        identity = resolve(description.identity)
        assert callable(identity), "a front end's identity is a function"
        section = self.config.frontends[volume.frontend]
        return str(identity(section, volume.name, volume.frontend_options))

    def _parse(self, record: VolumeRecord) -> VolumeConfig:
        return volume_from_mapping(
            record.mapping,
            self.config.registry,
            base=self._layout.data,
            origin=f"the state, volume {record.name}",
        )

    def _origin(self, name: str) -> str:
        return origin_of(self.config, name)

    def _refuse(self, name: str, error: Exception) -> None:
        why = str(error) if isinstance(error, TierceError) else repr(error)
        self._tell(name, "volume.refused", f"volume {name}: {why}", "error")

    def _tell(self, name: str, code: str, message: str, severity: str = "info") -> None:
        self._emit(Event(code, message, f"volume/{name}", severity))


def origin_of(config: Config, name: str) -> str:
    """Return "FILE:LINE" of a volume of the config file."""
    return str(config.origins.get(f"volumes.{name}", config.file))


def _to_keep(volume: VolumeConfig, owner: Owner) -> dict[str, Any]:
    """Return what the state keeps of a volume. Secrets that the config file has stay there."""
    return volume_to_mapping(volume, hide_secrets=owner is Owner.FILE)


def _check_same(before: VolumeConfig, now: VolumeConfig, origin: str) -> None:
    for key in ("size_bytes", "block_size", "engine"):
        was, wanted = getattr(before, key), getattr(now, key)
        if was != wanted:
            raise UsageError(
                f"{origin}: volume {now.name} was created with {key} {was}, the file says "
                f"{wanted}; this can't be changed. Say {was}, or use another name"
            )
