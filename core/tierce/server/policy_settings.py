"""What policies set of the volumes that are served, as it is in force, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from tierce.config import Config
from tierce.inventory.planning import Inventory
from tierce.inventory.policy_settings import PolicySet, Refusal, Setting, settle
from tierce.process.paths import Paths
from tierce.process.wanted_settings import Wanted, read_wanted
from tierce.spec import Event


class PolicySettings:
    """What the policy documents of one server set.

    Args:
        paths: Where their process says what they want.
        emit: Reports an event.
    """

    def __init__(self, paths: Paths, emit: Callable[[Event], None]) -> None:
        self._path = paths.policy_settings
        self._emit = emit
        #: What documents have wanted under a former server goes on.
        self._wanted: Wanted = read_wanted(self._path)
        self._is_first = True
        #: Counts changes of what is wanted.
        self.version = 0
        #: What is set now.
        self.in_force = PolicySet()

    def read(self) -> None:
        """The documents may want something else."""
        wanted = read_wanted(self._path)
        if wanted != self._wanted:
            self._wanted = wanted
            self.version += 1

    def forget_others(self, config: Config) -> None:
        """Forget what documents wanted that the config file has no more: one of the same name that
        comes later is another one."""
        names = {document.name for document in config.policies}
        self._wanted = {name: one for name, one in self._wanted.items() if name in names}

    def settle(self, inventory: Inventory) -> PolicySet:
        """Say what policies set of these volumes. Changes nothing."""
        return settle(inventory.config.policies, inventory.served, self._wanted)

    def use(self, inventory: Inventory) -> PolicySet:
        """Have that in force from now on, and tell what is another than before."""
        before, self.in_force = self.in_force, self.settle(inventory)
        self._tell_refused(inventory.config, set(before.refused))
        # A former server has told what goes on.
        if not self._is_first:
            for name in inventory.served:
                self._tell_changes(name, before)
        self._is_first = False
        return self.in_force

    def _tell_refused(self, config: Config, told: set[Refusal]) -> None:
        kinds = {document.name: document.kind for document in config.policies}
        for one in self.in_force.refused:
            if one not in told:
                kind = kinds[one.policy]
                whose = f"handler {kind} of {config.registry.origin('policy handler', kind)}"
                message = (
                    f"policy {one.policy} can't set all that it wants of volume {one.volume}: "
                    f"{one.why} ({whose})"
                )
                subject = f"policy/{one.policy}"
                self._emit(Event("policy.setting-refused", message, subject, "error"))

    def _tell_changes(self, volume: str, before: PolicySet) -> None:
        was, now = (one.settings.get(volume, {}) for one in (before, self.in_force))
        for key in dict.fromkeys((*was, *now)):
            for code, text in _changes(key, was.get(key), now.get(key)):
                message = f"volume {volume}: {text}"
                self._emit(Event(code, message, f"volume/{volume}"))


def _changes(key: str, was: Setting | None, now: Setting | None) -> Iterator[tuple[str, str]]:
    if now is None and was is not None:
        text = f"policy {was.policy} does not set {key} any more: its own value is back"
        yield "policy.unset", text
    elif now is not None and (was is None or (was.policy, was.value) != (now.policy, now.value)):
        value, own = (json.dumps(one) for one in (now.value, now.own))
        yield "policy.set", f"policy {now.policy} sets {key} to {value}; without it, it is {own}"
