"""What stores can do beside keeping bytes: said and done agree, and what is not done refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tierce import StoreCapability, StoreContext, StoreUsage, UsageError
from tierce.store_capability import METHODS, StoreExtras, wrong_capabilities

PLACE = StoreContext(
    options=None, folder=Path("/"), size_bytes=512, block_size=512, uuid="00ff", member="a"
)


class Nothing(StoreExtras):
    """Keeps bytes."""


class Counts(StoreExtras):
    def usage(self) -> StoreUsage:
        return StoreUsage(used_bytes=512)


class Half(StoreExtras):
    def snapshot(self, name: str) -> None: ...


class Cloned(StoreExtras):
    @classmethod
    def clone(cls, context: StoreContext, source: StoreContext, snapshot: str) -> None: ...


class Inherits(Counts):
    """As what it is derived from."""


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (Nothing, StoreCapability.NONE),
        (Counts, StoreCapability.USAGE),
        (Inherits, StoreCapability.USAGE),
        (Cloned, StoreCapability.CLONE),
        (Half, StoreCapability.NONE),
    ],
)
def test_a_store_can_do_what_it_has_every_method_for(
    kind: type[StoreExtras], found: StoreCapability
) -> None:
    assert kind.capabilities() == found


@pytest.mark.parametrize(
    ("kind", "said", "why"),
    [
        (Nothing, StoreCapability.NONE, ""),
        (Counts, StoreCapability.USAGE, ""),
        (Nothing, StoreCapability.USAGE, "it declares USAGE, and has no usage of its own"),
        (Counts, StoreCapability.NONE, "it has a usage of its own, and does not declare USAGE"),
        (
            Half,
            StoreCapability.SNAPSHOTS,
            "it declares SNAPSHOTS, and has no delete_snapshot of its own",
        ),
        (
            Half,
            StoreCapability.NONE,
            "it has a snapshot of its own, and does not declare SNAPSHOTS",
        ),
    ],
)
def test_what_is_declared_and_what_is_there_agree(
    kind: type[StoreExtras], said: StoreCapability, why: str
) -> None:
    assert wrong_capabilities(kind, said) == why


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.usage(),
        lambda store: store.scrub(0, 512),
        lambda store: store.resize(1024),
        lambda store: store.snapshot("monday"),
        lambda store: store.delete_snapshot("monday"),
        lambda store: store.revert("monday"),
        lambda store: store.clone(PLACE, PLACE, "monday"),
    ],
)
def test_what_a_store_can_not_do_it_refuses_by_its_name(
    call: Callable[[StoreExtras], object],
) -> None:
    with pytest.raises(UsageError, match=r"the store Nothing can't (be|tell) "):
        call(Nothing())


def test_every_capability_has_methods_and_every_method_is_of_one() -> None:
    assert METHODS.keys() == set(StoreCapability)
    methods = [method for methods in METHODS.values() for method in methods]
    own = {name for name in vars(StoreExtras) if not name.startswith("_")}
    assert sorted(methods) == sorted(own - {"capabilities"})
