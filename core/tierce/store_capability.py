"""What a store can do beside keeping bytes."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from tierce.errors import UsageError
from tierce.store_contexts import StoreContext


class StoreCapability(enum.Flag):
    """What a store says that it can do (`StoreDescription.capabilities`). Its class has methods of
    its own for just that: a store that says one thing and is another is refused by name.

    Attributes:
        NONE: It keeps bytes.
        USAGE: It knows how much of its medium it takes.
        SCRUB: It can tell bytes that are not as they were written.
        RESIZE: It can become larger.
        SNAPSHOTS: It keeps what it held at a time, deletes that, and goes back to it.
        CLONE: It can begin as a snapshot of another one.
    """

    NONE = 0
    USAGE = enum.auto()
    SCRUB = enum.auto()
    RESIZE = enum.auto()
    SNAPSHOTS = enum.auto()
    CLONE = enum.auto()


#: The methods of `Store` that a store with a capability has of its own.
METHODS: Mapping[StoreCapability, tuple[str, ...]] = {
    StoreCapability.USAGE: ("usage",),
    StoreCapability.SCRUB: ("scrub",),
    StoreCapability.RESIZE: ("resize",),
    StoreCapability.SNAPSHOTS: ("snapshot", "delete_snapshot", "revert"),
    StoreCapability.CLONE: ("clone",),
}


@attrs.frozen(kw_only=True)
class StoreUsage:
    """How much of its medium a store takes.

    Attributes:
        used_bytes: What would be free without it.
    """

    used_bytes: int


class StoreExtras:
    """What a store may be able to do beside keeping bytes. Each method refuses by name until a
    store has it of its own, and declares that.

    Since: contract 2.
    """

    @classmethod
    def capabilities(cls) -> StoreCapability:
        """Return what the class has methods of its own for: what its description declares. Core's
        own, and not to be overridden.

        Thread: data thread, and server.
        Blocking: no.
        Failure: it raises nothing.
        """
        found = StoreCapability.NONE
        for capability, methods in METHODS.items():
            if all(_is_own(cls, method) for method in methods):
                found |= capability
        return found

    def usage(self) -> StoreUsage:
        """Return how much of its medium the store takes; `tierce volume show` tells it. Capability
        USAGE.

        Thread: worker thread, when the replica has started and each minute.
        Blocking: yes.
        Failure: it is not told.
        """
        raise self._refusal("tell how much it takes")

    def scrub(self, offset: int, length: int) -> list[tuple[int, int]]:
        """Hold the extent against what the store knows of it, and return which parts are not as
        they were written: offset and length of each. Capability SCRUB; jiva's replicas have the
        action `scrub` then.

        Thread: worker thread.
        Blocking: yes.
        Failure: the action fails.
        """
        del offset, length
        raise self._refusal("be scrubbed")

    def resize(self, size_bytes: int) -> None:
        """Be larger: what is added reads as zeroes. On return that survives loss of power.
        Capability RESIZE. No replicator calls it yet.

        Thread: worker thread.
        Blocking: yes.
        Failure: the volume stays as it is.
        """
        del size_bytes
        raise self._refusal("be made larger")

    def snapshot(self, name: str) -> None:
        """Keep what every byte is now under a name that is new. On return that survives loss of
        power; nothing is written meanwhile. Capability SNAPSHOTS. No replicator calls it yet.

        Thread: worker thread.
        Blocking: yes.
        Failure: there is no such snapshot.
        """
        del name
        raise self._refusal("be snapshotted")

    def delete_snapshot(self, name: str) -> None:
        """Forget a snapshot; one that is not there is success. On return that survives loss of
        power. Capability SNAPSHOTS. No replicator calls it yet.

        Thread: worker thread.
        Blocking: yes.
        Failure: it is called again.
        """
        del name
        raise self._refusal("be snapshotted")

    def revert(self, name: str) -> None:
        """Make every byte what it was when the snapshot was taken, which stays. On return that
        survives loss of power; nothing is read or written meanwhile. Capability SNAPSHOTS. No
        replicator calls it yet.

        Thread: worker thread.
        Blocking: yes.
        Failure: it is called again before anything is read.
        """
        del name
        raise self._refusal("be snapshotted")

    @classmethod
    def clone(cls, context: StoreContext, source: StoreContext, snapshot: str) -> None:
        """Make the bytes, as `create` does, but those of a snapshot of another replica on this
        node. Capability CLONE. No replicator calls it yet.

        Thread: work process.
        Blocking: yes.
        Failure: the volume is not made.
        """
        del context, source, snapshot
        raise UsageError(f"the store {cls.__name__} can't be cloned")

    def _refusal(self, what: str) -> UsageError:
        return UsageError(f"the store {type(self).__name__} can't {what}")


def wrong_capabilities(kind: type[StoreExtras], said: StoreCapability) -> str:
    """Return in what a store's class is not what its description says; empty if it is."""
    for capability, methods in METHODS.items():
        own = [method for method in methods if _is_own(kind, method)]
        missing = [method for method in methods if method not in own]
        if capability in said and missing:
            return f"it declares {capability.name}, and has no {missing[0]} of its own"
        if capability not in said and own:
            return f"it has a {own[0]} of its own, and does not declare {capability.name}"
    return ""


def _is_own(kind: type[StoreExtras], method: str) -> bool:
    # By the function: a class method is another object each time.
    own, inherited = getattr(kind, method), getattr(StoreExtras, method)
    return getattr(own, "__func__", own) is not getattr(inherited, "__func__", inherited)
