"""How a volume, its members and its sessions are, as those who know it publish it.

Each part owns what it publishes: an engine its volume's state and members, a front end its
sessions, a member itself. Nobody can overwrite what another says. All of it goes through shared
memory, so that whoever looks costs no data process anything; what does not fit there is cut, and
how much is said beside it.

In the page each owner has a mapping (`volume/statistics.py`); here are the values, and both ways
between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from tierce.codec import from_json
from tierce.errors import ProtocolError

#: A text that is longer is cut: what a peer calls itself is as long as it likes.
TEXT_CHARS_MAX = 1000
#: Ends the name of the key that says how many items of a list were left out.
LEFT_OUT = "_left_out"

ENGINE, MEMBER, PLUGIN_ERRORS = "engine", "member", "plugin_errors"
#: States in which I/O waits, and the engine knows why.
_WAITING = frozenset({"opening", "electing", "stopped", "stalled"})
_FILTER, _FRONTEND = "filter.", "frontend."
_OWNERS = frozenset({ENGINE, MEMBER, PLUGIN_ERRORS})
#: What readers of `tierce volume show` know a volume's members as.
_SHOWN_AS = {"members": "replicas"}


def _cut(text: Any) -> Any:
    return text[:TEXT_CHARS_MAX] if isinstance(text, str) else text


def _text(default: Any = attrs.NOTHING) -> Any:
    return attrs.field(default=default, converter=_cut, validator=attrs.validators.instance_of(str))


def _details() -> Any:
    return attrs.field(factory=dict, validator=attrs.validators.instance_of(dict))


def _all_of(kind: type[Any]) -> Any:
    return attrs.validators.deep_iterable(
        attrs.validators.instance_of(kind), attrs.validators.instance_of(tuple)
    )


@attrs.frozen(kw_only=True)
class MemberStatus:
    """How one member of a volume is: a replica.

    Attributes:
        name: Which: "replica-1".
        state: One word: "in-sync" if it has all that was acknowledged; anything else is a reason
            to call the volume degraded.
        progress: The share of the way back to "in-sync", 0 to 1; None if it is on none.
        trouble: What keeps it from being better; empty if nothing does.
        used_bytes: How much of its medium it takes; None if it does not know.
        details: What else there is to see; JSON values.
    """

    name: str = _text()
    state: str = _text()
    progress: float | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(attrs.validators.instance_of((int, float))),
    )
    trouble: str = _text("")
    used_bytes: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(int))
    )
    details: Mapping[str, Any] = _details()


@attrs.frozen(kw_only=True)
class VolumeStatus:
    """How a volume is, as its engine sees it.

    Attributes:
        state: One word of docs/reference/states.md, or "serving", "stopped", "electing", "closing",
            "ended"; empty if there is nothing to say but that it runs.
        trouble: What makes the state so; empty if nothing does.
        medium: What is wrong with what it is written to; empty if nothing is.
        members: Its members; none if it has none.
        left_out: How many members were cut off, as readers see it.
        details: What else there is to see; JSON values. Of a filter, only these are shown: how a
            volume is is for its engine to say.
    """

    state: str = _text("")
    trouble: str = _text("")
    medium: str = _text("")
    members: tuple[MemberStatus, ...] = attrs.field(default=(), validator=_all_of(MemberStatus))
    left_out: int = 0
    details: Mapping[str, Any] = _details()

    @property
    def is_waiting(self) -> bool:
        """True if it says itself that its I/O waits, so that nobody need wonder why it does."""
        return self.state in _WAITING


@attrs.frozen(kw_only=True)
class SessionStatus:
    """Who uses a volume through one front end.

    Attributes:
        initiator: The name that the client gives itself.
        address: Where it comes from: "HOST:PORT"; empty if it has none.
        details: What else there is to see; JSON values.
    """

    initiator: str = _text()
    address: str = _text("")
    details: Mapping[str, Any] = _details()


@attrs.frozen(kw_only=True)
class FrontendStatus:
    """What one front end has to say of its volume.

    Attributes:
        sessions: Its sessions; None if it does not say.
        left_out: How many sessions were cut off, as readers see it.
        details: What else there is to see; JSON values.
    """

    sessions: tuple[SessionStatus, ...] | None = attrs.field(
        default=None, validator=attrs.validators.optional(_all_of(SessionStatus))
    )
    left_out: int = 0
    details: Mapping[str, Any] = _details()


@attrs.frozen(kw_only=True)
class PluginErrors:
    """The mistakes of one part of a volume's pipeline.

    Attributes:
        count: How many there were.
        last: What the last one that was told was.
        at: When, in seconds since the epoch.
    """

    count: int
    last: str = _text()
    at: float


@attrs.frozen(kw_only=True)
class Published:
    """All that the parts of one process publish.

    Attributes:
        volume: Of a target: how its engine sees the volume.
        filters: What its filters show, by their names.
        frontends: What its front ends show, by their names; the one that is shown first, first.
        member: Of a member: how it sees itself; None if it does not say.
        plugin_errors: The mistakes of its plugins, by part: "filter slow".
    """

    volume: VolumeStatus = VolumeStatus()
    filters: Mapping[str, VolumeStatus] = attrs.field(factory=dict)
    frontends: Mapping[str, FrontendStatus] = attrs.field(factory=dict)
    member: MemberStatus | None = None
    plugin_errors: Mapping[str, PluginErrors] = attrs.field(factory=dict)


def filter_owner(name: str) -> str:
    """Return whose mapping a filter's is."""
    return _FILTER + name


