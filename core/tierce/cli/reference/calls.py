"""What the docstrings of the public door promise of each call: read from them, and from nowhere
else.

A class or method that a plugin's author meets says four things, each on a line of its own at the
end of its docstring::

    Thread: data thread.
    Blocking: no.
    Failure: it is told, and the part goes on with its old options.
    Since: contract 2.

What a class says holds for each of its methods that does not say otherwise, and what a base class
says for those that derive from it. Under `Making:`, indented, a class says the same of how it is
made, where that differs. `Thread` and `Blocking` begin with a word of a list, so that a test can
hold a thread against it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from tierce.cli.reference.markdown import first_sentence, table

#: What `Thread:` may begin with.
THREADS: Mapping[str, str] = {
    "data thread": (
        "the one loop of the process that the part lives in: a volume's target, a member, the "
        "portal. Whatever waits or computes here stops everything else in that process"
    ),
    "own thread": "a thread that calls this part and nothing else; always the same one",
    "worker thread": "any of some threads beside the data thread; several calls at once",
    "by concurrency": (
        "what the engine's description declares: `INLINE` the data thread, `SERIAL` an own thread, "
        "`PARALLEL` worker threads"
    ),
    "server": "the loop of `tierce serve`, which keeps all processes and carries no data",
    "work process": "the main thread of a process that calls engines' lifecycles, one after the "
    "other, and is there for nothing else",
    "main thread": "the main thread of the process that calls, before or while it does its work",
    "any thread": "whichever thread the author likes",
}
#: What `Blocking:` may begin with.
BLOCKING: Mapping[str, str] = {
    "no": "it returns at once: no file, no socket that waits, no lock, no computing",
    "briefly": "some milliseconds are no harm",
    "yes": "it may wait",
}

FIELDS = ("Thread", "Blocking", "Failure", "Since")
_LINE = re.compile(r"^(Thread|Blocking|Failure|Since): (.*(?:\n {4,}\S.*)*)", re.MULTILINE)
_MAKING = re.compile(r"^Making:\n((?: {4}.*\n?)+)", re.MULTILINE)


@attrs.frozen
class Call:
    """One call between core and a plugin.

    Attributes:
        name: "read", or "SimpleDevice(...)" for how one is made.
        summary: What it does, in a sentence or two.
        promises: `FIELDS` -> what is said of them.
    """

    name: str
    summary: str
    promises: Mapping[str, str]

    @property
    def missing(self) -> list[str]:
        """The fields of which nothing is said."""
        return [field for field in FIELDS if not self.promises.get(field)]


def promises_in(documentation: str | None) -> dict[str, str]:
    """Return what a docstring says of the four things."""
    text = inspect.cleandoc(documentation or "")
    return {name: " ".join(said.split()) for name, said in _LINE.findall(text)}


def making_in(documentation: str | None) -> dict[str, str]:
    """Return what a class's docstring says of how it is made."""
    section = _MAKING.search(inspect.cleandoc(documentation or ""))
    return promises_in(inspect.cleandoc(section[1])) if section else {}


def promises_of(kind: type[Any]) -> dict[str, str]:
    """Return what a class says for all its methods, its base classes included."""
    said: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        said |= promises_in(vars(one).get("__doc__"))
    return said


def calls_of(kind: type[Any]) -> Iterator[Call]:
    """Yield how a class is made, if it says so, each public method, those of its base classes
    first, in the order in which they are written, and the functions that a context holds as one.
    """
    common = promises_of(kind)
    making = making_in(kind.__doc__)
    if making:
        yield Call(f"{kind.__name__}(...)", "Make one.", common | making)
    for name, written in methods_of(kind).items():
        said = dict(common)
        for method in written:
            said |= promises_in(method.__doc__)
        yield Call(name, first_sentence(without_promises(written[-1].__doc__)), said)
    if functions := functions_in(kind):
        yield Call(", ".join(functions), "What it holds to be called.", common)


def hooks_of(module: Any, prefix: str) -> Iterator[Call]:
    """Yield each hook of a module of hooks."""
    common = promises_in(module.__doc__)
    for name, hook in vars(module).items():
        if name.startswith(prefix) and inspect.isfunction(hook):
            summary = first_sentence(without_promises(hook.__doc__))
            yield Call(name, summary, common | promises_in(hook.__doc__))


def methods_of(kind: type[Any]) -> dict[str, list[Callable[..., Any]]]:
    """Return the public methods of a class of the door, as its base classes and it write them."""
    found: dict[str, list[Callable[..., Any]]] = {}
    for one in reversed(kind.__mro__):
        for name, value in vars(one).items():
            method = value.__func__ if isinstance(value, classmethod) else value
            is_public = not name.startswith("_") or name == "__call__"
            if is_public and inspect.isfunction(method) and one.__module__.startswith("tierce"):
                found.setdefault(name, []).append(method)
    return found


def functions_in(kind: type[Any]) -> list[str]:
    """Name the fields of a value that hold functions."""
    fields = attrs.fields(kind) if attrs.has(kind) else ()
    return [one.name for one in fields if str(one.type).startswith("Callable")]


def without_promises(documentation: str | None) -> str:
    """Return a docstring without the lines that say the four things."""
    text = inspect.cleandoc(documentation or "")
    return _LINE.sub("", _MAKING.sub("", text)).rstrip()


def calls_table(calls: Iterable[Call]) -> str:
    """Return the table of calls."""
    heading = ("call", "what it is for", "thread", "blocking", "when it fails", "since")
    return table(heading, ((f"`{one.name}`", one.summary, *_words(one.promises)) for one in calls))


def _words(promises: Mapping[str, str]) -> Iterator[str]:
    """Yield what is said of each field, as it stands in a table."""
    return (promises.get(field, "").removesuffix(".") for field in FIELDS)
