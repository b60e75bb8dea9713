"""A plugin of a stranger who makes every mistake, each when an option says so.

`mistake: read: raises` makes the engine's `read` raise what it should not; a part without a mistake
does what it should.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

import tierce
from tierce import GOOD, Completed, Request, Status, hookimpl, option

OPERATIONS = frozenset({"READ", "WRITE", "FLUSH"})
#: Descriptors that nobody closes.
LEAKED: list[int] = []


@attrs.frozen
class Options:
    """What any part of it takes."""

    mistake: str = option(doc="What it does wrong.", default="")
    live: str = option(doc="What changes while it runs.", default="", live=True)

    def check(self) -> str | None:
        """Fail, if that is the mistake."""
        does(self.mistake, "check")
        return None


@attrs.frozen
class Section(Options):
    """The front end's section."""

    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",))


def does(mistake: str, method: str) -> Any:
    """Make the mistake of a method, if it is this one; return what the method is to return."""
    where, _, what = mistake.partition(": ")
    if where != method:
        return None
    if what == "raises":
        raise KeyError("table")
    if what == "exits":
        sys.exit(3)
    if what == "hangs":
        threading.Event().wait()
    if what == "ends the process":
        os._exit(0)
    if what == "crashes":
        ctypes.string_at(0)
    if what == "prints":
        print("to a screen that is not there\n" * 1000)
    if what == "leaks":
        LEAKED.extend(os.open(os.devnull, os.O_RDONLY) for _count in range(500))
    return {"returns bytes": b"some", "returns text": "some", "is async": promise}.get(what)


async def promise() -> None:
    """Do nothing: nobody awaits it."""


# -- engines ---------------------------------------------------------------------------------------


class Engine(tierce.SimpleDevice):
    """Memory, on the simple level."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.mistake = context.options.mistake
        does(self.mistake, "making")
        volume = context.volume
        self.data = bytearray(volume.size_bytes)
        if self.mistake == "geometry: smaller":
            self.geometry: Any = tierce.Geometry(volume.size_bytes // 2, volume.block_size)
        elif self.mistake == "geometry: other block":
            self.geometry = tierce.Geometry(volume.size_bytes, 4096)
        elif self.mistake == "geometry: none":
            self.geometry = volume.size_bytes

    def read(self, offset: int, buffer: memoryview) -> Any:
        """Fill the buffer."""
        buffer[:] = self.data[offset : offset + len(buffer)]
        return does(self.mistake, "read")

    def write(self, offset: int, data: memoryview) -> Any:
        """Store the bytes."""
        self.data[offset : offset + len(data)] = data
        made = does(self.mistake, "write")
        return made() if callable(made) else None

    def flush(self) -> None:
        """Do what the mistake says."""
        does(self.mistake, "flush")

    def extents(self, offset: int, length: int) -> Iterable[tierce.Extent]:
        """Tell of one extent; too short a one, if that is the mistake."""
        does(self.mistake, "extents")
        short = 512 if self.mistake == "extents: gap" else 0
        return [tierce.Extent(offset, length - short, is_hole=False)]

    def close(self) -> None:
        """Do what the mistake says."""
        does(self.mistake, "close")


class AsyncEngine(Engine):
    """Reads when somebody awaits it."""

    async def read(self, offset: int, buffer: memoryview) -> None:  # type: ignore[override]
        """Fill nothing."""


class HalfEngine:
    """Has no `write`."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.context = context

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill nothing."""


class Batches(tierce.BaseDevice):
    """Answers everything at once, or as the mistake says."""

    def __init__(self, context: tierce.OpenContext) -> None:
        self.mistake = context.options.mistake
        self.context = context
        self.geometry = tierce.Geometry(context.volume.size_bytes, context.volume.block_size)
        self.completed: Completed = lambda _requests: None
        self.asked: list[Request] = []
        if self.mistake == "capabilities: none":
            self.capabilities: Any = None
        elif self.mistake == "capabilities: text":
            self.capabilities = "all"

    def submit(self, batch: list[Request], completed: Completed) -> Any:
        """Answer, or make the mistake."""
        made = does(self.mistake, "submit")
        if made is not None:
            return made
        self.completed, self.asked = completed, list(batch)
        if self.mistake == "completes: never":
            return None
        for request in batch:
            request.status = "good" if self.mistake == "status: text" else GOOD  # type: ignore[assignment]
        if self.mistake == "completes: from within":
            completed(batch)
        return None

    def again(self) -> None:
        """Report once more what was answered."""
        self.completed(self.asked)

    def grow(self) -> None:
        """Have another shape, or none."""
        self.context.resized("larger" if self.mistake == "resized: text" else self.geometry)  # type: ignore[arg-type]

    def when_quiet(self, quiet: Callable[[], None]) -> None:
        """Do what the mistake says."""
        does(self.mistake, "when_quiet")
        quiet()

    def close(self, closed: Callable[[Status], None]) -> None:
        """Close, or don't."""
        does(self.mistake, "close")
        if self.mistake != "close: never says so":
            closed(GOOD)

    def actions(self) -> Any:
        """Name one."""
        does(self.mistake, "actions")
        if self.mistake == "actions: returns text":
            return "copy"
        return (tierce.Action(name="copy", summary="Copy."),)

    def manage(self, action: str, arguments: Any, job: tierce.Job) -> Any:
        """Answer, or make the mistake."""
        made = does(self.mistake, "manage")
        if callable(made):
            return made()
        job.done("text" if self.mistake == "manage: answers text" else None)
        if self.mistake == "manage: answers twice":
            job.done()
        return None

    def reconfigure(self, options: Options) -> None:
        """Take them, or not."""
        does(self.mistake, "reconfigure")


