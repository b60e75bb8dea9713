"""What is done for a volume as a whole and for each of its members apart, as one step of an errand.

What the members have in common is made before them and goes after them. What is done for the
members is done together: one that hangs or fails keeps no other waiting, and what they failed by is
put together in one error that names each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tierce.errors import PluginError, TemporaryError, TierceError, explain
from tierce.inventory.errands import Answer, Errand, GivenUpError, Together
from tierce.process.works import Call, member_work, work_for
from tierce.registry import Registry
from tierce.registry.members import apart_of
from tierce.spec import LocalVolume

#: What is done for each member where this is done for the volume.
_FOR_MEMBERS: Mapping[Call, Call] = {
    Call.CREATE: Call.CREATE_MEMBER,
    Call.DELETE: Call.DELETE_MEMBER,
    Call.CONDEMN: Call.CONDEMN_MEMBER,
    Call.SPARE: Call.SPARE_MEMBER,
    Call.EMPTY: Call.EMPTY_MEMBER,
    Call.TIDY: Call.TIDY_MEMBER,
}
#: What begins with what the members have in common.
_COMMON_FIRST = frozenset({Call.CREATE, Call.CONDEMN})


def do_whole(
    registry: Registry, call: Call, volume: LocalVolume, without: tuple[str, ...] = ()
) -> Errand[None]:
    """Do something for a volume and for each member that it has.

    Args:
        registry: The plugins.
        call: What is done for the volume.
        volume: The volume.
        without: Its parts that are left alone.

    Raises:
        What the call raises, or `put_together` of what it does for members.
    """
    if call in _COMMON_FIRST:
        yield work_for(call, volume, without=without)
    names = [one.name for one in apart_of(registry, volume) if one.name not in without]
    if names:
        works = tuple(member_work(_FOR_MEMBERS[call], volume, name) for name in names)
        check_all(names, (yield Together(works)))
    if call not in _COMMON_FIRST:
        yield work_for(call, volume, without=without)


def check_all(names: Sequence[str], answers: Sequence[Answer]) -> None:
    """Raise what members failed by, if any did."""
    failed = {
        name: answer.error
        for name, answer in zip(names, answers, strict=True)
        if answer.error is not None
    }
    if failed:
        raise put_together(failed)


def put_together(failed: Mapping[str, Exception]) -> Exception:
    """Return what several members failed by as one error, which names each: that they were given
    up if one was, that it can't be done if one can't, else that it waits.

    Args:
        failed: What each failed by, by its name.
    """
    first = min(failed.values(), key=_weight)
    if isinstance(first, GivenUpError):
        return first
    names: dict[str, list[str]] = {}
    for name, error in failed.items():
        names.setdefault(explain(error), []).append(name)
    return _said(first, "; ".join(f"{', '.join(who)}: {text}" for text, who in names.items()))


def _weight(error: Exception) -> int:
    if isinstance(error, GivenUpError):
        return 0
    return 2 if isinstance(error, TemporaryError | OSError) else 1


def _said(error: Exception, text: str) -> Exception:
    """Return an error of the same kind that says this."""
    if isinstance(error, OSError):
        return OSError(error.errno, text)
    assert isinstance(error, TierceError), "a work fails by an error of ours or of the system's"
    # Its text is whole already: to make it anew would name file or plugin twice.
    kind = type(error)
    said: Any = kind.__new__(kind, text)
    said.__dict__.update(vars(error))
    if isinstance(said, PluginError):
        said.why = text
    assert isinstance(said, TierceError), "it is of the same kind"
    return said
