"""docs/reference/plugins.md: what the shipped plugins bring, with every option."""

from __future__ import annotations

from collections.abc import Iterator

from tierce.cli.reference.markdown import options_table, page
from tierce.descriptions import EngineDescription, FrontendDescription, Startable, StoreDescription
from tierce.registry import Registry

_INTRODUCTION = """\
What the plugins that come with Tierce bring. `tierce plugin list` lists what is installed,
`tierce plugin show NAME` shows the same for any plugin."""


def plugins_page(registry: Registry) -> str:
    """Return the page about the plugins of a registry."""
    parts = []
    for record in sorted(registry.plugins, key=lambda one: one.name):
        parts.append(f"## Plugin {record.name}")
        for family, name, description in registry.descriptions():
            if f"{family} {name}" in record.provides:
                parts += _thing(family, description)
    return page("Plugins", _INTRODUCTION, *parts)


def _thing(family: str, description: Startable) -> Iterator[str]:
    yield f"### {family.capitalize()} {description.name}\n\n{description.summary}"
    if isinstance(description, EngineDescription) and description.replicator:
        pairing = f"The replicator `{description.replicator}`"
        yield pairing + (f" over the store `{description.store}`." if description.store else ".")
    if isinstance(description, StoreDescription) and description.capabilities:
        words = ", ".join(str(one.name) for one in description.capabilities)
        yield f"Beside keeping bytes it can: {words}."
    where = {
        "engine": "`options:` of a volume",
        "store": "`store_options:` of a volume",
        "front end": f"`frontends: {{{description.name}: ...}}`",
        "service": f"`services: {{{description.name}: ...}}`",
        "filter": "an element of a volume's `filters:`",
        "policy handler": "`parameters:` of a policy document",
    }.get(family)
    if where:
        yield f"In {where}:\n\n{options_table(description.options)}"
    if isinstance(description, FrontendDescription):
        yield f"In `frontend_options:` of a volume:\n\n{options_table(description.volume_options)}"
