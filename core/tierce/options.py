"""How a plugin declares its options: once, with type, unit, default and a sentence.

From the declaration come the config check, `tierce plugin show`, the JSON Schema and the
reference pages. An option class is a frozen attrs class whose fields are made by `option`::

    @attrs.frozen
    class FileOptions:
        path: str = option(doc="The file or block device that holds the bytes.")
        sync: bool = option(default=False, doc="Open with O_DSYNC.")

Field types that the config understands: bool, int, float, str, Enum (by value), `tuple[T, ...]`,
`dict[str, T]`, a nested option class, and any of them `| None`.

An option class may have two methods, called once all its options are set. Each returns a sentence,
or None: `check(self) -> str | None` says what is wrong with the options together, which is an error
at the section's line; `advice(self) -> str | None` says what works and yet should be known, which
`tierce config check` tells as a note.
"""

from __future__ import annotations

from typing import Any

import attrs

#: Units of options that are paths.
PATH_UNITS = frozenset({"path", "folder", "file"})

#: Key of the metadata that `option` leaves on an attrs field.
OPTION = "tierce.option"


@attrs.frozen
class OptionInfo:
    """What a field says of itself beyond its type and default.

    Attributes:
        doc: One sentence for an operator.
        unit: "bytes" (the config then takes `1 GiB`, `64KiB`, or an integer), "seconds" (takes
            `1.5`, `200 ms`, `5 s`), "path" (made absolute against the config file's folder),
            "folder" and "file" (paths too, of what this option's owner alone keeps its bytes in:
            the config check refuses two that meet, and a folder that is a file), "address"
            (`HOST:PORT`, `[V6]:PORT`), or empty.
        minimum: Smallest value allowed, for numbers.
        maximum: Largest value allowed, for numbers.
        choices: The only values allowed, where they are few.
        secret: Never shown, logged or stored.
        live: A change of it reaches what runs: by a method `reconfigure(options)` of the part whose
            option it is, called on its data thread. A nested class is as live as the option that
            holds it.
    """

    doc: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    secret: bool = False
    live: bool = False


def option(
    *,
    doc: str,
    default: Any = attrs.NOTHING,
    factory: Any = None,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[Any, ...] = (),
    secret: bool = False,
    live: bool = False,
) -> Any:
    """Declare one option as a field of a frozen attrs class. Without a default it is required."""
    info = OptionInfo(doc, unit, minimum, maximum, choices, secret, live)
    if factory is not None:
        return attrs.field(factory=factory, metadata={OPTION: info})
    return attrs.field(default=default, metadata={OPTION: info})


def option_info(field: attrs.Attribute[Any]) -> OptionInfo:
    """Return what the field says of itself; a field not made by `option` has no doc."""
    info = field.metadata.get(OPTION)
    return info if isinstance(info, OptionInfo) else OptionInfo(doc="")


@attrs.frozen
class NoOptions:
    """For what has nothing to set."""
