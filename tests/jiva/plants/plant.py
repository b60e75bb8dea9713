"""A rule broken on purpose, to see that the simulator notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import pytest

from jiva.simulation import World

Patch = Callable[[pytest.MonkeyPatch], None]


@attrs.frozen
class Plant:
    """One clause of the rules, left out.

    Attributes:
        patch: Leaves it out, until the patch is undone. Its docstring says what happens then.
        area: What it belongs to.
    """

    patch: Patch
    area: str

    @property
    def name(self) -> str:
        """What it is called."""
        return self.patch.__name__

    @property
    def clause(self) -> str:
        """What it does, in a sentence."""
        return " ".join((self.patch.__doc__ or "").split())


def plants_of(area: str, patches: Iterable[Patch]) -> tuple[Plant, ...]:
    """Return an area's plants."""
    return tuple(Plant(patch, area) for patch in patches)


def leave_out(patch: pytest.MonkeyPatch, owner: type, name: str, result: Any = None) -> None:
    """Let a method do nothing."""
    patch.setattr(owner, name, lambda *_args, **_kw: result)


def wrap(patch: pytest.MonkeyPatch, owner: type, name: str, method: Callable[..., Any]) -> None:
    """Replace a method by one that gets the genuine one first."""
    genuine = getattr(owner, name)
    patch.setattr(owner, name, lambda *args, **kw: method(genuine, *args, **kw))


def on_targets(patch: pytest.MonkeyPatch, change: Callable[[Any], None]) -> None:
    """Change each replicator as it is made."""
    genuine = World.start_target

    def start_target(self: World) -> Any:
        target = genuine(self)
        change(target.replicator)
        return target

    patch.setattr(World, "start_target", start_target)


def change_promises(patch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let an opening be decided from promises that say something else."""
    from tierce_jiva.opening import choose  # noqa: PLC0415 - the genuine one, at this time

    def chosen(members: Any, promises: Any, *args: Any, **kw: Any) -> Any:
        changed = {name: attrs.evolve(one, **changes) for name, one in promises.items()}
        return choose(members, changed, *args, **kw)

    patch.setattr("tierce_jiva.opener.choose", chosen)


def change_opening(patch: pytest.MonkeyPatch, change: Callable[[Any, Any], Any]) -> None:
    """Let an opening be decided otherwise: `change(found, promises)`."""
    from tierce_jiva.opening import Opening, choose  # noqa: PLC0415 - the genuine one

    def chosen(members: Any, promises: Any, *args: Any, **kw: Any) -> Any:
        found = choose(members, promises, *args, **kw)
        return change(found, promises) if isinstance(found, Opening) else found

    patch.setattr("tierce_jiva.opener.choose", chosen)
