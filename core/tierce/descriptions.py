"""What a hook returns: descriptions, never live objects, so that listing loads nothing heavy.

A `factory` is a string "package.module:name", imported only when the thing is started, in the
process that it runs in.

All fields are named where a description is made, and each is held against its type when the
registry is built. `contract` has no default: core's own number would say nothing of the plugin.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs

from tierce.block.device import Concurrency
from tierce.block.operation import NO_FLAGS, Flag
from tierce.options import NoOptions
from tierce.spec import Severity
from tierce.store_capability import StoreCapability

#: The version of the plugin contract that this core speaks. A plugin states, as a number of its own
#: (`contract=2`), the one that it was written for; core refuses a newer one, and says which of the
#: two to upgrade.
CONTRACT = 2


@attrs.frozen(kw_only=True)
class StoreDescription:
    """Keeps one replica's bytes.

    Attributes:
        name: What the config calls it.
        summary: One sentence.
        factory: Class derived from `tierce.Store`.
        options: Option class of a volume's `store_options:`.
        capabilities: What it can do beside keeping bytes: what its class has methods of its own
            for, and nothing else.
    """

    name: str
    summary: str
    factory: str
    options: type[Any] = NoOptions
    capabilities: StoreCapability = StoreCapability.NONE
    contract: int


@attrs.frozen(kw_only=True)
class ReplicatorDescription:
    """Keeps N stores equal and shows them as one device.

    Attributes:
        name: What the config calls it.
        summary: One sentence.
        factory: `(OpenContext) -> Device`.
        member: `(MemberContext) -> Member`.
        lifecycle: Class derived from `tierce.MemberLifecycle`, called with a `StoreChoice`: for the
            engines that pair it with a store and name no lifecycle.
        options: Option class: for the engines that pair it with a store and have no options.
    """

    name: str
    summary: str
    factory: str
    member: str
    lifecycle: str = ""
    options: type[Any] = NoOptions
    contract: int


@attrs.frozen(kw_only=True)
class EngineDescription:
    """What `engine:` of a volume may name: a device of its own, or a replicator over a store.

    Attributes:
        name: What the config calls it.
        summary: One sentence.
        factory: `(OpenContext) -> Device | SimpleDevice`; or empty, and the replicator's is used.
        lifecycle: Class derived from `tierce.Lifecycle`, or from `tierce.MemberLifecycle` if it has
            members, called without arguments, or with a `StoreChoice` where `store` is named; or
            empty, and the replicator's is used. Without either there is nothing to make on disk,
            and no members.
        concurrency: Where its calls may run, if it has a factory: a replicator's takes batches.
        durable: For a SimpleDevice: what was flushed survives a restart.
        options: Option class, of the volume's `options:`; `NoOptions`, and the replicator's is
            used.
        replicator: Name of the replicator, for a pairing.
        store: Name of the store, for a pairing.
    """

    name: str
    summary: str
    factory: str = ""
    lifecycle: str = ""
    concurrency: Concurrency = Concurrency.SERIAL
    durable: bool = True
    options: type[Any] = NoOptions
    replicator: str = ""
    store: str = ""
    contract: int


class Listens(enum.Enum):
    """Who has the listening sockets of a front end."""

    #: The portal, one process for all volumes: the front end's section has a `listen`, and a
    #: connection router says which volume's target a connection goes to.
    PORTAL = "portal"
    #: The front end's own part in each target (TLS, a Unix socket, vhost-user).
    ITSELF = "itself"


@attrs.frozen(kw_only=True)
class FrontendDescription:
    """What `frontend:` of a volume, or of one of its `exports:`, may name.

    Attributes:
        name: What the config calls it.
        summary: One sentence.
        factory: `(FrontendContext) -> Frontend`, in the target process.
        listens: Who listens for it.
        router: `(options, local: tuple[str, int], remote: tuple[str, int]) -> ConnectionRouter`, in
            the portal process. Empty for one that listens itself.
        options: Option class of its section under `frontends:`. If the portal listens for it, that
            has a field `listen`: tuple[str, ...] of "HOST:PORT".
        volume_options: Option class of a volume's `frontend_options:`.
        usage: `(options, volume: LocalVolume, export: Export) -> dict[str, str]`: how to use the
            volume through this export; "url" and one entry per tool, a command to type. Shown by
            `serve` and `volume show`. One that listens itself says here where.
        identity: `(options, volume_name, volume_options) -> str`: what must be unique among all
            volumes of this front end (the IQN), for the config check.
        counts: It counts what it answers in the stage "volume". Without it core counts there what
            reaches the device.
    """

    name: str
    summary: str
    factory: str
    listens: Listens = Listens.PORTAL
    router: str = ""
    usage: str
    identity: str
    options: type[Any] = NoOptions
    volume_options: type[Any] = NoOptions
    counts: bool = False
    advice: str = ""
    contract: int


@attrs.frozen(kw_only=True)
class FilterDescription:
    """A device over a device.

    Attributes:
        name: What the config calls it.
        summary: One sentence.
        factory: `(OpenContext, Device) -> Device`; of `Concurrency.SERIAL` `(OpenContext, Below) ->
            SimpleFilter`.
        operations: Names of the operations (`tierce.Op`) that it knows. Core refuses every other
            one before it reaches the filter: default-deny.
        flags: The flags (`tierce.Flag`) that it knows, or passes on as they are. Of what it does
            not know, core makes what it can above the filter (FUA: a write and a flush), and
            refuses the rest.
        concurrency: `BATCH`: it takes batches, on the data thread. `SERIAL`: it is on the simple
            level, and called for one I/O after the other on a thread of its own; it knows no flags
            and no COMPARE_AND_WRITE.
        options: Option class.
    """

    name: str
    summary: str
    factory: str
    operations: frozenset[str]
    flags: Flag = NO_FLAGS
    concurrency: Concurrency = Concurrency.BATCH
    options: type[Any] = NoOptions
    contract: int


class Scope(enum.Enum):
    """What there is one process of a service for."""

    #: Each node.
    NODE = "node"
    #: The one node that holds control: where there is one node, that.
    CONTROL = "control"
    #: Each pool. A config file that names such a service is refused: there are no pools yet.
    POOL = "pool"
    #: Each volume that the section's `selector` names, or each one: while it is served here.
    VOLUME = "volume"


@attrs.frozen(kw_only=True)
class ServiceDescription:
    """A process of the plugin's own beside the data processes: an exporter, a watcher, an API.

    Attributes:
        name: What the config calls it.
        summary: One sentence.
        factory: `(ServiceContext) -> Service`.
        options: Option class; of `Scope.VOLUME`, without an option `selector`.
        scope: What there is one process for.
    """

    name: str
    summary: str
    factory: str
    options: type[Any] = NoOptions
    scope: Scope = Scope.NODE
    contract: int


@attrs.frozen(kw_only=True)
class PolicyHandlerDescription:
    """Makes what a policy document says happen.

    Attributes:
        kind: The `kind:` of the documents that it takes.
        summary: One sentence.
        factory: `(policy: Policy, volumes: Mapping[str, Mapping[str, Any]], now: float) ->
            Evaluation`: what is wanted for one document, from what is given and nothing else.
            Called when documents or volumes change and at `Evaluation.next_at`, with the settings
            of the volumes that the document selects and the time in seconds since the epoch;
            within 5 s.
        options: Option class of a document's `parameters:`.
    """

    kind: str
    summary: str
    factory: str
    options: type[Any] = NoOptions
    contract: int

    @property
    def name(self) -> str:
        """The kind, so that every description has a name."""
        return self.kind


@attrs.frozen(kw_only=True)
class EventDescription:
    """A kind of event that the plugin emits; of these docs are made.

    Attributes:
        code: Its code: dotted, lower case, never another meaning: "jiva.replica.voted-out".
        severity: The gravest that it is told with.
        summary: One sentence: what has happened.
        todo: What to do; empty if nothing has to be done.
    """

    code: str
    severity: Severity
    summary: str
    todo: str = ""
    contract: int

    @property
    def name(self) -> str:
        """The code, so that every description has a name."""
        return self.code


#: What is made of a factory, and has options.
Startable = (
    StoreDescription
    | ReplicatorDescription
    | EngineDescription
    | FrontendDescription
    | FilterDescription
    | ServiceDescription
    | PolicyHandlerDescription
)
Description = Startable | EventDescription
