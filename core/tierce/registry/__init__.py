"""Discovery, checks and enabling of plugins.

A plugin is a module behind an entry point of group ``tierce.plugins``. Only enabled plugins are
imported; each is checked by itself (`checks`), then all together (`registry`): what is wrong with
one leaves that one out, with a reason, and the others go on.
"""

from tierce.registry.blaming import blaming, culprit, is_promise, mistake
from tierce.registry.discovery import GROUP, OWN_PACKAGE, Candidate, PluginRecord, installed
from tierce.registry.factories import find_unusable, missing, references
from tierce.registry.names import nearest
from tierce.registry.option_types import (
    AnyType,
    EnumType,
    MappingType,
    NestedType,
    OptionType,
    ScalarType,
    TupleType,
    UnsupportedOptionError,
    option_types,
)
from tierce.registry.registry import Listener, Registry, Unusable
from tierce.registry.resolving import resolve

__all__ = [
    "GROUP",
    "OWN_PACKAGE",
    "AnyType",
    "Candidate",
    "EnumType",
    "Listener",
    "MappingType",
    "NestedType",
    "OptionType",
    "PluginRecord",
    "Registry",
    "ScalarType",
    "TupleType",
    "UnsupportedOptionError",
    "Unusable",
    "blaming",
    "culprit",
    "find_unusable",
    "installed",
    "is_promise",
    "missing",
    "mistake",
    "nearest",
    "option_types",
    "references",
    "resolve",
]