class AsyncBatches(Batches):
    """Takes a batch when somebody awaits it."""

    async def submit(self, batch: list[Request], completed: Completed) -> None:  # type: ignore[override]
        """Answer nothing."""


class Serial(Engine):
    """Is managed, and takes options, on its own thread."""

    actions = Batches.actions
    manage = Batches.manage
    reconfigure = Batches.reconfigure


def engine(context: tierce.OpenContext) -> Any:
    """Make an engine on the simple level."""
    kinds = {"read: is async": AsyncEngine, "write: missing": HalfEngine, "submit: there": Batches}
    return kinds.get(context.options.mistake, Engine)(context)


def batches(context: tierce.OpenContext) -> Any:
    """Make one that takes batches."""
    kinds = {"submit: is async": AsyncBatches, "submit: missing": Engine}
    return kinds.get(context.options.mistake, Batches)(context)


class Life(tierce.Lifecycle):
    """What the engine makes on disk: nothing, or a mistake."""

    def create(self, volume: tierce.VolumeSpec) -> Any:
        """Make nothing."""
        made = does(volume.engine_options.mistake, "create")
        return made() if callable(made) else None

    def delete(self, volume: tierce.VolumeSpec) -> None:
        """Remove nothing."""
        does(volume.engine_options.mistake, "delete")

    def members(self, volume: tierce.VolumeSpec) -> Any:
        """Name none."""
        made = does(volume.engine_options.mistake, "members") or ()
        return made() if callable(made) else made

    def check_change(self, before: tierce.VolumeSpec, now: tierce.VolumeSpec) -> None:
        """Allow all."""
        does(now.engine_options.mistake, "check_change")

    def condemn(self, volume: tierce.VolumeSpec, without: tuple[str, ...]) -> None:
        """Mark nothing."""
        does(volume.engine_options.mistake, "condemn")

    def empty(self, volume: tierce.VolumeSpec, without: tuple[str, ...]) -> None:
        """Remove nothing."""
        does(volume.engine_options.mistake, "empty")

    def adopt(self, folders: tuple[Path, ...], without: tuple[str, ...] = ()) -> dict[str, Any]:
        """Make the mistake that a folder is called by."""
        does(f"adopt: {folders[0].name}", "adopt")
        raise tierce.FormatError("it is no folder of ours", path=folders[0])


