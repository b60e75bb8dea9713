"""An engine of folders, and a data folder whose server can be started again and again."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs

from core.triples import TripleLifecycle
from tierce import (
    ConflictError,
    EngineDescription,
    Event,
    Export,
    FilterDescription,
    FormatError,
    FrontendDescription,
    Lifecycle,
    Listens,
    LocalVolume,
    MemberSpec,
    PolicyHandlerDescription,
    Scope,
    ServiceDescription,
    TemporaryError,
    VolumeSpec,
    hookimpl,
    option,
)
from tierce.config import Config, load_config
from tierce.inventory.errands import Done, GivenUpError
from tierce.inventory.volume_inventory import VolumeInventory
from tierce.node.carrying_out import carry_out
from tierce.process.paths import Paths
from tierce.process.works import Work
from tierce.registry import Registry
from tierce.state.store import StateStore

MODULE = "folders_for_tests"


@attrs.frozen
class FolderOptions:
    folder: str = option(doc="Where.", unit="path")
    tone: str = option(doc="Anything.", default="low")
    rate: int = option(doc="Anything.", default=1, live=True)
    word: str | None = option(doc="A secret.", default=None, secret=True)


@attrs.frozen
class SlowOptions:
    delay_ms: int = option(doc="How long.", default=0, live=True)


@attrs.frozen
class KeyedOptions:
    key: str = option(doc="A secret that changes.", default="", secret=True, live=True)


@attrs.frozen
class Section:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",))
    depth: int = option(doc="How many.", default=1)


@attrs.frozen
class LiveSection:
    listen: tuple[str, ...] = option(doc="Where.", default=("127.0.0.1:0",), live=True)
    depth: int = option(doc="How many.", default=1, live=True)


@attrs.frozen
class Nothing:
    pass


class Crash(BaseException):
    """The process dies here."""


class FolderLifecycle(Lifecycle):
    """Two members in one folder; a file in it says whose it is, another one that it is to go."""

    #: What a method raises when it has done its work, by its name.
    faults: ClassVar[dict[str, BaseException]] = {}

    def create(self, volume: VolumeSpec) -> None:
        folder = self._folder(volume)
        for name in ("note", "deleted"):
            file = folder / name
            if file.exists() and json.loads(file.read_text())["uuid"] != volume.uuid:
                raise ConflictError(f"{folder} holds another volume")
        folder.mkdir(exist_ok=True)
        values = {"name": volume.name, "uuid": volume.uuid, "size": volume.size_bytes}
        (folder / "bytes").touch()
        (folder / "note").write_text(json.dumps(values))
        self._fail("create")

    def delete(self, volume: VolumeSpec) -> None:
        note = self._folder(volume) / "note"
        if note.exists() and json.loads(note.read_text())["uuid"] == volume.uuid:
            shutil.rmtree(note.parent)
        self._fail("delete")

    def members(self, volume: VolumeSpec) -> tuple[MemberSpec, ...]:
        folder = self._folder(volume)
        return (MemberSpec("one", folder), MemberSpec("two", folder))

    def check_change(self, before: VolumeSpec, now: VolumeSpec) -> None:
        if before.engine_options.folder != now.engine_options.folder:
            raise ConflictError(f"volume {now.name} lies in {before.engine_options.folder}")

    def condemn(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        folder = self._folder(volume)
        if not folder.exists() and "two" not in without:
            raise TemporaryError(f"nothing is found of {folder}")
        if (folder / "note").exists():
            (folder / "note").rename(folder / "deleted")
        self._fail("condemn")

    def spare(self, volume: VolumeSpec) -> None:
        folder = self._folder(volume)
        if (folder / "deleted").exists():
            (folder / "deleted").rename(folder / "note")
        self._fail("spare")

    def empty(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        (self._folder(volume) / "bytes").unlink(missing_ok=True)
        self._fail("empty")

    def tidy(self, volume: VolumeSpec, without: tuple[str, ...]) -> None:
        shutil.rmtree(self._folder(volume), ignore_errors=True)
        self._fail("tidy")

    def adopt(self, folders: tuple[Path, ...], without: tuple[str, ...] = ()) -> Mapping[str, Any]:
        try:
            values = json.loads((folders[0] / "note").read_text())
        except OSError as error:
            raise FormatError("holds no volume", path=folders[0]) from error
        options = {"folder": str(folders[0])}
        loss = f"{without[0]} is lost" if without else ""
        return {**values, "created": 5.0, "engine": "folder", "options": options, "loss": loss}

    def loss(self, volume: LocalVolume, keep: str) -> str:
        if not (self._folder(volume) / "doubt").exists():
            return super().loss(volume, keep)
        return f"all but {keep} may be lost"

    def accept_loss(self, volume: LocalVolume, keep: str) -> None:
        super().accept_loss(volume, keep)
        (self._folder(volume) / "doubt").unlink()

    def _folder(self, volume: VolumeSpec) -> Path:
        return Path(volume.engine_options.folder)

    def _fail(self, name: str) -> None:
        if fault := FolderLifecycle.faults.get(name):
            raise fault


def usage(_options: Section, volume: VolumeSpec, _export: Export) -> dict[str, str]:
    return {"url": f"names://{volume.name}"}


def identity(_options: Section, volume: str, _volume_options: Nothing) -> str:
    return volume.rstrip("0123456789-")


@hookimpl
def tierce_engines() -> list[EngineDescription]:
    factory, lifecycle = f"{MODULE}:none", f"{MODULE}:FolderLifecycle"
    return [
        EngineDescription(
            name="folder",
            summary="Folders.",
            factory=factory,
            lifecycle=lifecycle,
            options=FolderOptions,
            contract=2,
        ),
        EngineDescription(
            name="triple",
            summary="Three folders.",
            factory=factory,
            lifecycle=f"{MODULE}:TripleLifecycle",
            options=FolderOptions,
            contract=2,
        ),
        EngineDescription(name="bare", summary="Nothing on disk.", factory=factory, contract=2),
        EngineDescription(
            name="memory",
            summary="Gone with its process.",
            factory=factory,
            durable=False,
            contract=2,
        ),
        EngineDescription(
            name="stranger",
            summary="No lifecycle.",
            factory=factory,
            lifecycle=f"{MODULE}:Crash",
            contract=2,
        ),
    ]


@hookimpl
def tierce_filters() -> list[FilterDescription]:
    known = frozenset({"READ", "WRITE", "FLUSH"})
    return [
        FilterDescription(
            name=name,
            summary="Over.",
            factory=f"{MODULE}:none",
            operations=known,
            options=options,
            contract=2,
        )
        for name, options in (("slow", SlowOptions), ("keyed", KeyedOptions))
    ]


@hookimpl
def tierce_services() -> list[ServiceDescription]:
    return [
        ServiceDescription(
            name=scope.value,
            summary="Serves.",
            factory=f"{MODULE}:none",
            options=SlowOptions,
            scope=scope,
            contract=2,
        )
        for scope in Scope
    ]


@hookimpl
def tierce_policy_handlers() -> list[PolicyHandlerDescription]:
    return [
        PolicyHandlerDescription(
            kind="watch", summary="Watches.", factory=f"{MODULE}:none", contract=2
        )
    ]


@hookimpl
def tierce_frontends() -> list[FrontendDescription]:
    how = (f"{MODULE}:usage", f"{MODULE}:identity")
    names = FrontendDescription(
        name="names",
        summary="Names.",
        factory=how[0],
        router=how[0],
        usage=how[0],
        identity=how[1],
        options=Section,
        volume_options=Nothing,
        contract=2,
    )
    alone = attrs.evolve(names, name="alone", listens=Listens.ITSELF, router="")
    return [names, attrs.evolve(names, name="live-names", options=LiveSection), alone]


class InPlace:
    """Does works at once, in the test's own process; or notes them, and does them when the test
    says so."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.waits = False
        self.waiting: list[tuple[Work, Done]] = []

    def do(self, work: Work, done: Done) -> Callable[[GivenUpError], None]:
        entry = (work, done)
        self.waiting.append(entry)
        if not self.waits:
            self.work_off()

        def give_up(error: GivenUpError) -> None:
            self.waiting.remove(entry)
            done(None, error)

        return give_up

    def work_off(self, place: int = 0) -> None:
        """Do what waits longest, or has that place among what waits."""
        work, done = self.waiting.pop(place)
        try:
            result = carry_out(self.registry, work)
        except Exception as error:  # noqa: BLE001 - as the process that does it
            done(None, error)
        else:
            done(result, None)


