"""One work, carried out here: the engine's call, with what core does before and after it.

A server has it done in a process of its own (`tierce.node.working`); a command that works without a
server does it itself.
"""

from __future__ import annotations

from typing import Any

from tierce.durable import make_folder, remove_folders
from tierce.lifecycle import Lifecycle
from tierce.node.frontend_folder import remove_frontend_folders
from tierce.process.works import Call, Work
from tierce.registry import Registry
from tierce.registry.lifecycles import lifecycle_of
from tierce.spec import LocalVolume


def carry_out(registry: Registry, work: Work) -> Any:
    """Do it, and return what comes of it: JSON values. It may raise anything.

    Args:
        registry: The plugins.
        work: What is to be done.
    """
    lifecycle = lifecycle_of(registry, work.engine)
    if work.call is Call.ADOPT:
        return dict(lifecycle.adopt(work.folders, work.without))
    assert work.volume is not None, "all but a search among folders is done for a volume"
    return _for_volume(lifecycle, work, work.volume)


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
    lost = [one.name for one in members if not one.folder.is_dir() or not any(one.folder.iterdir())]
    folders = [one.folder for one in members if one.name not in lost] or [volume.folder]
    found = dict(lifecycle.adopt(tuple(folders), tuple(lost)))
    return {"found": found, "lost": lost, "folders": [str(folder) for folder in folders]}
