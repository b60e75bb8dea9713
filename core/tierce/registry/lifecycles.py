"""An engine's lifecycle and its store, from what their plugins declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tierce.errors import PluginError
from tierce.lifecycle import Lifecycle
from tierce.member_lifecycle import MemberLifecycle
from tierce.registry import Registry, blaming, is_promise, mistake, resolve
from tierce.spec import Finding, LocalVolume, MemberSpec, VolumeSpec
from tierce.store import Store, StoreChoice
from tierce.store_capability import wrong_capabilities

T = TypeVar("T")


def lifecycle_of(registry: Registry, engine: str) -> Lifecycle:
    """Return the lifecycle of an engine; what it does wrong is told by its plugin's name.

    Raises:
        PluginError: It is none.
    """
    description = registry.engines[engine]
    name = description.lifecycle
    if not name:
        return Lifecycle()
    arguments = (store_of(registry, description.store),) if description.store else ()
    with blaming(registry, "engine", engine, "making its lifecycle"):
        make = resolve(name)
        is_other = isinstance(make, type) and not issubclass(make, Lifecycle)
        missing = sorted(getattr(make, "__abstractmethods__", ()))
        if missing:
            why = f"its lifecycle {name} lacks the methods {', '.join(missing)}"
            raise PluginError(why, plugin=engine)
        lifecycle: Any = make(*arguments) if callable(make) and not is_other else None
        if not isinstance(lifecycle, Lifecycle):
            why = f"its lifecycle {name} is no class derived from tierce.Lifecycle"
            raise PluginError(why, plugin=engine)
    if isinstance(lifecycle, MemberLifecycle):
        return MistrustedMembers(lifecycle, registry, engine)
    return MistrustedLifecycle(lifecycle, registry, engine)


class MistrustedLifecycle(Lifecycle):
    """A plugin's lifecycle, called in the server's own process: what it raises but should not, and
    what it returns but must not, is told by the plugin's name and costs its volume.

    Args:
        inner: The plugin's.
        registry: The plugins.
        engine: The engine's name.
    """

    def __init__(self, inner: Lifecycle, registry: Registry, engine: str) -> None:
        self.inner = inner
        self._registry = registry
        self._engine = engine

    def create(self, volume: LocalVolume) -> None:
        """As the plugin's."""
        self._ask("create", partial(self.inner.create, volume))

    def delete(self, volume: LocalVolume) -> None:
        """As the plugin's."""
        self._ask("delete", partial(self.inner.delete, volume))

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        """As the plugin's."""
        members = self._ask("members", partial(self.inner.members, volume))
        given: Any
        for given in self._list("members", members):
            if not isinstance(given, MemberSpec):
                raise self._returned("members", given, "a tuple of tierce.MemberSpec")
        return tuple(members)

    def parts(self, volume: VolumeSpec) -> tuple[str, ...]:
        """As the plugin's."""
        return tuple(self._list("parts", self._ask("parts", partial(self.inner.parts, volume))))

    def check_change(self, before: LocalVolume, now: LocalVolume) -> None:
        """As the plugin's."""
        self._ask("check_change", partial(self.inner.check_change, before, now))

    def condemn(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """As the plugin's."""
        self._ask("condemn", partial(self.inner.condemn, volume, without))

    def spare(self, volume: LocalVolume) -> None:
        """As the plugin's."""
        self._ask("spare", partial(self.inner.spare, volume))

    def empty(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """As the plugin's."""
        self._ask("empty", partial(self.inner.empty, volume, without))

    def tidy(self, volume: LocalVolume, without: tuple[str, ...]) -> None:
        """As the plugin's."""
        self._ask("tidy", partial(self.inner.tidy, volume, without))

    def adopt(self, folders: tuple[Path, ...], without: tuple[str, ...] = ()) -> Mapping[str, Any]:
        """As the plugin's."""
        found: Any = self._ask("adopt", partial(self.inner.adopt, folders, without))
        return self._mapping("adopt", found)

    def loss(self, volume: LocalVolume, keep: str) -> str:
        """As the plugin's."""
        said: Any = self._ask("loss", partial(self.inner.loss, volume, keep))
        if not isinstance(said, str):
            raise self._returned("loss", said, "a sentence")
        return said

    def accept_loss(self, volume: LocalVolume, keep: str) -> None:
        """As the plugin's."""
        self._ask("accept_loss", partial(self.inner.accept_loss, volume, keep))

    def _ask(self, method: str, call: Callable[[], T]) -> T:
        with blaming(self._registry, "engine", self._engine, f"{method} of its lifecycle"):
            answer = call()
        if is_promise(answer):
            why = f"{method} of its lifecycle is an `async def`; nobody awaits it"
            raise mistake(self._registry, "engine", self._engine, why)
        return answer

    def _mapping(self, method: str, given: Any) -> Mapping[str, Any]:
        if not isinstance(given, Mapping):
            raise self._returned(method, given, "a mapping")
        return given

    def _list(self, method: str, given: Any) -> Any:
        if not isinstance(given, tuple | list):
            raise self._returned(method, given, "a tuple")
        return given

    def _returned(self, method: str, given: object, expected: str) -> PluginError:
        why = f"{method} of its lifecycle returned {type(given).__name__}; expected {expected}"
        return mistake(self._registry, "engine", self._engine, why)


class MistrustedMembers(MistrustedLifecycle, MemberLifecycle):
    """A plugin's lifecycle whose members are made and removed apart, called as any is.

    Args:
        inner: The plugin's.
        registry: The plugins.
        engine: The engine's name.
    """

    inner: MemberLifecycle

    def create_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """As the plugin's."""
        self._ask("create_member", partial(self.inner.create_member, volume, member))

    def delete_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """As the plugin's."""
        self._ask("delete_member", partial(self.inner.delete_member, volume, member))

    def condemn_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """As the plugin's."""
        self._ask("condemn_member", partial(self.inner.condemn_member, volume, member))

    def spare_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """As the plugin's."""
        self._ask("spare_member", partial(self.inner.spare_member, volume, member))

    def empty_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """As the plugin's."""
        self._ask("empty_member", partial(self.inner.empty_member, volume, member))

    def tidy_member(self, volume: VolumeSpec, member: MemberSpec) -> None:
        """As the plugin's."""
        self._ask("tidy_member", partial(self.inner.tidy_member, volume, member))

    def adopt_member(self, folder: Path) -> Mapping[str, Any]:
        """As the plugin's."""
        found: Any = self._ask("adopt_member", partial(self.inner.adopt_member, folder))
        return self._mapping("adopt_member", found)

    def adopt_found(
        self, findings: tuple[Finding, ...], without: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """As the plugin's."""
        found: Any = self._ask("adopt_found", partial(self.inner.adopt_found, findings, without))
        return self._mapping("adopt_found", found)


def store_of(registry: Registry, name: str) -> StoreChoice:
    """Return the store of that name.

    Raises:
        PluginError: It is none.
    """
    factory = registry.stores[name].factory
    with blaming(registry, "store", name, "being imported"):
        kind = resolve(factory)
        if not (isinstance(kind, type) and issubclass(kind, Store)):
            raise PluginError(f"{factory} is no class derived from tierce.Store", plugin=name)
        missing = sorted(kind.__abstractmethods__)
        if missing:
            raise PluginError(f"{factory} lacks the methods {', '.join(missing)}", plugin=name)
        wrong = wrong_capabilities(kind, registry.stores[name].capabilities)
        if wrong:
            raise PluginError(f"{factory}: {wrong}", plugin=name)
    return StoreChoice(name, kind, registry.stores[name].options)
