"""What may keep a server from starting: that nothing can be served, or, if it is strict, that not
everything can."""

from __future__ import annotations

from collections.abc import Mapping

from tierce.config import Config, portal_sections
from tierce.errors import TemporaryError, TierceError
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.process.listening import open_listener
from tierce.process.plan import Role
from tierce.process.refusals import join_refusals
from tierce.supervision.child import Child


class Starting:
    """Whether a server serves. It knows as soon as one volume can be served, or none can; a strict
    one when all of its config file is applied.

    Args:
        config: The config file.
        inventory: The volumes; the file is being applied to them.
        ports: Why addresses can't be listened at, as `try_ports` says.
        is_strict: Everything has to be served.
    """

    def __init__(
        self,
        config: Config,
        inventory: VolumeInventory,
        ports: Mapping[str, Mapping[str, Exception]],
        *,
        is_strict: bool,
    ) -> None:
        self._config = config
        self._inventory = inventory
        self._ports = ports
        self._is_strict = is_strict
        self.is_decided = False
        #: Why it can't serve.
        self.error: TierceError | None = None

    def look(self) -> None:
        """See whether it can be told now."""
        inventory = self._inventory
        served_count = len(inventory.served)
        if inventory.pending and (self._is_strict or not served_count):
            return
        try:
            check_start(
                self._config,
                self._ports,
                inventory.errors,
                served_count=served_count,
                is_strict=self._is_strict,
            )
        except TierceError as error:
            if inventory.pending:
                return
            self.error = error
        self.is_decided = True

    def concerns(self, child: Child, *, is_stopping: bool) -> bool:
        """True of a process that is to be as it is desired; False of one that is left alone."""
        if is_stopping:
            # One that can't start ends what it has started, and nothing that served before.
            return self.error is None or not child.is_adopted
        if self.is_decided:
            return not child.plan.role.is_called_for
        return child.plan.role is Role.FORK_SERVER


def try_ports(config: Config) -> dict[str, dict[str, Exception]]:
    """Return why addresses can't be listened at, by front end and address."""
    refused: dict[str, dict[str, Exception]] = {}
    for name, section in portal_sections(config).items():
        for address in section.listen:
            try:
                open_listener(address).close()
            except (TierceError, OSError) as error:
                refused.setdefault(name, {})[address] = error
    return refused


def check_start(
    config: Config,
    ports: Mapping[str, Mapping[str, Exception]],
    volumes: Mapping[str, Exception],
    *,
    served_count: int,
    is_strict: bool,
) -> None:
    """See whether a server can start.

    Args:
        config: The config file.
        ports: Why addresses can't be listened at, as `try_ports` says.
        volumes: Why volumes can't be served as the file says, by name.
        served_count: How many are served all the same.
        is_strict: Everything has to be served.

    Raises:
        TierceError: It can't: what is wrong, and all of it.
    """
    errors: dict[str, Exception] = {}
    if is_strict or not _can_listen(config, ports):
        for name, found in ports.items():
            errors |= {f"frontends.{name}: {address}": one for address, one in found.items()}
    if is_strict or not served_count:
        errors |= {f"volume {name}": one for name, one in volumes.items()}
    if not errors:
        return
    only = next(iter(errors.values()))
    if len(errors) == 1 and isinstance(only, TierceError):
        raise only
    raise join_refusals("this can't be served", errors)


def _can_listen(config: Config, ports: Mapping[str, Mapping[str, Exception]]) -> bool:
    """True if one of the front ends that are used can be reached, now or when its network is up:
    the portal waits for an address that is only missing now."""
    sections = portal_sections(config)
    used = {one.frontend for volume in config.volumes for one in volume.exports} or set(sections)
    for name in used:
        if name not in sections:
            return True  # It listens itself, in each target.
        for address in sections[name].listen:
            error = ports.get(name, {}).get(address)
            if error is None or isinstance(error, TemporaryError):
                return True
    return not used
