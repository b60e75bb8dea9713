"""The config file: schema, loading, errors with file and line.

One YAML file becomes one frozen `Config`. Every option, core's and the plugins', is declared once
by `tierce.option`; the check, `tierce config show`, the JSON Schema and the reference pages are
made from the declaration.
"""

from tierce.config.exports import identity_of, is_short, portal_sections
from tierce.config.loading import config_from_bytes, load_config, load_registry
from tierce.config.model import Config, Limits, PolicyDocument, ServiceSection
from tierce.config.parsing import options_from_mapping
from tierce.config.volumes import volume_from_mapping, volume_to_mapping
from tierce.config.walking import leaves, located_error, origin_of

__all__ = [
    "Config",
    "Limits",
    "PolicyDocument",
    "ServiceSection",
    "config_from_bytes",
    "identity_of",
    "is_short",
    "leaves",
    "load_config",
    "load_registry",
    "located_error",
    "options_from_mapping",
    "origin_of",
    "portal_sections",
    "volume_from_mapping",
    "volume_to_mapping",
]
