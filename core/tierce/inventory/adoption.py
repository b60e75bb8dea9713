"""Taking back a volume whose record is lost.

The folders of a volume describe it so that the state can be made
again from them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from tierce.errors import ConflictError, UsageError, explain
from tierce.inventory.apart import check_all
from tierce.inventory.errands import Answer, Errand, GivenUpError, Together, run_here
from tierce.process.paths import Paths
from tierce.process.works import Call, Work, member_work, work_for
from tierce.registry import Registry, mistake
from tierce.registry.members import apart_of, reads_members
from tierce.spec import Finding, LocalVolume
from tierce.state import Owner, Phase, VolumeRecord, acquire
from tierce.state.store import StateStore


@attrs.frozen
class Adoption:
    """What an operator wants to take back.

    Attributes:
        folders: The volume's folders.
        without: Names of its parts whose folders are lost.
        engine: The engine that made it; empty to ask every one.
        frontend: What is to serve it, which folders don't say; empty for the first that there is.
    """

    folders: tuple[Path, ...]
    without: tuple[str, ...] = ()
    engine: str = ""
    frontend: str = ""


@attrs.frozen
class Adopted:
    """A volume that was taken back.

    Attributes:
        record: What the state is to keep.
        loss: What may be lost of it, empty if nothing is.
    """

    record: VolumeRecord
    loss: str = ""


def adopt_without_server(
    paths: Paths, registry: Registry, wanted: Adoption, do: Callable[[Work], Any]
) -> Adopted:
    """Take a volume back into the state of a data folder that no server holds.

    Args:
        paths: Where things lie.
        registry: The plugins.
        wanted: The folders.
        do: Does a work.

    Raises:
        ConflictError: A server holds it.
        UsageError: As `adopt_record`.
    """
    paths.make()
    lock = acquire(paths.serve_lock, {"name": "adopt"}, what=f"data folder {paths.data}")
    try:
        with StateStore(paths.state) as store:
            adopted = run_here(adopt_record(store, registry, wanted), do)
            store.put_volume(adopted.record)
            return adopted
    finally:
        lock.release()


def adopt_record(store: StateStore, registry: Registry, wanted: Adoption) -> Errand[Adopted]:
    """Return the record of the volume that these folders hold. It is not stored.

    Args:
        store: The state, to see that the volume is not there.
        registry: The plugins.
        wanted: The folders.

    Raises:
        UsageError: No engine knows the folders (each one's reason is told), or the state has the
            volume or another of its name.
    """
    reasons: list[tuple[str, Exception]] = []
    for name, description in registry.engines.items():
        if (wanted.engine and name != wanted.engine) or not description.lifecycle:
            continue
        try:
            adopted = yield from _ask(registry, name, wanted)
        except GivenUpError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in one's lifecycle keeps no other from it
            reasons.append((name, error))
            continue
        _refuse_known(store, adopted.record.uuid, adopted.record.name)
        return adopted
    raise UsageError(f"these folders hold no volume that can be adopted: {_why(reasons, wanted)}")


def _ask(registry: Registry, engine: str, wanted: Adoption) -> Errand[Adopted]:
    """Return what an engine says that the folders hold. It may raise anything."""
    mapping = yield from _read(registry, engine, wanted)
    missing = [key for key in ("name", "uuid", "created") if key not in mapping]
    if missing:
        folders = ", ".join(str(folder) for folder in wanted.folders)
        why = f"it took {folders} for a volume, but did not say its {', '.join(missing)}"
        raise mistake(registry, "engine", engine, why)
    uuid, created = str(mapping.pop("uuid")), float(mapping.pop("created"))
    loss = str(mapping.pop("loss", ""))
    mapping["engine"] = engine
    mapping.setdefault("frontend", wanted.frontend or min(registry.frontends, default=""))
    record = VolumeRecord(
        name=str(mapping["name"]),
        uuid=uuid,
        created=created,
        owner=Owner.STATE,
        phase=Phase.READY,
        mapping=mapping,
        origin="tierce volume adopt",
    )
    return Adopted(record, loss)


def _read(registry: Registry, engine: str, wanted: Adoption) -> Errand[dict[str, Any]]:
    """Return what an engine reads from the folders: all at once, or from each by itself."""
    if not reads_members(registry, engine):
        mapping: dict[str, Any] = yield Work(
            call=Call.ADOPT, engine=engine, folders=wanted.folders, without=wanted.without
        )
        return mapping
    read = [Work(call=Call.ADOPT_MEMBER, engine=engine, folders=(one,)) for one in wanted.folders]
    answers: tuple[Answer, ...] = (yield Together(tuple(read))) if read else ()
    errors = [answer.error for answer in answers if answer.error is not None]
    if errors:
        raise min(errors, key=_weight)
    found = zip(wanted.folders, answers, strict=True)
    findings = tuple(Finding(folder, answer.result) for folder, answer in found)
    decided: dict[str, Any] = yield _deciding(engine, findings, wanted.without)
    return decided


def _weight(error: Exception) -> int:
    """Return what is told first: what is this engine's and can't be taken says more than what is
    of none."""
    if isinstance(error, GivenUpError):
        return 0
    return 1 if isinstance(error, ConflictError) else 2


def _deciding(engine: str, findings: tuple[Finding, ...], without: tuple[str, ...]) -> Work:
    return Work(call=Call.ADOPT_FOUND, engine=engine, findings=findings, without=without)


def _why(reasons: list[tuple[str, Exception]], wanted: Adoption) -> str:
    """Tell each engine's reason, or only those of the engines that know the folders."""
    known = [reason for reason in reasons if isinstance(reason[1], ConflictError)] or reasons
    told = "; ".join(f"{name}: {explain(error)}" for name, error in known)
    return told or f"no enabled engine {wanted.engine!r} keeps volumes in folders"


def describe_owner(record: VolumeRecord) -> str:
    """Say who owns a volume."""
    if record.owner is Owner.FILE:
        return f"owned by the config file, {record.origin}"
    return f"owned by the state, made by {record.origin}"


def explain_conflict(
    error: ConflictError, store: StateStore, registry: Registry, spec: LocalVolume
) -> Errand[ConflictError]:
    """If the folders hold a volume already, say which, and what is to be done."""
    try:
        seen = yield from _identify(registry, spec)
        found = seen["found"]
        known = _known(store, str(found["uuid"]))
    except Exception:  # noqa: BLE001 - no engine knows more of it: what is known is told
        return error
    if known is not None:
        return ConflictError(
            f"volume {spec.name}: its folders hold volume {known.name}, which the state knows "
            f"({describe_owner(known)}). A volume can't be renamed: call it {known.name}, or give "
            f"{spec.name} other folders"
        )
    words = [word for name in seen["lost"] for word in ("--without", name)]
    words += seen["folders"]
    return ConflictError(
        f"volume {spec.name} is not in the state, but its folders hold a volume "
        f"{found.get('name')!r} already. To take it back with its data run: "
        f"tierce volume adopt {shlex.join(words)}"
    )


def _identify(registry: Registry, spec: LocalVolume) -> Errand[dict[str, Any]]:
    """Return what lies in a volume's folders: "found", the "folders" that are there, and which
    members have "lost" theirs. It may raise anything."""
    names = [one.name for one in apart_of(registry, spec)]
    if not names:
        seen: dict[str, Any] = yield work_for(Call.IDENTIFY, spec)
        return seen
    works = tuple(member_work(Call.IDENTIFY_MEMBER, spec, name) for name in names)
    answers: tuple[Answer, ...] = yield Together(works)
    check_all(names, answers)
    results = [answer.result for answer in answers]
    there = [one for one in results if one["found"] is not None]
    lost = [name for name, one in zip(names, results, strict=True) if one["found"] is None]
    findings = tuple(Finding(Path(one["folder"]), one["found"]) for one in there)
    found = yield _deciding(spec.engine, findings, tuple(lost))
    return {"found": found, "lost": lost, "folders": [one["folder"] for one in there]}


def _known(store: StateStore, uuid: str) -> VolumeRecord | None:
    return next((one for one in store.volumes().values() if one.uuid == uuid), None)


def _refuse_known(store: StateStore, uuid: str, name: str) -> None:
    known = _known(store, uuid)
    if known is None:
        taken = store.volume(name)
        if taken is not None:
            raise UsageError(f"there is another volume {name} already ({describe_owner(taken)})")
        return
    if known.phase.is_removal:
        raise UsageError(
            f"volume {known.name} is being deleted: `tierce volume delete {known.name} --cancel` "
            "keeps it, as long as nothing of it is gone"
        )
    raise UsageError(
        f"these folders hold volume {known.name}, which the state has not lost "
        f"({describe_owner(known)}): nothing is to be adopted. If it is not served, see "
        f"`tierce volume show {known.name}`"
    )
