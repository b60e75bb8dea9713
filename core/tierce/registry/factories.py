"""Importing what descriptions name, in a child process, before anything is served.

A description is cheap because its factory is only a name; a name that leads nowhere would be found
when the volume starts. Here all are tried, where an import that hangs, or ends its process, costs a
child.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Container, Iterator, Sequence

import attrs

from tierce.descriptions import Description, EngineDescription
from tierce.errors import PluginError
from tierce.registry.registry import Registry, Unusable
from tierce.registry.resolving import is_reference, resolve

#: Importing one thing takes no longer, or it is told as hanging.
IMPORT_S_MAX = 30.0
_CHILD = "from tierce.registry.factories import import_all; import_all()"


@attrs.frozen
class _Named:
    """Something to import, for what, and whose it is."""

    thing: tuple[str, str]
    plugin: str
    package: str
    what: str
    reference: str


def missing(
    registry: Registry,
    wanted: Collection[tuple[str, str]] | None = None,
    seconds: float = IMPORT_S_MAX,
) -> list[PluginError]:
    """Return an error for everything that can't be imported.

    Args:
        registry: The plugins.
        wanted: (family, name) of what to look at, with what that is built on; None for all.
        seconds: How long it may take.
    """
    return [error for _named, error in _find_missing(list(_named(registry, wanted)), seconds)]


def find_unusable(
    registry: Registry, known: Container[str] = (), seconds: float = IMPORT_S_MAX
) -> Unusable:
    """Return what can't be used because something that it names can't be imported, by family and
    name, and why; what is built on such a thing, too.

    Args:
        registry: The plugins.
        known: References that need not be looked at again.
        seconds: How long it may take.
    """
    named = [one for one in _named(registry, None) if one.reference not in known]
    found: dict[tuple[str, str], str] = {}
    for one, error in _find_missing(named, seconds):
        found.setdefault(one.thing, str(error))
    for family, name, description in registry.descriptions():
        if isinstance(description, EngineDescription):
            parts = (("replicator", description.replicator), ("store", description.store))
            for part in parts:
                if part in found:
                    found.setdefault((family, name), found[part])
    return found


def references(registry: Registry) -> frozenset[str]:
    """Return all that the descriptions of a registry name to be imported."""
    return frozenset(one.reference for one in _named(registry, None))


def _find_missing(named: Sequence[_Named], seconds: float) -> list[tuple[_Named, PluginError]]:
    found = _import_in_children([one.reference for one in named], seconds)
    return [
        (
            one,
            PluginError(
                f"{one.what}: {found[one.reference]}", plugin=one.plugin, package=one.package
            ),
        )
        for one in named
        if found[one.reference]
    ]


def import_all() -> None:
    """The child: import what standard input names, and say of each what is wrong, or nothing."""
    answers = os.fdopen(os.dup(1), "w")
    # What a module prints while it is imported is no answer.
    os.dup2(2, 1)
    for reference in json.load(sys.stdin):
        why = ""
        try:
            resolve(reference)
        except PluginError as error:
            # Without the module's name before it, which is not the plugin's.
            why = str(error).partition(": ")[2]
        print(json.dumps(why), file=answers, flush=True)


def _named(registry: Registry, wanted: Collection[tuple[str, str]] | None) -> Iterator[_Named]:
    described = list(registry.descriptions())
    if wanted is not None:
        parts = {
            part
            for family, name, one in described
            if isinstance(one, EngineDescription) and (family, name) in wanted
            for part in (("replicator", one.replicator), ("store", one.store))
        }
        described = [one for one in described if one[:2] in wanted or one[:2] in parts]
    for family, name, description in described:
        owner = registry.owner(family, name)
        for field, reference in _references(description):
            what = f"{field} of {family} {name!r}"
            yield _Named((family, name), owner.name, owner.package, what, reference)


def _references(description: Description) -> Iterator[tuple[str, str]]:
    for field in attrs.fields(type(description)):
        value = getattr(description, field.name)
        if field.name != "summary" and is_reference(value):
            yield field.name, value


def _import_in_children(references: Sequence[str], seconds: float) -> dict[str, str]:
    """Return what is wrong with each, empty if nothing is. One child for all; where it ends
    before its time, that is told of what it was at, and another goes on behind that."""
    found: dict[str, str] = {}
    left = list(dict.fromkeys(references))
    while left:
        answers, how = _run_child(left, seconds)
        found.update(zip(left, answers, strict=False))
        left = left[len(answers) :]
        if left:
            found[left.pop(0)] = f"importing it {how}"
    return found


def _run_child(references: Sequence[str], seconds: float) -> tuple[list[str], str]:
    """Return the answers of one child, and how it ended."""
    # Only a server looks.
    import subprocess  # noqa: PLC0415

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-P", "-c", _CHILD],
            input=json.dumps(references).encode(),
            capture_output=True,
            timeout=seconds,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return _answers(error.stdout), f"takes more than {seconds:g} s"
    return _answers(done.stdout), f"ends its process (exit code {done.returncode})"


def _answers(output: bytes | None) -> list[str]:
    return [json.loads(line) for line in (output or b"").splitlines()]
