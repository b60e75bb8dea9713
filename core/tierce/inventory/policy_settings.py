"""What policies set of volumes' live options: from what their documents want to what is had.

A pure function of the documents, the volumes and what is wanted, so that it comes out the same
after a restart of anything. What a volume's own settings say is never changed by it: an option that
no policy sets any more has its own value again.

Rules:

1. A document sets options of the volumes that it selects and that are served; what it wants of
   another one means nothing.
2. Only a live option is set, and no secret: anything else is refused, by name.
3. Of two documents that want different values of one option, the first by name has its own.
4. What one document wants of one part is taken together or not at all: the option class may have
   something to say of options together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from tierce.codec import to_json
from tierce.config import PolicyDocument, options_from_mapping
from tierce.errors import ConfigError
from tierce.inventory.engines import Served
from tierce.options import option_info
from tierce.process.live_options import Part, own_parts, with_part
from tierce.process.wanted_settings import Wanted
from tierce.registry import nearest
from tierce.spec import LocalVolume


@attrs.frozen
class Setting:
    """One option that a policy has set.

    Attributes:
        policy: The document's name.
        value: What it is now; a JSON value.
        own: What the volume's own settings say.
    """

    policy: str
    value: Any
    own: Any


@attrs.frozen
class Refusal:
    """Something that a policy wants and does not get.

    Attributes:
        policy: The document's name.
        volume: The volume.
        why: The part or option as the config file names it, and why not.
    """

    policy: str
    volume: str
    why: str


@attrs.frozen
class PolicySet:
    """What policies set, and what is refused to them.

    Attributes:
        volumes: The volumes of which something is set, as they are by that.
        settings: By volume and by key, as the config file names the option: "filters[0].rate".
        refused: What is not set.
    """

    volumes: Mapping[str, LocalVolume] = attrs.field(factory=dict)
    settings: Mapping[str, Mapping[str, Setting]] = attrs.field(factory=dict)
    refused: tuple[Refusal, ...] = ()

    def of(self, served: Served) -> LocalVolume:
        """Return a volume as it is by what policies set."""
        return self.volumes.get(served.volume.name, served.volume)

    def said_of(self, volume: str) -> str:
        """Say which policy sets what of a volume; empty if none does."""
        by_policy: dict[str, list[str]] = {}
        for key, setting in self.settings.get(volume, {}).items():
            by_policy.setdefault(setting.policy, []).append(key)
        said = (f"policy {policy} sets {', '.join(keys)}" for policy, keys in by_policy.items())
        return "; ".join(said)


def settle(
    documents: Iterable[PolicyDocument], served: Mapping[str, Served], wanted: Wanted
) -> PolicySet:
    """Say what policies set.

    Args:
        documents: The policy documents.
        served: The volumes that should be served, by name.
        wanted: What each document has last wanted.
    """
    in_order = sorted((one for one in documents if wanted.get(one.name)), key=lambda one: one.name)
    volumes: dict[str, LocalVolume] = {}
    settings: dict[str, Mapping[str, Setting]] = {}
    refused: list[Refusal] = []
    for name, one in served.items():
        settling = _Settling(one.volume)
        for document in in_order:
            if not document.volumes or name in document.volumes:
                settling.take(document.name, wanted[document.name].get(name, {}))
        if settling.settings:
            volumes[name], settings[name] = settling.volume, settling.settings
        refused += settling.refused
    return PolicySet(volumes, settings, tuple(refused))


class _Settling:
    """One volume, which takes what one document after the other wants."""

    def __init__(self, volume: LocalVolume) -> None:
        self.volume = volume
        self.settings: dict[str, Setting] = {}
        self.refused: list[Refusal] = []
        #: By key, what was wanted as the policy has written it: a size may be a text.
        self._written: dict[str, Any] = {}

    def take(self, policy: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
        """Take what a document wants of it."""
        for key, values in sections.items():
            parts = {part.key: part for part in own_parts(self.volume)}
            part = parts.get(key)
            if part is None:
                why = f"it has no such part; it has {', '.join(parts)}"
                self._refuse(policy, key, why)
            else:
                self._take_part(policy, part, dict(self._possible(policy, part, values)))

    def _possible(
        self, policy: str, part: Part, values: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        fields = {field.name: option_info(field) for field in attrs.fields(type(part.options))}
        for name, value in values.items():
            key, info = f"{part.key}.{name}", fields.get(name)
            first = self.settings.get(key)
            if info is None:
                self._refuse(policy, key, f"it has no such option{nearest(name, fields)}")
            elif not info.live:
                why = "it is not live: it takes a restart, which a policy can't ask for"
                self._refuse(policy, key, why)
            elif info.secret:
                self._refuse(policy, key, "it is a secret, which a policy can't keep")
            elif first is None:
                yield name, value
            elif value not in (first.value, self._written[key]):
                why = f"policy {first.policy} sets it to {first.value!r} and is first by name"
                self._refuse(policy, key, why)

    def _take_part(self, policy: str, part: Part, values: Mapping[str, Any]) -> None:
        if not values:
            return
        own = to_json(part.options)
        try:
            options = options_from_mapping(
                type(part.options), {**own, **values}, base=Path("/"), origin=part.key
            )
        except ConfigError as error:
            self.refused.append(Refusal(policy, self.volume.name, str(error)))
            return
        self.volume = with_part(self.volume, attrs.evolve(part, options=options))
        now = to_json(options)
        for name, value in values.items():
            key = f"{part.key}.{name}"
            self.settings[key] = Setting(policy, now[name], own[name])
            self._written[key] = value

    def _refuse(self, policy: str, key: str, why: str) -> None:
        self.refused.append(Refusal(policy, self.volume.name, f"{key}: {why}"))