class Lives(tierce.MemberLifecycle):
    """What an engine with members makes for each on disk: nothing, or a mistake."""

    def members(self, volume: tierce.VolumeSpec) -> tuple[tierce.MemberSpec, ...]:
        """Name two."""
        return tuple(tierce.MemberSpec(name, Path(f"/{name}")) for name in ("one", "two"))

    def create_member(self, volume: tierce.VolumeSpec, member: tierce.MemberSpec) -> Any:
        """Make nothing; make the mistake for the second one."""
        made = does(volume.engine_options.mistake, f"create_member of {member.name}")
        return made() if callable(made) else None

    def delete_member(self, volume: tierce.VolumeSpec, member: tierce.MemberSpec) -> None:
        """Remove nothing."""

    def condemn_member(self, volume: tierce.VolumeSpec, member: tierce.MemberSpec) -> None:
        """Mark nothing."""
        does(volume.engine_options.mistake, f"condemn_member of {member.name}")

    def spare_member(self, volume: tierce.VolumeSpec, member: tierce.MemberSpec) -> None:
        """Mark nothing."""

    def empty_member(self, volume: tierce.VolumeSpec, member: tierce.MemberSpec) -> None:
        """Remove nothing."""

    def tidy_member(self, volume: tierce.VolumeSpec, member: tierce.MemberSpec) -> None:
        """Remove nothing."""

    def adopt_member(self, folder: Path) -> Any:
        """Make the mistake that a folder is called by."""
        return does(f"adopt_member: {folder.name}", "adopt_member") or {}

    def adopt_found(self, findings: tuple[tierce.Finding, ...], without: tuple[str, ...]) -> Any:
        """Take everything for a volume without a name."""
        return {}


class FewLives(Lives):
    """One that forgot a method."""

    create_member = tierce.MemberLifecycle.create_member


# -- a filter --------------------------------------------------------------------------------------


class Over(tierce.Filter):
    """Passes everything on, or makes the mistake."""

    def __init__(self, context: Any, below: tierce.Device) -> None:
        super().__init__(context, below)
        does(context.options.mistake, "making")

    def submit(self, batch: list[Request], completed: Completed) -> None:
        """Pass it on before or after the mistake."""
        mistake = self.context.options.mistake
        does(mistake, "submit")
        if mistake == "completes: never":
            return
        if mistake == "completes: twice":
            waiting = list(batch)
            self.context.reactor.call_soon(lambda: self.pass_on(waiting, twice(completed)))
            return
        self.below.submit(batch, completed)
        does(mistake, "submit after passing on")

    def resized(self, geometry: tierce.Geometry) -> None:
        """Take another shape."""
        does(self.context.options.mistake, "resized")
        super().resized(geometry)


class Simply(tierce.SimpleFilter):
    """Is on the simple level, or makes the mistake."""

    def __init__(self, context: Any, below: tierce.Below) -> None:
        super().__init__(context, below)
        does(context.options.mistake, "making")

    def read(self, offset: int, buffer: memoryview) -> Any:
        """Fill nothing."""
        if self.context.options.mistake == "read: asks for what is not there":
            self.below.read(-512, buffer)
        return does(self.context.options.mistake, "read")


class AsyncSimply(Simply):
    """Reads when somebody awaits it."""

    async def read(self, offset: int, buffer: memoryview) -> None:  # type: ignore[override]
        """Fill nothing."""


def simply(context: Any, below: Any) -> Any:
    """Make a filter on the simple level, or something else."""
    kinds = {"read: is async": AsyncSimply, "submit: there": Over}
    return kinds.get(context.options.mistake, Simply)(context, below)


def twice(completed: Completed) -> Completed:
    """Return what reports everything two times."""

    def report(requests: list[Request]) -> None:
        completed(requests)
        completed(requests)

    return report