class Scene:
    """A data folder whose server can be started again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = Paths(folder / "data")
        self.paths.make()
        self.registry = Registry.build([("tests", sys.modules[__name__], "")])
        self.file = folder / "tierce.yaml"
        self.events: list[Event] = []
        self._store: StateStore | None = None
        FolderLifecycle.faults.clear()
        TripleLifecycle.faults.clear()

    @property
    def store(self) -> StateStore:
        assert self._store is not None
        return self._store

    def write(self, *volumes: Mapping[str, Any], **more: Any) -> None:
        lines = ["data_dir: ./data", *(f"{key}: {json.dumps(one)}" for key, one in more.items())]
        lines += ["volumes:"] if volumes else []
        lines += [f"  - {json.dumps(volume)}" for volume in volumes]
        self.file.write_text("\n".join(lines) + "\n")

    def start(self) -> VolumeInventory:
        """Open the state anew, as the next server would."""
        return self.start_with(load_config(self.file, self.registry, is_lenient=True))

    def start_with(self, config: Config, **refused: Exception) -> VolumeInventory:
        """The same with another config file, of which some volumes were found wrong."""
        self.close()
        self._store = StateStore(self.paths.state)
        inventory = self.open(self._store, config.registry)
        inventory.apply(config, refused=refused)
        return inventory

    def open(self, store: StateStore, registry: Registry) -> VolumeInventory:
        """Return the volumes of a state; what engines do for them is done in place."""
        self.worker = InPlace(registry)
        return VolumeInventory(self.paths, store, self.events.append, self.worker)

    def reload(self, inventory: VolumeInventory, *volumes: Mapping[str, Any], **more: Any) -> None:
        self.write(*volumes, **more)
        inventory.apply(load_config(self.file, self.registry, is_lenient=True))

    def codes(self) -> list[str]:
        """Take the codes of the events so far."""
        codes = [event.code for event in self.events]
        self.events.clear()
        return codes

    def close(self) -> None:
        if self._store is not None:
            self._store.close()


def volume(name: str = "demo", size: str = "1 MiB", **options: Any) -> dict[str, Any]:
    engine = {"folder": f"./{name}-folder", **options}
    return {"name": name, "size": size, "engine": "folder", "options": engine, "frontend": "names"}


def note(scene: Scene, name: str = "demo") -> Path:
    return scene.folder / f"{name}-folder" / "note"