def frontend_owner(name: str) -> str:
    """Return whose mapping a front end's is."""
    return _FRONTEND + name


def to_mapping(status: object, kind: type[Any]) -> dict[str, Any]:
    """Return a status as JSON values, without what says nothing.

    Raises:
        TypeError: It is none of its kind.
    """
    if not isinstance(status, kind):
        raise TypeError(f"publish was given a {type(status).__name__}, expected a {kind.__name__}")
    return _without_defaults(status)


def _without_defaults(status: Any) -> dict[str, Any]:
    # Not by the codec: each forked process would pay for what it makes of these classes.
    values: dict[str, Any] = {}
    for field in attrs.fields(type(status)):
        value = getattr(status, field.name)
        if isinstance(value, tuple) and value != field.default:
            values[field.name] = [_without_defaults(one) for one in value]
        elif value not in (field.default, {}):
            values[field.name] = value
    return values


def from_mappings(shown: Mapping[str, Any]) -> Published | None:
    """Return what the owners' mappings say; None if nobody of this version wrote them."""
    owners = (_FILTER, _FRONTEND)
    if not all(key in _OWNERS or key.startswith(owners) for key in shown):
        return None
    try:
        return _read(shown)
    except (ProtocolError, TypeError, AttributeError):
        return None


def _read(shown: Mapping[str, Any]) -> Published:
    member = shown.get(MEMBER)
    return Published(
        volume=_volume(shown.get(ENGINE, {})),
        filters={name: _volume(one) for name, one in _owned(shown, _FILTER)},
        frontends={name: _frontend(one) for name, one in _owned(shown, _FRONTEND)},
        member=None if member is None else from_json(MemberStatus, member),
        plugin_errors={
            part: from_json(PluginErrors, one)
            for part, one in shown.get(PLUGIN_ERRORS, {}).items()
            if not part.endswith(LEFT_OUT)
        },
    )


def _owned(shown: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for owner, one in shown.items():
        if owner.startswith(prefix):
            yield owner.removeprefix(prefix), one


def _volume(one: Mapping[str, Any]) -> VolumeStatus:
    return from_json(VolumeStatus, _with_left_out(one))


def _frontend(one: Mapping[str, Any]) -> FrontendStatus:
    return from_json(FrontendStatus, _with_left_out(one))


def _with_left_out(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return an owner's mapping with the sum of what was cut in place of the notes of it."""
    plain = {key: value for key, value in one.items() if not key.endswith(LEFT_OUT)}
    return {**plain, "left_out": sum(one[key] for key in one.keys() - plain.keys())}


def as_shown(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the owners' mappings say as users read it: in one object, the details beside the
    rest. Of the second front end on, each key begins with its name."""
    found: dict[str, Any] = {}
    fronts = 0
    for owner, one in shown.items():
        if owner == PLUGIN_ERRORS:
            found[owner] = one
        elif owner.startswith(_FRONTEND):
            prefix = f"{owner.removeprefix(_FRONTEND)}-" if fronts else ""
            fronts += 1
            found |= {prefix + key: value for key, value in _flat(one).items()}
        else:
            found |= _flat(one)
    return found


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return an owner's mapping with the details beside the rest, in each item of a list too."""
    flat: dict[str, Any] = {}
    for key, value in one.items():
        name = key.removesuffix(LEFT_OUT)
        shown = _SHOWN_AS.get(name, name) + key[len(name) :]
        flat[shown] = [_flat(item) for item in value] if isinstance(value, list) else value
    return {**flat.pop("details", {}), **flat}