# -- a front end -----------------------------------------------------------------------------------


class Front(tierce.Frontend):
    """Takes connections and does nothing with them."""

    def __init__(self, context: tierce.FrontendContext) -> None:
        self.context = context
        self.mistake = context.volume_options.mistake
        does(self.mistake, "making")

    def adopt(self, connection: Any, handover: bytes) -> None:
        """Close it."""
        does(self.mistake, "adopt")
        connection.close()

    def reconfigure_volume(self, options: Options) -> None:
        """Take them, or not."""
        does(self.mistake, "reconfigure_volume")

    def resized(self, geometry: tierce.Geometry) -> None:
        """Hear of it."""
        does(self.mistake, "resized")

    def close(self, closed: Callable[[], None]) -> None:
        """Close, or don't."""
        does(self.mistake, "close")
        if self.mistake != "close: never says so":
            closed()

    def abandon(self, reason: str) -> None:
        """Drop nothing."""
        does(self.mistake, "abandon")


class AsyncFront(Front):
    """Adopts when somebody awaits it."""

    async def adopt(self, connection: Any, handover: bytes) -> None:  # type: ignore[override]
        """Do nothing."""


class HalfFront:
    """Has no `close`."""

    def __init__(self, context: tierce.FrontendContext) -> None:
        self.context = context

    def adopt(self, connection: Any, handover: bytes) -> None:
        """Do nothing."""


def front(context: tierce.FrontendContext) -> Any:
    """Make the front end's part in a target."""
    kinds = {"adopt: is async": AsyncFront, "close: missing": HalfFront}
    return kinds.get(context.volume_options.mistake, Front)(context)


class Router(tierce.ConnectionRouter):
    """Hands everything to the volume `demo`, or makes the mistake."""

    def __init__(self, section: Section, _local: Any, _remote: Any) -> None:
        self.mistake = section.mistake
        does(self.mistake, "making a router")

    def receive(self, data: bytes, routes: Mapping[str, tierce.Route]) -> Any:
        """Hand it over."""
        made = does(self.mistake, "receive")
        if callable(made):
            return made()
        if self.mistake == "receive: sends text":
            return [tierce.Send("hello")]  # type: ignore[arg-type]
        if self.mistake == "receive: hands over nothing":
            return [tierce.Handover("demo", None)]  # type: ignore[arg-type]
        return made or [tierce.Hangup("it was asked to")]


def identity(section: Section, name: str, options: Options) -> str:
    """Return the volume's name."""
    does(options.mistake, "identity")
    return name


def usage(section: Section, volume: tierce.VolumeSpec, export: tierce.Export) -> dict[str, str]:
    """Say how it is used."""
    does(export.options.mistake, "usage")
    return {"url": f"mistaken://{volume.name}"}


# -- a store ---------------------------------------------------------------------------------------


