"""docs/reference/hooks.md: every hook, and what it returns."""

from __future__ import annotations

import inspect

from tierce import hookspecs
from tierce.cli.reference.markdown import attributes_table, first_sentence, page, prose
from tierce.descriptions import CONTRACT
from tierce.registry.checks import FAMILIES, PREFIX

_INTRODUCTION = f"""\
{prose(hookspecs.__doc__)}

The contract is version {CONTRACT}. How to write a plugin:
[the how-to](../howto/write-a-plugin.md)."""


def hooks_page() -> str:
    """Return the page: hooks in the order of their declaration, each with what it returns."""
    specs = [
        (name, value)
        for name, value in vars(hookspecs).items()
        if name.startswith(PREFIX) and inspect.isfunction(value)
    ]
    parts = []
    for name, spec in specs:
        signature = str(inspect.signature(spec)).replace("'", "")
        parts.append(f"## {name}\n\n```python\ndef {name}{signature}\n```\n\n{prose(spec.__doc__)}")
        if name in FAMILIES:
            kind, _ = FAMILIES[name]
            parts.append(
                f"**{kind.__name__}**: {first_sentence(kind.__doc__)}\n\n"
                f"{attributes_table(kind.__doc__)}"
            )
    return page("Hooks", _INTRODUCTION, *parts)
