"""docs/reference/hooks.md: every hook, and what it returns."""

from __future__ import annotations

import inspect

from tierce import hookspecs
from tierce.cli.reference.calls import calls_table, hooks_of, without_promises
from tierce.cli.reference.markdown import attributes_table, first_sentence, page, prose
from tierce.descriptions import CONTRACT
from tierce.registry.checks import FAMILIES, PREFIX

#: Before what the module says of all its hooks, which stands in the table.
_REST = "Of each hook that says nothing else:"
_INTRODUCTION = f"""\
{prose(without_promises(hookspecs.__doc__)).replace(_REST, "").rstrip()}

The contract is version {CONTRACT}. How to write a plugin:
[the how-to](../howto/write-a-plugin.md). How what the hooks describe is called afterwards:
[calls](calls.md), with what the words of the table mean."""


def hooks_page() -> str:
    """Return the page: hooks in the order of their declaration, each with what it returns."""
    specs = [
        (name, value)
        for name, value in vars(hookspecs).items()
        if name.startswith(PREFIX) and inspect.isfunction(value)
    ]
    parts = [f"## When each is called\n\n{calls_table(hooks_of(hookspecs, PREFIX))}"]
    for name, spec in specs:
        signature = str(inspect.signature(spec)).replace("'", "")
        said = prose(without_promises(spec.__doc__))
        parts.append(f"## {name}\n\n```python\ndef {name}{signature}\n```\n\n{said}")
        if name in FAMILIES:
            kind, _ = FAMILIES[name]
            parts.append(
                f"**{kind.__name__}**: {first_sentence(kind.__doc__)}\n\n"
                f"{attributes_table(kind.__doc__)}"
            )
    return page("Hooks", _INTRODUCTION, *parts)