class Store(tierce.Store):
    """Memory: what it keeps is gone with its process, which is a mistake by itself."""

    def __init__(self, context: tierce.StoreOpenContext) -> None:
        self.mistake = context.options.mistake
        does(self.mistake, "open")
        self.data = bytearray(context.size_bytes)

    @classmethod
    def create(cls, context: tierce.StoreContext) -> None:
        """Make nothing."""
        does(context.options.mistake, "create")

    @classmethod
    def destroy(cls, context: tierce.StoreContext) -> None:
        """Remove nothing."""
        does(context.options.mistake, "destroy")

    @classmethod
    def open(cls, context: tierce.StoreOpenContext) -> Any:
        """Open it, now or later."""
        where, _, what = context.options.mistake.partition(": ")
        if where != "settle":
            return cls(context)
        opening = tierce.Opening[Any]("nobody knows")

        def settle() -> None:
            store = "some" if what == "text" else cls(context)
            opening.settle(store)
            if what == "twice":
                opening.settle(store)

        context.reactor.call_soon(settle)
        return opening

    @classmethod
    def open_record(cls, context: tierce.StoreContext) -> None:
        """Keep no record."""
        does(context.options.mistake, "open_record")

    def admit(
        self, entries: Sequence[tierce.BatchEntry], ready: Callable[[OSError | None], None]
    ) -> bool:
        """Let nothing wait."""
        del entries, ready
        does(self.mistake, "admit")
        return True

    def write(self, offset: int, data: memoryview) -> None:
        """Store the bytes."""
        does(self.mistake, "write")
        self.data[offset : offset + len(data)] = data

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        does(self.mistake, "read")
        buffer[:] = self.data[offset : offset + len(buffer)]

    def flush(self) -> None:
        """Do what the mistake says."""
        does(self.mistake, "flush")

    def reopen(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class HalfStore(tierce.Store):
    """Writes, and can't be read."""

    def write(self, offset: int, data: memoryview) -> None:
        """Store nothing."""


# -- a member --------------------------------------------------------------------------------------


class Part:
    """A replica that keeps nothing."""

    def __init__(self, context: tierce.MemberContext) -> None:
        self.mistake = str(context.member.settings.get("mistake", ""))
        does(self.mistake, "making")
        context.reactor.call_soon(lambda: does(self.mistake, "call"))

    def close(self, closed: Callable[[], None]) -> None:
        """Close."""
        closed()


# -- a service and a policy handler ----------------------------------------------------------------


class AsyncWorker(tierce.Service):
    """Works when somebody awaits it."""

    async def run(self) -> None:  # type: ignore[override]
        """Do nothing."""


class Worker(tierce.Service):
    """Works until it is told to stop, or makes the mistake."""

    def __init__(self, context: tierce.ServiceContext) -> None:
        super().__init__(context)
        does(context.options.mistake, "making")

    def run(self) -> Any:
        """Work."""
        made = does(self.context.options.mistake, "run")
        if callable(made):
            return made()
        if self.context.options.mistake == "run: returns":
            return None
        while self.context.wait(3600):
            pass
        return None


def service(context: tierce.ServiceContext) -> Any:
    """Make the service."""
    if context.options.mistake == "run: missing":
        return object()
    return (AsyncWorker if context.options.mistake == "run: is async" else Worker)(context)


def evaluate(policy: tierce.Policy, volumes: Mapping[str, Any], now: float) -> Any:
    """Want nothing, or make the mistake."""
    mistake = policy.parameters.mistake
    made = does(mistake, "evaluate")
    if callable(made):
        return made()
    if mistake == "evaluate: next_at is no number":
        return tierce.Evaluation(next_at=float("nan"))
    if mistake == "evaluate: wants text":
        return tierce.Evaluation(actions=("snapshot",))  # type: ignore[arg-type]
    if mistake == "evaluate: sets text":
        return tierce.Evaluation(settings={"demo": "slow"})  # type: ignore[dict-item]
    if mistake == "evaluate: sets what it does not select":
        return tierce.Evaluation(settings={"other": {"options": {"live": "new"}}})
    if mistake == "evaluate: sets what is not live":
        return tierce.Evaluation(settings={"demo": {"options": {"mistake": "new"}}})
    if mistake == "evaluate: sets nonsense":
        return tierce.Evaluation(settings={"demo": {"options": {"live": 5}}})
    return made or tierce.Evaluation()


# -- what it brings --------------------------------------------------------------------------------

_HERE = "tierce_mistaken"


@hookimpl
def tierce_engines() -> list[tierce.EngineDescription]:
    """Name one for each way in which an engine is called."""
    simple = tierce.EngineDescription(
        name="mistaken",
        summary="Memory, with mistakes.",
        factory=f"{_HERE}:engine",
        lifecycle=f"{_HERE}:Life",
        concurrency=tierce.Concurrency.INLINE,
        durable=False,
        options=Options,
        contract=2,
    )
    return [
        simple,
        attrs.evolve(
            simple,
            name="mistaken-batches",
            factory=f"{_HERE}:batches",
            lifecycle="",
            concurrency=tierce.Concurrency.BATCH,
        ),
        attrs.evolve(simple, name="mistaken-life", lifecycle=f"{_HERE}:Worker"),
        attrs.evolve(simple, name="mistaken-members", lifecycle=f"{_HERE}:Lives"),
        attrs.evolve(simple, name="mistaken-few", lifecycle=f"{_HERE}:FewLives"),
        attrs.evolve(
            simple,
            name="mistaken-serial",
            factory=f"{_HERE}:Serial",
            concurrency=tierce.Concurrency.SERIAL,
        ),
        *(
            tierce.EngineDescription(
                name=f"mistaken-{store}",
                summary="Replicated, with mistakes.",
                replicator="jiva",
                store=store,
                contract=2,
            )
            for store in ("store", "half", "other", "boast")
        ),
        attrs.evolve(simple, name="mistaken-member", lifecycle="", replicator="mistaken"),
    ]


@hookimpl
def tierce_replicators() -> list[tierce.ReplicatorDescription]:
    """Name the one whose members make mistakes."""
    return [
        tierce.ReplicatorDescription(
            name="mistaken",
            summary="Members, with mistakes.",
            factory=f"{_HERE}:batches",
            member=f"{_HERE}:Part",
            contract=2,
        )
    ]


@hookimpl
def tierce_filters() -> list[tierce.FilterDescription]:
    """Name the filter."""
    return [
        tierce.FilterDescription(
            name="mistaken",
            summary="Passes on, with mistakes.",
            factory=f"{_HERE}:Over",
            operations=OPERATIONS,
            options=Options,
            contract=2,
        ),
        tierce.FilterDescription(
            name="mistaken-simply",
            summary="Passes on one by one, with mistakes.",
            factory=f"{_HERE}:simply",
            operations=frozenset({"READ", "WRITE", "FLUSH"}),
            concurrency=tierce.Concurrency.SERIAL,
            options=Options,
            contract=2,
        ),
        tierce.FilterDescription(
            name="mistaken-level",
            summary="Is on the simple level, and does not say so.",
            factory=f"{_HERE}:Simply",
            operations=frozenset({"READ", "WRITE", "FLUSH"}),
            options=Options,
            contract=2,
        ),
    ]


@hookimpl
def tierce_frontends() -> list[tierce.FrontendDescription]:
    """Name the front end."""
    return [
        tierce.FrontendDescription(
            name="mistaken",
            summary="Nothing, with mistakes.",
            factory=f"{_HERE}:front",
            router=f"{_HERE}:Router",
            usage=f"{_HERE}:usage",
            identity=f"{_HERE}:identity",
            options=Section,
            volume_options=Options,
            contract=2,
        )
    ]


@hookimpl
def tierce_stores() -> list[tierce.StoreDescription]:
    """Name the stores."""
    store = tierce.StoreDescription(
        name="store",
        summary="Memory, with mistakes.",
        factory=f"{_HERE}:Store",
        options=Options,
        contract=2,
    )
    return [
        store,
        attrs.evolve(store, name="half", factory=f"{_HERE}:HalfStore"),
        attrs.evolve(store, name="other", factory=f"{_HERE}:Worker"),
        attrs.evolve(store, name="boast", capabilities=tierce.StoreCapability.SNAPSHOTS),
    ]


@hookimpl
def tierce_services() -> list[tierce.ServiceDescription]:
    """Name the service."""
    return [
        tierce.ServiceDescription(
            name="mistaken",
            summary="Works, with mistakes.",
            factory=f"{_HERE}:service",
            options=Options,
            contract=2,
        )
    ]


@hookimpl
def tierce_policy_handlers() -> list[tierce.PolicyHandlerDescription]:
    """Name the policy handler."""
    return [
        tierce.PolicyHandlerDescription(
            kind="mistaken",
            summary="Wants nothing, with mistakes.",
            factory=f"{_HERE}:evaluate",
            options=Options,
            contract=2,
        )
    ]
