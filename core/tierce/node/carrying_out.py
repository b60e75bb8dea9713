"""One work, carried out here: the engine's call, with what core does before and after it.

A server has it done in a process of its own (`tierce.node.working`); a command that works without a
server does it itself.
"""

from __future__ import annotations

from typing import Any

from tierce.durable import make_folder, remove_folders
from tierce.lifecycle import Lifecycle
from tierce.member_lifecycle import MemberLifecycle
from tierce.node.frontend_folder import remove_frontend_folders
from tierce.process.works import Call, Work
from tierce.registry import Registry
from tierce.registry.lifecycles import lifecycle_of
from tierce.spec import LocalVolume, MemberSpec, VolumeSpec


def carry_out(registry: Registry, work: Work) -> Any:
    """Do it, and return what comes of it: JSON values. It may raise anything.

    Args:
        registry: The plugins.
        work: What is to be done.
    """
    lifecycle = lifecycle_of(registry, work.engine)
    if work.call is Call.ADOPT:
        return dict(lifecycle.adopt(work.folders, work.without))
    if work.call in (Call.ADOPT_MEMBER, Call.ADOPT_FOUND):
        return _among_folders(lifecycle, work)
    assert work.volume is not None, "all but a search among folders is done for a volume"
    if work.member:
        return _for_member(lifecycle, work, work.volume)
    assert isinstance(work.volume, LocalVolume), "a volume as a whole is done for on its node"
    return _for_volume(lifecycle, work, work.volume)


def _among_folders(lifecycle: Lifecycle, work: Work) -> Any:
    assert isinstance(lifecycle, MemberLifecycle), "who asks has looked whether it is one"
    if work.call is Call.ADOPT_FOUND:
        return dict(lifecycle.adopt_found(work.findings, work.without))
    (folder,) = work.folders
    return dict(lifecycle.adopt_member(folder))


def _for_member(lifecycle: Lifecycle, work: Work, volume: VolumeSpec) -> Any:
    assert isinstance(lifecycle, MemberLifecycle), "who asks has looked whether it is one"
    (member,) = (one for one in lifecycle.members(volume) if one.name == work.member)
    match work.call:
        case Call.CREATE_MEMBER:
            lifecycle.create_member(volume, member)
        case Call.DELETE_MEMBER:
            lifecycle.delete_member(volume, member)
        case Call.CONDEMN_MEMBER:
            lifecycle.condemn_member(volume, member)
        case Call.SPARE_MEMBER:
            lifecycle.spare_member(volume, member)
        case Call.EMPTY_MEMBER:
            lifecycle.empty_member(volume, member)
        case Call.TIDY_MEMBER:
            lifecycle.tidy_member(volume, member)
        case Call.IDENTIFY_MEMBER:
            is_there = not _is_lost(member)
            found = dict(lifecycle.adopt_member(member.folder)) if is_there else None
            return {"folder": str(member.folder), "found": found}
    return None


def _for_volume(lifecycle: Lifecycle, work: Work, volume: LocalVolume) -> Any:
    match work.call:
        case Call.CREATE:
            make_folder(volume.folder)
            lifecycle.create(volume)
        case Call.DELETE:
            lifecycle.delete(volume)
            _remove_own_folder(volume)
        case Call.CHECK_CHANGE:
            assert work.before is not None, "a change is one of something"
            lifecycle.check_change(work.before, volume)
        case Call.CONDEMN:
            lifecycle.condemn(volume, work.without)
        case Call.SPARE:
            lifecycle.spare(volume)
        case Call.EMPTY:
            lifecycle.empty(volume, work.without)
        case Call.TIDY:
            lifecycle.tidy(volume, work.without)
            remove_frontend_folders(volume)
            _remove_own_folder(volume)
        case Call.LOSS:
            return lifecycle.loss(volume, work.keep)
        case Call.ACCEPT_LOSS:
            lifecycle.accept_loss(volume, work.keep)
        case Call.IDENTIFY:
            return _identify(lifecycle, volume)
    return None


def _remove_own_folder(volume: LocalVolume) -> None:
    if volume.folder.is_dir():
        remove_folders((volume.folder,))


def _identify(lifecycle: Lifecycle, volume: LocalVolume) -> dict[str, Any]:
    """Return what lies in a volume's folders, and in which: those that are there, and the names of
    the parts whose folders are lost."""
    members = lifecycle.members(volume)
    lost = [one.name for one in members if _is_lost(one)]
    folders = [one.folder for one in members if one.name not in lost] or [volume.folder]
    found = dict(lifecycle.adopt(tuple(folders), tuple(lost)))
    return {"found": found, "lost": lost, "folders": [str(folder) for folder in folders]}


def _is_lost(member: MemberSpec) -> bool:
    return not member.folder.is_dir() or not any(member.folder.iterdir())
