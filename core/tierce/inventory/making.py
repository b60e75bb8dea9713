"""Making volumes: intent into the state, then what the engine needs, then "ready" into the state.

A crash in between leaves an intent whose uuid the folders carry, and the next try goes on from it.
"""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Callable
from typing import Any

import attrs

from tierce.config import leaves, volume_to_mapping
from tierce.config.quantity import format_size
from tierce.errors import ConflictError, TierceError, UsageError, explain
from tierce.inventory.adoption import explain_conflict
from tierce.inventory.apart import do_whole
from tierce.inventory.engines import Engines, Served
from tierce.inventory.errands import Errand
from tierce.process.works import Call
from tierce.spec import Event, VolumeSpec
from tierce.state import Owner, Phase, VolumeRecord
from tierce.state.store import StateStore


class Making:
    """Makes the volumes of one data folder.

    Args:
        store: The state.
        engines: Their engines.
        emit: Reports an event.
    """

    def __init__(self, store: StateStore, engines: Engines, emit: Callable[[Event], None]) -> None:
        self._store = store
        self._engines = engines
        self._emit = emit
        #: The volumes that were made since the server started.
        self.made: set[str] = set()
        #: The volumes that are being made, by name.
        self.under_way: dict[str, VolumeSpec] = {}

    def make(self, volume: VolumeSpec, owner: Owner, origin: str) -> Errand[Served]:
        """Make a volume that there is not.

        Raises:
            ConflictError: Its folders hold something else, or can't be made.
            TierceError: The engine says no.
        """
        intent = VolumeRecord(
            name=volume.name,
            uuid=secrets.token_hex(16),
            created=round(time.time(), 3),
            owner=owner,
            phase=Phase.CREATING,
            mapping=to_keep(volume, owner),
            origin=origin,
        )
        return (yield from self._make(volume, intent))

    def resume(self, intent: VolumeRecord) -> Errand[Served]:
        """Go on with a creation that a crash cut off; raises as `make`."""
        return (yield from self._make(self._engines.parse(intent), intent))

    def give_up(self, record: VolumeRecord) -> Errand[None]:
        """Undo a creation, whole or cut off, and forget it. What can't be undone is told."""
        name = record.name
        try:
            volume = self._engines.parse(record)
            yield from do_whole(self._engines.registry, Call.DELETE, volume)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest is not kept by it
            message = f"volume {name} was not made, and something is left of it: {explain(error)}"
            self._tell(name, "volume.left-over", message, "warning")
        try:
            self._store.drop_volume(name)
        except TierceError as error:
            message = f"volume {name} was not made; the next start tries again: {error}"
            self._tell(name, "volume.left-over", message, "warning")

    def _make(self, volume: VolumeSpec, record: VolumeRecord) -> Errand[Served]:
        name = volume.name
        began_ns = time.monotonic_ns()
        volume = self._engines.identify(volume, record)
        self._store.put_volume(record)
        self.under_way[name] = volume
        try:
            yield from do_whole(self._engines.registry, Call.CREATE, volume)
        except Exception as error:
            # Whatever it is, a bug in a plugin's lifecycle included: nothing of it is to stay.
            yield from self.give_up(record)
            if isinstance(error, ConflictError):
                raise (
                    yield from explain_conflict(error, self._store, self._engines.registry, volume)
                ) from error
            if isinstance(error, OSError) and error.errno == errno.EFBIG:
                raise UsageError(
                    f"volume {name}: {format_size(volume.size_bytes)} is too large for a file "
                    f"there: {explain(error)}. The file system, or a limit on file sizes (ulimit "
                    "-f), allows less: make it smaller, or choose another place"
                ) from error
            if isinstance(error, OSError):
                raise ConflictError(f"volume {name}: {explain(error)}") from error
            raise
        finally:
            del self.under_way[name]
        record = attrs.evolve(record, phase=Phase.READY)
        self._store.put_volume(record)
        self.made.add(name)
        took_ns = time.monotonic_ns() - began_ns
        self._tell(name, "volume.created", f"volume {name} was created, empty", took_ns=took_ns)
        return self._engines.serve(volume, record)

    def _tell(
        self, name: str, code: str, message: str, severity: str = "info", **fields: int
    ) -> None:
        self._emit(Event(code, message, f"volume/{name}", severity, dict(fields)))


def to_keep(volume: VolumeSpec, owner: Owner) -> dict[str, Any]:
    """Return what the state keeps of a volume. Secrets that the config file has stay there."""
    return volume_to_mapping(volume, hide_secrets=owner is Owner.FILE)


def has_secrets(volume: VolumeSpec) -> bool:
    """True if the volume has a secret set, which the state does not keep."""
    filters = (one for _, one in volume.filters)
    exports = (one.options for one in volume.exports)
    options = [volume.engine_options, *exports, *filters]
    if volume.store_options is not None:
        options.append(volume.store_options)
    return any(info.secret for one in options for _key, info, _value in leaves(one, ""))
